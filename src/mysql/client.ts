import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import type { Duplex } from "node:stream";
import type { Connection, ConnectionOptions, QueryResult, SslOptions } from "mysql2";
import { BackupError } from "../domain/errors.ts";
import { abortable } from "../lib/abortable.ts";
import { DUMP_SETTINGS, type DumpRequest, dumpEvents } from "./binlog-dump.ts";
import { connectFailure, followFailure, type Subject, statementFailure } from "./client-errors.ts";
import { type LoginOptions, loginOptions, readDefaultsFile } from "./defaults-file.ts";
import { addressesOf, findSocket, type ServerAddress, type ServerChoice, showAddress } from "./server-address.ts";

/** One row: every value as the text the server sends, so that no number loses digits; NULL is `undefined`. */
export type Row = Readonly<Record<string, string | undefined>>;

/** A value in place of a `?`. */
export type SqlValue = string | number;

/** One session with a server. */
export interface Client extends AsyncDisposable {
  /** For people: user, host or socket. Holds no secret. */
  readonly target: string;

  /**
   * Run one statement. @returns its rows, none for a statement without a result.
   * @throws {BackupError} UNREACHABLE when the session is lost, NOT_PERMITTED when a privilege is missing, else FAILED with the server's
   * own words.
   */
  rows(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;

  /** The first value of the first row. */
  value(sql: string, values?: readonly SqlValue[]): Promise<string | undefined>;
}

/** A session that was opened here. */
export interface OpenedClient extends Client {
  /** Where the server answered: what a backup tool has to be told. */
  readonly address: ServerAddress;

  /**
   * The events of the server's binary logs as it sends them, from one place on: what came since the last pull. Also those that it makes up
   * for its clients. Never ends by itself; nothing else can be asked in this session afterwards. Needs REPLICATION SLAVE.
   * @throws {BackupError} as `rows()`.
   */
  dump(request: DumpRequest): AsyncGenerator<readonly Buffer[], never>;
}

/** Connects to an address. */
type Dial = (address: ServerAddress) => Duplex | Promise<Duplex>;

/** What the config says about the server. */
export type ClientOptions = ServerChoice & {
  /** Option file with the credentials; without one it is the user of the system, without a password. */
  readonly defaultsFile?: string | undefined;
  /** Groups of that file to read besides the usual ones, which they win over. */
  readonly groups?: readonly string[];
  /** The login itself, instead of an option file. */
  readonly login?: LoginOptions;
  /** Reaches the address by another way than from this host, such as through SSH. */
  readonly dial?: Dial;
};

type CallOptions = { readonly signal: AbortSignal };

const CONNECT_SECONDS = 10;

/** Whatever the server's defaults: a backslash escapes in the values, and a copy may take hours between two statements. */
const SET_SESSION = "SET SESSION sql_mode = '', wait_timeout = 31536000";

/**
 * Log in to the server. An abort ends the session at once, and calls throw the reason; a server may still finish what it was told.
 * @throws {BackupError} CONFIG_INVALID for the option file, UNREACHABLE, NOT_PERMITTED when the login is refused.
 */
export async function openClient(options: ClientOptions, { signal }: CallOptions): Promise<OpenedClient> {
  signal.throwIfAborted();
  const { defaultsFile, groups, dial = openSocket } = options;
  const login =
    options.login ?? (defaultsFile === undefined ? loginOptions([], "") : await readDefaultsFile(defaultsFile, groups));
  const addresses = addressesOf(options, login, await findSocket());
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await openSession({ address, login, defaultsFile, dial, signal });
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}

type Attempt = {
  readonly address: ServerAddress;
  readonly login: LoginOptions;
  readonly defaultsFile: string | undefined;
  readonly dial: Dial;
  readonly signal: AbortSignal;
};

async function openSession(attempt: Attempt): Promise<OpenedClient> {
  const { address, login, defaultsFile, dial, signal } = attempt;
  const user = login.user ?? userInfo().username;
  const subject: Subject = { target: `${user}@${showAddress(address)}`, defaultsFile };
  const tls = await tlsOptions(attempt);
  const options = connectionOptions(attempt, user);
  try {
    if (tls === undefined) return await Session.open(options, { address, subject, dial, signal });
    return await Session.open({ ...options, ssl: tls }, { address, subject, dial, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (login.tls.mode !== "PREFERRED" || !isWithoutTls(error)) throw error;
    return Session.open(options, { address, subject, dial, signal });
  }
}

/** Whether the server has no TLS, or none that we speak. */
function isWithoutTls(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as { code?: unknown };
  return code === "HANDSHAKE_NO_SSL_SUPPORT" || code === "HANDSHAKE_SSL_ERROR";
}

function connectionOptions({ address, login }: Attempt, user: string): ConnectionOptions {
  const place = address.kind === "socket" ? { socketPath: address.path } : { host: address.host, port: address.port };
  return {
    ...place,
    user,
    ...(login.password && { password: login.password.reveal() }),
    connectTimeout: CONNECT_SECONDS * 1000,
    charset: "utf8mb4",
    multipleStatements: false,
    typeCast: (field) => field.string("utf8") ?? undefined,
  };
}

/** `undefined` for a connection that is not encrypted; that over a socket needs it not. */
async function tlsOptions({ address, login: { tls }, defaultsFile }: Attempt): Promise<SslOptions | undefined> {
  if (address.kind === "socket" || tls.mode === "DISABLED") return undefined;
  const pem = async (path: string | undefined) => (path === undefined ? undefined : readPem(path, defaultsFile));
  const [ca, cert, key] = [await pem(tls.ca), await pem(tls.cert), await pem(tls.key)];
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    rejectUnauthorized: tls.mode === "VERIFY_CA" || tls.mode === "VERIFY_IDENTITY",
    verifyIdentity: tls.mode === "VERIFY_IDENTITY",
  };
}

async function readPem(path: string, from: string | undefined): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new BackupError("CONFIG_INVALID", `Cannot read "${path}" for TLS: ${(cause as Error).message}`, {
      hint: `Correct ssl-ca, ssl-cert and ssl-key in "${from}".`,
      cause,
    });
  }
}

type SessionFacts = Pick<Attempt, "address" | "dial" | "signal"> & { readonly subject: Subject };

class Session implements OpenedClient {
  readonly target: string;
  readonly address: ServerAddress;
  readonly #subject: Subject;
  readonly #signal: AbortSignal;
  readonly #connection: Connection;
  readonly #socket: Duplex;

  private constructor(connection: Connection, socket: Duplex, { address, subject, signal }: SessionFacts) {
    this.target = subject.target;
    this.address = address;
    this.#subject = subject;
    this.#signal = signal;
    this.#connection = connection;
    this.#socket = socket;
    const onAbort = () => socket.destroy();
    signal.addEventListener("abort", onAbort);
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
  }

  static async open(options: ConnectionOptions, facts: SessionFacts): Promise<Session> {
    const { signal, subject } = facts;
    const { createConnection } = await import("mysql2");
    const dialled = facts.dial(facts.address);
    // A socket of ours may fail in the next tick, and the driver has to see that.
    const socket = dialled instanceof Promise ? await dialled : dialled;
    try {
      const connection = await abortable<Connection>([signal], (done) => {
        const opened = createConnection({ ...options, stream: socket });
        // It stays for good: the driver tells some errors twice, and the next statement tells that the session was lost.
        opened.on("error", (error: Error) => done(error, opened));
        opened.once("connect", () => done(undefined, opened));
      });
      const session = new Session(connection, socket, facts);
      await session.rows(SET_SESSION);
      return session;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw error instanceof BackupError ? error : connectFailure(error, subject);
    }
  }

  async rows(sql: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    this.#signal.throwIfAborted();
    const query = values.length === 0 ? { sql } : { sql, values: [...values] };
    try {
      const result = await abortable<QueryResult>([this.#signal], (done) => {
        this.#connection.query(query, (error, answer) => done(error, answer));
      });
      return Array.isArray(result) ? (result as Row[]) : [];
    } catch (error) {
      this.#signal.throwIfAborted();
      throw statementFailure(error, sql, this.#subject);
    }
  }

  async value(sql: string, values: readonly SqlValue[] = []): Promise<string | undefined> {
    const [row = {}] = await this.rows(sql, values);
    return Object.values(row)[0];
  }

  async *dump(request: DumpRequest): AsyncGenerator<readonly Buffer[], never> {
    for (const sql of DUMP_SETTINGS[request.flavour]) await this.rows(sql);
    try {
      return yield* dumpEvents(this.#connection, request);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error instanceof BackupError ? error : followFailure(error, this.#subject);
    } finally {
      // The server would go on for ever.
      this.#socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    const timer = setTimeout(() => this.#socket.destroy(), 1000);
    this.#connection.end();
    await closed;
    clearTimeout(timer);
  }
}

/** Made here and not by the driver, so that an abort can close it in the middle of a login. */
function openSocket(address: ServerAddress): Duplex {
  if (address.kind === "socket") return connect(address.path);
  const socket = connect(address.port, address.host);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  return socket;
}
