import { constants } from "node:fs";
import { chmod, copyFile, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareBinlogNames } from "../domain/binlog.ts";
import type { ClosedLog } from "../domain/binlog-incarnation.ts";
import type { SpooledLog, StreamState } from "../domain/binlog-stream.ts";
import { BackupError } from "../domain/errors.ts";
import { parseBinlogName } from "../domain/names.ts";
import { makeDirectories } from "../lib/directories.ts";
import { meaningOf } from "../lib/system-error.ts";
import { MAGIC, readTail, type SpoolTail } from "./spool-tail.ts";

export type { SpoolTail } from "./spool-tail.ts";

/** Whose logs a spool holds. MariaDB has no UUID. */
export type SpoolServer = { readonly uuid: string | undefined; readonly serverId: number; readonly version: string };

const CHUNK_BYTES = 1024 * 1024;
const IDENTITY = "server.json";
const STATE = "state.json";
const ASIDE = "aside-";

/** A directory on this host, of one stream, that holds the server's newest logs: the last one grows, the others are complete. */
export class BinlogSpool implements AsyncDisposable {
  readonly directory: string;
  readonly #limitBytes: number;
  #file: FileHandle | undefined;
  #open: { readonly name: string; bytes: number } | undefined;
  /** Of the logs that are complete. */
  #closedBytes = 0;

  constructor(directory: string, limitBytes: number) {
    this.directory = directory;
    this.#limitBytes = limitBytes;
  }

  /** Make the directory, for nobody else to read. @throws {BackupError} when that cannot be done. */
  async prepare(): Promise<void> {
    await this.#guarded("use", async () => {
      await makeDirectories(this.directory, 0o700);
      await chmod(this.directory, 0o700);
    });
  }

  /** All logs, oldest first. */
  async logs(): Promise<ClosedLog[]> {
    const names = (await readdir(this.directory)).filter((name) => parseBinlogName(name)?.name === name);
    const logs = names.map(async (name) => ({ name, bytes: (await stat(join(this.directory, name))).size }));
    return (await Promise.all(logs)).sort(compareBinlogNames);
  }

  /** Those that are complete. */
  async closed(): Promise<ClosedLog[]> {
    return (await this.logs()).slice(0, -1);
  }

  /** The newest log, read through: what a crash of this host has cut off is taken away. */
  async tail(): Promise<SpoolTail | undefined> {
    const log = (await this.logs()).at(-1);
    return log && this.#guarded("read", () => readTail(join(this.directory, log.name), log.name));
  }

  /** Go on behind what `tail()` has found. */
  async resume({ name, bytes }: SpooledLog): Promise<void> {
    await this.#guarded("write to", async () => {
      await this.#close();
      this.#file = await open(join(this.directory, name), constants.O_WRONLY | constants.O_NOFOLLOW);
      await this.#file.truncate(bytes);
      await this.#file.datasync();
      this.#open = { name, bytes };
    });
    await this.measure();
  }

  /** Complete the open log, and begin the next one. */
  async begin(name: string): Promise<void> {
    await this.#guarded("write to", async () => {
      await this.#close();
      // Complete before it gets its name: whatever has the name of a log is one.
      const path = join(this.directory, `.${name}`);
      const file = await open(path, "w", 0o600);
      this.#file = file;
      await file.write(MAGIC, 0, MAGIC.length, 0);
      await file.datasync();
      await rename(path, join(this.directory, name));
      await this.#syncDirectory();
      this.#open = { name, bytes: MAGIC.length };
    });
    await this.measure();
  }

  /**
   * Write events behind the open log, whole or not at all.
   * @throws {BackupError} NO_SPACE when the disk is full, or the spool holds as much as it may: archive what is complete.
   */
  async append(events: readonly Buffer[]): Promise<void> {
    const [file, log] = [this.#file, this.#open];
    if (file === undefined || log === undefined) throw new TypeError("no log is open");
    if (this.#closedBytes > 0 && this.#closedBytes + log.bytes > this.#limitBytes) throw this.#full();
    await this.#guarded("write to", async () => {
      let at = log.bytes;
      for (const bytes of joined(events)) {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
          done += bytesWritten;
        }
        at += bytes.length;
      }
      log.bytes = at;
    });
  }

  #full(): BackupError {
    const megabytes = Math.floor((this.#closedBytes + (this.#open?.bytes ?? 0)) / 1024 ** 2);
    return new BackupError(
      "NO_SPACE",
      `Cannot write to "${this.directory}": it holds ${megabytes} MB that are not archived yet`,
      { hint: "See why they are not archived, or raise binlog_spool_mb under [mysql]; the server keeps the rest." },
    );
  }

  /** Bytes of the open log that were written. */
  get position(): { readonly name: string; readonly bytes: number } | undefined {
    return this.#open;
  }

  /** What was written survives a loss of power from here on. */
  async sync(): Promise<void> {
    await this.#guarded("write to", async () => this.#file?.datasync());
  }

  /** Look again how much it holds. */
  async measure(): Promise<void> {
    const closed = await this.closed();
    this.#closedBytes = closed.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Remove logs that are archived. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(join(this.directory, name), { force: true });
    await this.measure();
  }

  /** Forget the newest log. */
  async dropNewest(): Promise<void> {
    const newest = (await this.logs()).at(-1);
    await this.#guarded("write to", async () => {
      await this.#close();
      if (newest !== undefined) await rm(join(this.directory, newest.name), { force: true });
      await this.#syncDirectory();
    });
  }

  /** Put the newest log away, or all, where nobody goes on with them. @returns where they are. */
  async setAside({ isAll, now }: { readonly isAll: boolean; readonly now: Date }): Promise<string> {
    const directory = join(this.directory, `${ASIDE}${now.toISOString().replaceAll(/[-:.]/g, "")}`);
    await this.#guarded("write to", async () => {
      await this.#close();
      await mkdir(directory, { mode: 0o700 });
      const logs = await this.logs();
      for (const { name } of isAll ? logs : logs.slice(-1))
        await rename(join(this.directory, name), join(directory, name));
      // Whose they are: what is put aside is a spool of its own.
      await copyFile(join(this.directory, IDENTITY), join(directory, IDENTITY)).catch(() => {});
      await this.#syncDirectory();
    });
    return directory;
  }

  /** What was put away and is still there, oldest first. */
  async aside(): Promise<BinlogSpool[]> {
    const names = (await readdir(this.directory)).filter((name) => name.startsWith(ASIDE)).sort();
    return names.map((name) => new BinlogSpool(join(this.directory, name), this.#limitBytes));
  }

  async server(): Promise<SpoolServer | undefined> {
    const saved = (await readJson(join(this.directory, IDENTITY))) as Partial<SpoolServer> | undefined;
    if (typeof saved?.version !== "string" || typeof saved.serverId !== "number") return undefined;
    return { uuid: saved.uuid, serverId: saved.serverId, version: saved.version };
  }

  /** No logs are left whose server could be asked for. */
  async forget(): Promise<void> {
    for (const name of [IDENTITY, STATE]) await rm(join(this.directory, name), { force: true });
  }

  saveServer(server: SpoolServer): Promise<void> {
    return this.#saveJson(IDENTITY, server);
  }

  saveState(state: StreamState): Promise<void> {
    return this.#saveJson(STATE, state);
  }

  async #saveJson(name: string, value: unknown): Promise<void> {
    const path = join(this.directory, name);
    await this.#guarded("write to", async () => {
      await using file = await open(`${path}.new`, "w", 0o600);
      await file.writeFile(`${JSON.stringify(value)}\n`);
      if (name === IDENTITY) await file.sync();
      await rename(`${path}.new`, path);
    });
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#open = undefined;
    if (file === undefined) return;
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  async #syncDirectory(): Promise<void> {
    await using handle = await open(this.directory, "r");
    await handle.sync();
  }

  async #guarded<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BackupError || error instanceof TypeError) throw error;
      const { code, what } = meaningOf(error);
      const hint = code === "NO_SPACE" ? "Make room there; the server keeps what is not written yet." : undefined;
      throw new BackupError(code, `Cannot ${verb} "${this.directory}": ${what}`, { hint, cause: error });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

/** Events put together to large writes. */
function* joined(events: readonly Buffer[]): Generator<Buffer, void> {
  let part: Buffer[] = [];
  let bytes = 0;
  for (const event of events) {
    part.push(event);
    bytes += event.length;
    if (bytes < CHUNK_BYTES) continue;
    yield part.length === 1 ? event : Buffer.concat(part);
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield Buffer.concat(part);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    // Missing or torn: it is written anew by the next stream.
    return undefined;
  }
}

/** What the stream of a spool said last of itself; `undefined` when none ever ran. */
export async function readStreamState(directory: string): Promise<StreamState | undefined> {
  return (await readJson(join(directory, STATE))) as StreamState | undefined;
}
