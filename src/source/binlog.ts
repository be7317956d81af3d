import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { type Command, CommandError, run } from "../lib/command.ts";
import { meaningOf } from "../lib/system-error.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import { type BinlogScan, BinlogScanner, EncryptedLogError } from "../mysql/binlog-events.ts";
import type { Capture, Source } from "./source.ts";

/** How a server's logs are reached: in its directory on this host, or over the network as a replica does. */
export type LogAccess =
  | { readonly kind: "directory"; readonly directory: string }
  | {
      readonly kind: "protocol";
      /** The program of the server's make, and an option file's text that logs it in. */
      readonly program: string;
      readonly login: string;
    };

/** What a log source learned, and from whom. */
export type BinlogCapture = BinlogScan & { readonly tool: string };

export type BinlogOptions = {
  /** The server's name of a log that it writes to no more. */
  readonly name: string;
  /** Its size as it will be read; another one is a failure. */
  readonly bytes: number;
  readonly access: LogAccess;
  /** See `RunOptions`. */
  readonly idleSeconds?: number;
  readonly onProgress?: (bytes: number) => void;
};

/** The server has the log no more: it was purged. */
class LogGoneError extends BackupError {
  override readonly name: string = "LogGoneError";

  constructor(log: string, cause?: unknown) {
    super("NOT_FOUND", `Cannot copy the binary log "${log}": the server has purged it`, {
      hint: "Run more often, or have the server keep its logs longer; a point in time behind it needs a new copy of the server.",
      cause,
    });
  }
}

const PREFIX = "twindb-backup-binlog-";
const CHUNK_BYTES = 1024 * 1024;

/** Longest beginning of a log that is read to tell what it is. */
const HEAD_BYTES = 16 * 1024 * 1024;

/** So many of the newest logs are looked at to tell whether the server is this host's. */
const SAMPLES = 4;

/** Remove the temporary directories of runs that were killed. */
export async function sweepBinlogScratch(): Promise<void> {
  for (const path of await leftTemporaryDirectories(PREFIX)) await rm(path, { recursive: true, force: true });
}

/** A closed binary log, byte for byte as the server has it, read through while it passes. */
export function binlogSource(options: BinlogOptions): Source<BinlogCapture> {
  return {
    name: options.name,
    async open({ signal }) {
      signal.throwIfAborted();
      const opened = options.access.kind === "directory" ? await openFile(options) : await openProgram(options, signal);
      return new LogCapture(options, opened);
    },
  };
}

/** Bytes of a log, and what to do when they are not needed any more. */
type Opened = { readonly content: ByteStream; readonly tool: string; readonly release: () => Promise<void> };

class LogCapture implements Capture<BinlogCapture> {
  readonly content: ByteStream;
  readonly #opened: Opened;
  #facts: BinlogCapture | undefined;

  constructor(options: BinlogOptions, opened: Opened) {
    this.#opened = opened;
    this.content = this.#scanned(options, new BinlogScanner(options.name));
  }

  async *#scanned(
    { name, bytes, onProgress }: BinlogOptions,
    scanner: BinlogScanner,
  ): AsyncGenerator<Uint8Array, void> {
    let passed = 0;
    for await (const chunk of this.#opened.content) {
      scanner.push(chunk);
      passed += chunk.length;
      onProgress?.(passed);
      yield chunk;
    }
    if (passed !== bytes) {
      const message = `Cannot copy the binary log "${name}": ${passed} bytes came, the server says it has ${bytes}`;
      throw new BackupError("FAILED", message, { retryable: true });
    }
    this.#facts = { ...scanner.finish(), tool: this.#opened.tool };
  }

  facts(): BinlogCapture {
    if (this.#facts === undefined) throw new Error("the log was not read to its end");
    return this.#facts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.release();
  }
}

async function openFile({ name, access }: BinlogOptions): Promise<Opened> {
  const directory = access.kind === "directory" ? access.directory : "";
  const handle = await openLog(join(directory, name), name);
  return { content: chunksOf(handle), tool: "file", release: () => handle.close() };
}

async function openLog(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new LogGoneError(name, error);
    const { code, what } = meaningOf(error);
    throw new BackupError(code, `Cannot read the binary log "${path}": ${what}`, { cause: error });
  }
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array, void> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The program writes files only; a link of the log's name to its own output makes a stream of that. */
async function openProgram(options: BinlogOptions, signal: AbortSignal): Promise<Opened> {
  const { name, access, idleSeconds = 0 } = options;
  if (access.kind !== "protocol") throw new TypeError("a program is needed");
  const scratch = await makeTemporaryDirectory(PREFIX);
  const release = () => rm(scratch, { recursive: true, force: true });
  try {
    const login = join(scratch, "login.cnf");
    await writeFile(login, access.login, { mode: 0o600 });
    const output = join(scratch, "output");
    await mkdir(output, { mode: 0o700 });
    await symlink("/dev/stdout", join(output, name));
    const command = fetchCommand(access.program, { login, output, name });
    const content = explained(run(command, { signal, idleSeconds }), name);
    return { content, tool: command.file.slice(command.file.lastIndexOf("/") + 1), release };
  } catch (error) {
    await release();
    throw error;
  }
}

type Fetch = { readonly login: string; readonly output: string; readonly name: string };

/** Fetch one log over the network, byte for byte. */
function fetchCommand(file: string, { login, output, name }: Fetch): Command {
  const args = [`--defaults-file=${login}`, "--read-from-remote-server", "--raw", `--result-file=${output}/`, name];
  return { file, args };
}

async function* explained(content: ByteStream, name: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* content;
  } catch (error) {
    const said = error instanceof CommandError ? error.stderrTail : "";
    if (/could not find (?:first )?log file/i.test(said)) throw new LogGoneError(name, error);
    if (!/access denied/i.test(said)) throw error;
    throw new BackupError("NOT_PERMITTED", `Cannot copy the binary log "${name}": ${said.trim()}`, {
      hint: "Grant REPLICATION SLAVE to the user of mysql_defaults_file, or run where the server's logs can be read.",
      cause: error,
    });
  }
}

/** What the beginning of a log says, and whether a transaction was seen in it. */
type LogBeginning = { readonly scan: BinlogScan; readonly isBegun: boolean };

/**
 * What the beginning of a log in the server's directory says: when it was begun, by whom, after what.
 * @returns `undefined` when the server has encrypted it.
 * @throws {LogGoneError} when it is not there.
 */
export async function readLogHead(directory: string, name: string): Promise<LogBeginning | undefined> {
  await using handle = await openLog(join(directory, name), name);
  const scanner = new BinlogScanner(name);
  try {
    await scanHead(handle, scanner);
    return { isBegun: scanner.isBegun, scan: scanner.finish() };
  } catch (error) {
    if (error instanceof EncryptedLogError) return undefined;
    throw error;
  }
}

async function scanHead(handle: FileHandle, scanner: BinlogScanner): Promise<void> {
  const buffer = Buffer.alloc(64 * 1024);
  for (let read = 0; read < HEAD_BYTES && !scanner.isBegun; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return;
    scanner.push(buffer.subarray(0, bytesRead));
    read += bytesRead;
  }
}

/**
 * Whether a server's logs can be read on this host: they are there, and the closed ones are as large as the server says. A server elsewhere may
 * well have its logs under the same path.
 * @param logs as the server lists them; the last one is open.
 */
export async function canReadLogs(
  directory: string,
  logs: readonly { readonly name: string; readonly bytes: number }[],
): Promise<boolean> {
  for (const [index, { name, bytes }] of logs.entries()) {
    if (index < logs.length - SAMPLES) continue;
    try {
      await using handle = await openLog(join(directory, name), name);
      const { size } = await handle.stat();
      if (index === logs.length - 1 ? size < bytes : size !== bytes) return false;
    } catch {
      // Not there, or not to be read: then the server has to send them.
      return false;
    }
  }
  return logs.length > 0;
}
