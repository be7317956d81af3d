import { chown, lstat, mkdir, readdir, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { MysqlCaptureFacts } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { humanBytes } from "../domain/human.ts";
import type { ServerFacts } from "../domain/server.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { type Finished, run } from "../lib/command.ts";
import type { Log } from "../lib/log.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";
import { meaningOf } from "../lib/system-error.ts";
import type { Client } from "../mysql/client.ts";
import { checkSame, checksumsSince, factsOfServer } from "./mysql.ts";
import type { Capture, Source } from "./source.ts";
import { openTar, packCommand, type Tar } from "./tar.ts";
import { readReport } from "./tar-report.ts";

export type CloneOptions = {
  /** Start of the stored name, such as `mysql-2026-11-21_02_36_45.tar`. */
  readonly name: string;
  /** Opens another session each time: one runs the statement, another one can end it. Only `signal` ends a session. */
  readonly openClient: (options: { readonly signal: AbortSignal }) => Promise<Client>;
  readonly serverFacts: () => Promise<ServerFacts>;
  /** As in `MysqlOptions`. */
  readonly checksums?: () => Promise<ReadonlyMap<string, string>>;
  /** Where the server may put its clone. `undefined` takes the place beside its data directory, on the same file system. */
  readonly directory?: string | undefined;
  readonly log: Log;
  /** See `RunOptions`. */
  readonly idleSeconds?: number;
  readonly onProgress?: (bytes: number) => void;
};

const PREFIX = ".twindb-clone-";

/** What a server writes besides its data: redo logs of the clone, and room for what is written meanwhile. */
const HEADROOM = 1.1;

/** How long the server may take to end the statement. */
const INTERRUPT_MS = 10_000;

/**
 * A MySQL server's own clone as one tar archive of a data directory; always a full copy.
 *
 * Opening it already makes the clone, which takes as much space again as the data and is removed with the capture.
 * The place of the clone in the server's time is known only after its first start, from `performance_schema.clone_status`. So
 * position and GTID are recorded only when the server's were the same before and after the clone, which proves them; under writes
 * they stay unknown, rather than a little wrong.
 */
export function cloneSource(options: CloneOptions): Source<MysqlCaptureFacts> {
  return {
    name: options.name,
    async open({ signal }) {
      signal.throwIfAborted();
      const tar = await openTar({ signal });
      await using stack = new AsyncDisposableStack();
      const before = await options.serverFacts();
      const place = options.directory ?? dirname(before.datadir);
      await sweepClones(place);
      await checkSpace(place, before);
      const directory = stack.adopt(await makeDirectory(place, before), (path) =>
        rm(path, { recursive: true, force: true }),
      );
      const data = join(directory, "data");
      const checksums = await options.checksums?.();
      await cloneServer(options, data, { signal });
      const after = await options.serverFacts();
      checkSame(before, after);
      const quiet = await checksumsSince(checksums, options);
      return new CloneCapture(options, { signal, tar, data, before, after, quiet, resources: stack.move() });
    },
  };
}

/** Remove the clones in `place` that killed runs left. */
async function sweepClones(place: string): Promise<void> {
  for (const name of (await readdir(place).catch(() => [])).filter((each) => isLeftover(each, PREFIX))) {
    const path = join(place, name);
    if ((await lstat(path)).isDirectory()) await rm(path, { recursive: true, force: true });
  }
}

async function checkSpace(place: string, { dataBytes = 0 }: ServerFacts): Promise<void> {
  const { bavail, bsize } = await statfs(place).catch((cause: unknown) => refused(place, cause));
  const [free, needed] = [bavail * bsize, Math.ceil(dataBytes * HEADROOM)];
  if (free >= needed) return;
  throw new BackupError(
    "NO_SPACE",
    `Cannot clone the server into "${place}": ${humanBytes(free)} are free, ${humanBytes(needed)} are needed`,
    { hint: "Free that space for the time of the backup, or install Percona XtraBackup, which streams without it." },
  );
}

/** The server makes the directory of the clone itself, so it must own the one around it. Nobody else looks inside. */
async function makeDirectory(place: string, { datadir }: ServerFacts): Promise<string> {
  const path = join(place, ownedName(PREFIX));
  try {
    await mkdir(path, { mode: 0o700 });
    const { uid, gid } = await stat(datadir);
    if (uid !== process.geteuid?.()) await chown(path, uid, gid);
    return path;
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    return refused(place, error);
  }
}

function refused(place: string, cause: unknown): never {
  const { code, what } = meaningOf(cause);
  throw new BackupError(code, `Cannot clone the server into "${place}": ${what}`, {
    hint: "Run as root on the server's host; its clone is written beside its data directory, and read from there.",
    cause,
  });
}

/** What the statement needs. */
export type Cloning = Pick<CloneOptions, "openClient" | "log">;

/**
 * Have a server clone its data into a directory of its host, which must not be there yet. An abort ends the statement first.
 * @throws {BackupError} with what to do, by what the server said.
 */
export async function cloneServer(
  options: Cloning,
  directory: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  // Not ended by an abort itself: the server would go on writing where we remove.
  const session = new AbortController();
  await using client = await options.openClient({ signal: session.signal });
  const id = await client.value("SELECT CONNECTION_ID()");
  await using _plugin = await withPlugin(client, options.log);
  const interrupt = () => void interruptStatement(options, id, session);
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    signal.throwIfAborted();
    await client.rows(`CLONE LOCAL DATA DIRECTORY = '${quoted(directory)}'`);
  } catch (error) {
    signal.throwIfAborted();
    throw explainClone(error);
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}

/** In quotes of MySQL, with and without NO_BACKSLASH_ESCAPES: a path with a backslash means something else in one of them. */
function quoted(path: string): string {
  if (!path.includes("\\")) return path.replaceAll("'", "''");
  throw new BackupError("CONFIG_INVALID", `Cannot clone the server into "${path}": the path has a backslash`, {
    hint: "Move the server's data to a directory without one in its name.",
  });
}

/** A lost session would not end the statement. Where it cannot be ended, the session is given up. */
async function interruptStatement(
  { openClient, log }: Cloning,
  id: string | undefined,
  session: AbortController,
): Promise<void> {
  const limit = AbortSignal.timeout(INTERRUPT_MS);
  limit.addEventListener("abort", () => session.abort(limit.reason), { once: true });
  try {
    await using client = await openClient({ signal: limit });
    await client.rows(`KILL QUERY ${Number(id)}`);
  } catch (error) {
    log.warn(`Cannot end the clone of the server: ${meaningOf(error).what}`);
  }
}

/** The plugin, loaded; unloaded again when it was not there before. */
async function withPlugin(client: Client, log: Log): Promise<AsyncDisposable> {
  const status = await client.value("SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'");
  if (status === "ACTIVE") return { async [Symbol.asyncDispose]() {} };
  if (status !== undefined) {
    throw new BackupError("FAILED", `Cannot clone the server: its plugin "clone" is ${status.toLowerCase()}`, {
      hint: "Set clone=ON in the server's option file, then restart it.",
    });
  }
  log.info("loading the server's plugin clone for the time of the copy");
  await client.rows("INSTALL PLUGIN clone SONAME 'mysql_clone.so'").catch((error: unknown) => {
    throw explainClone(error);
  });
  return {
    async [Symbol.asyncDispose]() {
      // It does no harm where it stays, and the copy is made.
      await client.rows("UNINSTALL PLUGIN clone").catch((error: unknown) => {
        log.warn(`Cannot unload the plugin clone again: ${meaningOf(error).what}`);
      });
    },
  };
}

/** What to do, by what the server said. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /BACKUP_ADMIN|Access denied|command denied/i,
    "Grant BACKUP_ADMIN, and INSERT and DELETE on mysql.plugin, to the user of the backup.",
  ],
  [/Too many concurrent clone/i, "Wait until the other clone has ended; the server makes one at a time."],
  [
    /Permission denied|errno: 13|OS errno 13/i,
    "Let the server write beside its data directory: look at AppArmor or SELinux.",
  ],
  [
    /No space left|errno: 28|OS errno 28/i,
    "Free space beside the data directory; the clone needs as much as the data.",
  ],
  [/mysql_clone\.so|Can't open shared library/i, "Install the server's plugin mysql_clone.so, or Percona XtraBackup."],
  [
    /read-only|super-read-only/i,
    "Load the plugin when the server starts: plugin-load-add=mysql_clone.so in its option file.",
  ],
];

function explainClone(error: unknown): unknown {
  if (!(error instanceof BackupError)) return error;
  const hint = HINTS.find(([pattern]) => pattern.test(error.message))?.[1];
  return hint === undefined ? error : new BackupError(error.code, error.message, { hint, cause: error });
}

type Opened = {
  readonly signal: AbortSignal;
  readonly tar: Tar;
  readonly data: string;
  readonly before: ServerFacts;
  readonly after: ServerFacts;
  readonly quiet: Pick<MysqlCaptureFacts, "checksums">;
  readonly resources: AsyncDisposableStack;
};

/** A finished clone that is being read. */
class CloneCapture implements Capture<MysqlCaptureFacts> {
  readonly content: ByteStream;
  readonly #opened: Opened;
  readonly #controller = new AbortController();
  #finished: Finished | undefined;

  constructor({ idleSeconds = 0, onProgress }: CloneOptions, opened: Opened) {
    this.#opened = opened;
    this.content = run(packCommand(opened.tar, opened.data), {
      signal: AbortSignal.any([opened.signal, this.#controller.signal]),
      idleSeconds,
      ...(onProgress && { onProgress }),
      onFinish: (finished) => {
        this.#finished = finished;
      },
    });
  }

  facts(): MysqlCaptureFacts {
    if (this.#finished === undefined) throw new Error("the clone was not read to its end");
    const { before, after } = this.#opened;
    const { binlog, gtid } = after;
    const isSamePlace = binlog?.file === before.binlog?.file && binlog?.offset === before.binlog?.offset;
    return {
      ...factsOfServer(after),
      ...this.#opened.quiet,
      lsn: undefined,
      fromLsn: undefined,
      toLsn: undefined,
      binlog: isSamePlace ? binlog : undefined,
      gtid: gtid === before.gtid ? gtid : undefined,
      format: "tar",
      rawBytes: readReport(this.#finished.stderr, Number.POSITIVE_INFINITY).rawBytes,
      tool: "clone",
      toolVersion: after.version,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new Error("the capture was given up"));
    await this.#opened.resources.disposeAsync();
  }
}
