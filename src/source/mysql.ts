import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BinlogPosition, MysqlCaptureFacts } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { type ServerFacts, unchanged } from "../domain/server.ts";
import type { BackupRequest, Engine, StreamFacts } from "../engine/engine.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { CommandError, type Finished, run } from "../lib/command.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import type { Capture, Source } from "./source.ts";

export type MysqlOptions = {
  /** Start of the stored name, such as `mysql-2026-11-21_02_36_45.xbstream`. */
  readonly name: string;
  readonly engine: Engine;
  /** How the tool reaches the server, and with what. */
  readonly request: Omit<BackupRequest, "lsnDirectory" | "scratchDirectory">;
  /** Asked once before and once after the copy. */
  readonly serverFacts: () => Promise<ServerFacts>;
  /** The GTID at a place in the binary log, where the tool has not noted it down; `undefined` when the server does not know. */
  readonly gtidAt: (position: BinlogPosition) => Promise<string | undefined>;
  /** Checksums of tables, taken before and after the copy; those that are equal are recorded. */
  readonly checksums?: () => Promise<ReadonlyMap<string, string>>;
  /** Make the server ready, such as a cluster's node that need not keep up meanwhile; disposing it undoes that. */
  readonly enter?: () => Promise<AsyncDisposable>;
  /** See `RunOptions`. */
  readonly idleSeconds?: number;
  readonly onProgress?: (bytes: number) => void;
};

const PREFIX = "twindb-backup-mysql-";

/** How often progress has to be told for the last of it to stand for the size: about ten seconds, so that half a second does not matter. */
const ENOUGH_TICKS = 20;

/** Remove the temporary directories of runs that were killed. */
export async function sweepMysqlScratch(): Promise<void> {
  for (const path of await leftTemporaryDirectories(PREFIX)) await rm(path, { recursive: true, force: true });
}

/** A running server as a stream of the tool's. Its content fails at its end unless all the tool wrote down says that it is complete. */
export function mysqlSource(options: MysqlOptions): Source<MysqlCaptureFacts> {
  return {
    name: options.name,
    async open({ signal }) {
      signal.throwIfAborted();
      await using stack = new AsyncDisposableStack();
      const scratch = stack.adopt(await makeTemporaryDirectory(PREFIX), (path) =>
        rm(path, { recursive: true, force: true }),
      );
      const directories = { lsnDirectory: join(scratch, "lsn"), scratchDirectory: join(scratch, "tmp") };
      for (const path of Object.values(directories)) await mkdir(path, { mode: 0o700 });
      const before = await options.serverFacts();
      const checksums = await options.checksums?.();
      if (options.enter !== undefined) stack.use(await options.enter());
      return new MysqlCapture(options, { signal, before, checksums, directories, resources: stack.move() });
    },
  };
}

type Opened = {
  readonly signal: AbortSignal;
  readonly before: ServerFacts;
  readonly checksums: ReadonlyMap<string, string> | undefined;
  readonly directories: Pick<BackupRequest, "lsnDirectory" | "scratchDirectory">;
  readonly resources: AsyncDisposableStack;
};

/** One run of the tool. */
class MysqlCapture implements Capture<MysqlCaptureFacts> {
  readonly content: ByteStream;
  readonly #options: MysqlOptions;
  readonly #opened: Opened;
  readonly #controller = new AbortController();
  #written = { bytes: 0, ticks: 0 };
  #facts: MysqlCaptureFacts | undefined;

  constructor(options: MysqlOptions, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
    const { engine, request, idleSeconds = 0 } = options;
    this.content = run(engine.backup({ ...request, ...opened.directories }), {
      signal: AbortSignal.any([opened.signal, this.#controller.signal]),
      idleSeconds,
      onProgress: (bytes) => this.#note(bytes),
      onFinish: (finished) => this.#check(finished),
    });
  }

  facts(): MysqlCaptureFacts {
    if (this.#facts === undefined) throw new Error("the copy was not read to its end");
    return this.#facts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new Error("the capture was given up"));
    await this.#opened.resources.disposeAsync();
  }

  #note(bytes: number): void {
    this.#written = { bytes, ticks: this.#written.ticks + 1 };
    this.#options.onProgress?.(bytes);
  }

  async #check({ stderr }: Finished): Promise<void> {
    const { engine, request } = this.#options;
    const stream = engine.facts({ stderr, files: await textsIn(this.#opened.directories.lsnDirectory) });
    checkStart(stream, request.incrementalLsn);
    const server = await this.#sameServer();
    this.#facts = {
      ...factsOfServer(server),
      ...(await checksumsSince(this.#opened.checksums, this.#options)),
      lsn: stream.toLsn,
      fromLsn: stream.fromLsn,
      toLsn: stream.toLsn,
      binlog: stream.binlog,
      gtid: stream.gtid ?? (await this.#gtidAt(server, stream.binlog)),
      format: engine.format,
      rawBytes: this.#written.ticks < ENOUGH_TICKS ? undefined : this.#written.bytes,
      tool: engine.name,
      toolVersion: engine.version,
    };
  }

  async #sameServer(): Promise<ServerFacts> {
    const { before } = this.#opened;
    const after = await this.#options.serverFacts();
    checkSame(before, after);
    return after;
  }

  /** MariaDB's tool leaves it out when the last events in the binary log are another server's. */
  async #gtidAt({ vendor }: ServerFacts, position: BinlogPosition | undefined): Promise<string | undefined> {
    if (vendor !== "mariadb" || position === undefined) return undefined;
    // The position says the same; it is no reason to throw a complete copy away.
    return this.#options.gtidAt(position).catch(() => undefined);
  }
}

/** Checksums of the tables that are as they were before. */
export async function checksumsSince(
  before: ReadonlyMap<string, string> | undefined,
  options: Pick<MysqlOptions, "checksums">,
): Promise<Pick<MysqlCaptureFacts, "checksums">> {
  const after = before && (await options.checksums?.());
  return before && after ? { checksums: unchanged(before, after) } : {};
}

/** What every copy of a server records of it. */
export function factsOfServer(server: ServerFacts) {
  return {
    vendor: server.vendor,
    serverVersion: server.version,
    serverUuid: server.uuid,
    datadirId: server.datadirId,
    galeraVersion: server.galeraVersion,
  } as const;
}

/** @throws {BackupError} FAILED when the server was replaced by another one while it was copied. */
export function checkSame(before: ServerFacts, after: ServerFacts): void {
  const identity = ({ vendor, version, uuid, datadirId }: ServerFacts) => [vendor, version, uuid, datadirId];
  const then = identity(before);
  if (identity(after).every((value, index) => value === then[index])) return;
  throw new BackupError("FAILED", `Cannot trust the copy of "${before.datadir}": the server was replaced meanwhile`, {
    hint: "Run the backup again when nobody upgrades or restores the server.",
  });
}

/** The tool takes any LSN for an increment, and says nothing when it is a wrong one. */
function checkStart({ fromLsn }: StreamFacts, asked: bigint | undefined): void {
  const wanted = asked ?? 0n;
  if (fromLsn === wanted) return;
  throw new BackupError("PROGRAM_FAILED", `Cannot trust the copy: it starts at LSN ${fromLsn}, not at ${wanted}`, {
    hint: "Take a full copy with --full.",
  });
}

async function textsIn(directory: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const name of await readdir(directory)) texts.set(name, await readFile(join(directory, name), "utf8"));
  return texts;
}

/** Say what to do about a failure of the tool, by what it said; any other error as it is. */
export function explainBackup(error: unknown, engine: Pick<Engine, "hintFor">): unknown {
  if (!(error instanceof CommandError)) return error;
  const hint = engine.hintFor(error.stderrTail);
  return hint === undefined ? error : new BackupError(error.code, error.message, { hint, cause: error });
}

/** What a tool says whose session the cluster ended, because a change from another node could not wait for the backup. */
const CLUSTER_ABORT = /Query execution was interrupted|Deadlock found|Connection was killed|WSREP.*abort/i;

/** Whether a copy failed because the cluster ended it: another try may succeed. */
export function isClusterAbort(error: unknown): boolean {
  return error instanceof CommandError && CLUSTER_ABORT.test(error.stderrTail);
}

/** What a tool says that can take no increment on any copy from before, such as one with other undo tablespaces. */
const REFUSED = /incremental backup is impossible/i;

/** Whether a copy failed because nothing but a full one is possible. */
export function isRefusedIncrement(error: unknown): boolean {
  return error instanceof CommandError && REFUSED.test(error.stderrTail);
}
