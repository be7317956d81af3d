import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { Secret } from "../domain/secret.ts";
import { includedFiles } from "./include-directory.ts";
import { type Include, type Option, optionName, parseOptionFile } from "./option-file.ts";

/** How far a connection is encrypted and its server trusted, in the words of `ssl-mode`. */
const TLS_MODES = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] as const;

type TlsMode = (typeof TLS_MODES)[number];

/** What an option file says about logging in. `undefined` is what it does not say. */
export type LoginOptions = {
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly socket: string | undefined;
  readonly tls: {
    readonly mode: TlsMode;
    /** Paths of PEM files. */
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
};

/**
 * The groups that the backup tools read for their own login, those that win last. Not `[mysql]`, which they do not read: with what is
 * there alone we would get in and they would not.
 */
const GROUPS = [
  ["client", "client-server", "client-mariadb"],
  ["xtrabackup", "mariabackup", "mariadb-backup"],
];

/** As deep as the clients follow includes. */
const MAX_DEPTH = 10;

/**
 * Read an option file with the credentials, and the files it includes, as the backup tools do.
 * @param groups further groups to read; each wins over those before it.
 * @throws {BackupError} CONFIG_INVALID when it is missing, malformed, or may be changed by others; NOT_PERMITTED when it cannot be read.
 */
export async function readDefaultsFile(path: string, groups: readonly string[] = []): Promise<LoginOptions> {
  return loginOptions(await readOptions(path, 0), path, groups);
}

/** The login that options make; of several lines about one thing the last counts. @throws {BackupError} CONFIG_INVALID. */
export function loginOptions(options: readonly Option[], path: string, groups: readonly string[] = []): LoginOptions {
  const last = lastValues(options, groups);
  const password = last.get("password");
  const port = last.get("port");
  return {
    user: last.get("user") || undefined,
    password: password ? new Secret(password) : undefined,
    host: last.get("host") || undefined,
    port: port === undefined ? undefined : readPort(port, path),
    socket: last.get("socket") || undefined,
    tls: {
      mode: tlsMode(last, path),
      ca: last.get("ssl-ca") || undefined,
      cert: last.get("ssl-cert") || undefined,
      key: last.get("ssl-key") || undefined,
    },
  };
}

/** An option without a value counts as `1`, one with `skip-` as `0`. */
function lastValues(options: readonly Option[], more: readonly string[]): ReadonlyMap<string, string> {
  const last = new Map<string, string>();
  for (const groups of [...GROUPS, ...more.map((group) => [group.toLowerCase()])]) {
    for (const { group, name, value } of options) {
      if (!groups.includes(group)) continue;
      const [, isOff, base = ""] = /^(skip-|disable-)?(?:enable-)?(.*)$/s.exec(name) ?? [];
      if (isOff !== undefined) last.set(base, "0");
      // A password without a value asks the user for one; nobody is there to answer.
      else if (value !== undefined || /^ssl(-verify-server-cert)?$/.test(base)) last.set(base, value ?? "1");
    }
  }
  return last;
}

function invalid(what: string, path: string, hint: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use "${path}": ${what}`, { hint });
}

/** 0 stands for the default. */
function readPort(text: string, path: string): number | undefined {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port === 0 ? undefined : port;
  throw invalid(`its port ${JSON.stringify(text)} is not a number from 1 to 65535`, path, "Correct the line.");
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !/^(0|off|false|no)$/i.test(value);
}

/** As the clients: naming an authority asks for a server that it vouches for. */
function tlsMode(last: ReadonlyMap<string, string>, path: string): TlsMode {
  const named = last.get("ssl-mode");
  if (named !== undefined) {
    const mode = TLS_MODES.find((each) => each === optionName(named).replaceAll("-", "_").toUpperCase());
    if (mode !== undefined) return mode;
    throw invalid(
      `its ssl-mode ${JSON.stringify(named)} is unknown`,
      path,
      `Set it to one of ${TLS_MODES.join(", ")}.`,
    );
  }
  const ssl = last.get("ssl");
  if (ssl !== undefined && !isOn(ssl)) return "DISABLED";
  if (isOn(last.get("ssl-verify-server-cert"))) return "VERIFY_IDENTITY";
  if (last.get("ssl-ca")) return "VERIFY_CA";
  return ssl === undefined ? "PREFERRED" : "REQUIRED";
}

async function readOptions(path: string, depth: number): Promise<Option[]> {
  const options: Option[] = [];
  for (const each of parseOptionFile(await readPrivate(path), path)) {
    if (each.kind === "option") options.push(each);
    else if (depth < MAX_DEPTH) options.push(...(await readIncluded(each, path, depth + 1)));
  }
  return options;
}

async function readIncluded({ kind, path }: Include, from: string, depth: number): Promise<Option[]> {
  const options: Option[] = [];
  for (const file of kind === "file" ? [path] : await listDirectory(path, from)) {
    try {
      options.push(...(await readOptions(file, depth)));
    } catch (error) {
      // The clients pass over an included file that is not there.
      if (!isMissing(error)) throw error;
    }
  }
  return options;
}

function isMissing(error: unknown): boolean {
  return error instanceof BackupError && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

async function listDirectory(path: string, from: string): Promise<string[]> {
  try {
    return await includedFiles(path);
  } catch (cause) {
    throw new BackupError("CONFIG_INVALID", `Cannot use "${from}": it includes "${path}", which cannot be listed`, {
      hint: "Make the directory, or remove the line; the backup tools refuse such a file as well.",
      cause,
    });
  }
}

async function readPrivate(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    await using handle = await open(absolute, "r");
    checkStats(await handle.stat(), absolute);
    return await handle.readFile("utf8");
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw unopened(absolute, cause as NodeJS.ErrnoException);
  }
}

/** Whoever can write the file can have the backup run against a server of his, or as somebody else. */
function checkStats(stats: Stats, path: string): void {
  if (!stats.isFile())
    throw invalid("it is not a file", path, "Set mysql_defaults_file to the file with user and password.");
  if ((stats.mode & 0o022) === 0) return;
  throw invalid("others than its owner may write it", path, `Run "chmod go-w ${path}".`);
}

function unopened(path: string, cause: NodeJS.ErrnoException): BackupError {
  if (cause.code === "ENOENT" || cause.code === "ENOTDIR") {
    return new BackupError("CONFIG_INVALID", `Cannot read "${path}": there is no such file`, {
      hint: "Write user and password into its group [client], or set mysql_defaults_file under [mysql] in the config file.",
      cause,
    });
  }
  return new BackupError("NOT_PERMITTED", `Cannot read "${path}": ${cause.message}`, {
    hint: "Run as root, or as a user who may read it.",
    cause,
  });
}
