import { BackupError, type ErrorCode } from "../domain/errors.ts";

/** Who wanted to reach what, for messages. */
export type Subject = {
  /** User and place, such as `root@127.0.0.1:3306`. */
  readonly target: string;
  /** Where the credentials came from; `undefined` when there are none. */
  readonly defaultsFile: string | undefined;
};

/** An error of the driver: of the system, of the protocol, or sent by the server. */
type DriverError = {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly fatal?: unknown;
  readonly sqlMessage?: unknown;
  readonly message?: unknown;
};

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOENT: "there is no such socket",
  ENOTSOCK: "it is not a socket",
  ETIMEDOUT: "it does not answer",
  ENOTFOUND: "the host is not known",
  EAI_AGAIN: "the host's name cannot be looked up",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the host",
  ECONNRESET: "the connection was lost",
  EPIPE: "the connection was lost",
  PROTOCOL_CONNECTION_LOST: "the connection was lost",
  HANDSHAKE_NO_SSL_SUPPORT: "it does not offer TLS, which the option file asks for",
};

/** Login refused: wrong password, host not allowed, locked, expired password. */
const LOGIN_REFUSED = [1045, 1130, 1698, 1820, 1862, 3118, 3159, 4151];

/** A privilege is missing. */
const PRIVILEGE_MISSING = [1044, 1142, 1143, 1227, 1370];

/** The server cannot serve now: too many connections, shutting down, killed, blocked, no primary component. */
const BUSY = [1040, 1041, 1047, 1053, 1129, 1203, 1317, 1927, 2006, 2013, 3032, 4031];

/** The number of an error that a server sent; `undefined` for any other. */
function serverErrno(error: unknown): number | undefined {
  const { errno, sqlMessage } = error as DriverError;
  return typeof errno === "number" && errno > 0 && typeof sqlMessage === "string" ? errno : undefined;
}

/** A session could not be opened. */
export function connectFailure(cause: unknown, subject: Subject): BackupError {
  const { errno, words } = said(cause);
  const message = `Cannot connect to "${subject.target}": ${words}`;
  if (errno !== undefined && LOGIN_REFUSED.includes(errno)) {
    return new BackupError("NOT_PERMITTED", message, { hint: loginHint(errno, subject), cause });
  }
  if (/\bauthenticat/i.test(words) && errno === undefined) {
    const hint = `Have the user of ${source(subject)} log in another way on the server: with a password of MySQL or MariaDB, or by socket.`;
    return new BackupError("NOT_PERMITTED", message, { hint, cause });
  }
  if ((cause as DriverError).code === "EACCES") {
    return new BackupError("NOT_PERMITTED", message, {
      hint: "Run as root, or as a user who may use the socket.",
      cause,
    });
  }
  if (errno !== undefined && !BUSY.includes(errno)) return new BackupError("FAILED", message, { cause });
  return unreachable(message, cause);
}

/** A statement failed. `sql` holds no values. */
export function statementFailure(cause: unknown, sql: string, subject: Subject): BackupError {
  const { errno, words } = said(cause);
  const statement = sql.replaceAll(/\s+/g, " ").trim().slice(0, 80);
  const message = `Cannot run "${statement}" as "${subject.target}": ${words}`;
  if (errno === undefined ? (cause as DriverError).fatal === true : BUSY.includes(errno)) {
    return unreachable(message, cause);
  }
  const code: ErrorCode = errno !== undefined && PRIVILEGE_MISSING.includes(errno) ? "NOT_PERMITTED" : "FAILED";
  const hint = `Grant the missing privilege to the user of ${source(subject)}.`;
  return new BackupError(code, message, { hint: code === "NOT_PERMITTED" ? hint : undefined, cause });
}

/** The server sends its binary log no more. */
export function followFailure(cause: unknown, subject: Subject): BackupError {
  const failure = statementFailure(cause, "COM_BINLOG_DUMP", subject);
  const { words } = said(cause);
  const message = `Cannot follow the binary log as "${subject.target}": ${words}`;
  const hint = failure.code === "UNREACHABLE" ? "It is tried again until the server answers." : failure.hint;
  return new BackupError(failure.code, message, { hint, cause, retryable: failure.retryable });
}

function unreachable(message: string, cause: unknown): BackupError {
  const isTls = String((cause as DriverError).code).startsWith("HANDSHAKE_");
  const hint = isTls
    ? "Set ssl-mode, ssl-ca, ssl-cert and ssl-key in the option file to what the server offers."
    : "Start the server, or set hostname, port or socket under [mysql] in the config file to where it listens.";
  return new BackupError("UNREACHABLE", message, { hint, cause, retryable: !isTls });
}

function said(error: unknown): { readonly errno: number | undefined; readonly words: string } {
  const { code, message, sqlMessage } = error as DriverError;
  const errno = serverErrno(error);
  if (errno !== undefined) return { errno, words: `${String(sqlMessage)} (error ${errno})` };
  return { errno, words: WORDS[String(code)] ?? (String(message) || String(code)) };
}

function source({ defaultsFile }: Subject): string {
  return defaultsFile === undefined ? "this session" : `"${defaultsFile}"`;
}

function loginHint(errno: number, subject: Subject): string {
  if (errno === 3159)
    return `Set ssl-mode=REQUIRED in ${source(subject)}: the server accepts encrypted connections only.`;
  return `Correct user and password under [client] in ${source(subject)}, or let "${subject.target}" in on the server.`;
}
