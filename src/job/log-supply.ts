import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { isLost, isReplayed } from "../domain/binlog-join.ts";
import type { BinlogCopy, Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { parseGtidPosition, reachesPosition } from "../domain/gtid-position.ts";
import { containsGtids, parseGtidSet } from "../domain/gtid-set.ts";
import { type Cut, LogCutter } from "../domain/log-cut.ts";
import type { RecoveryPlan } from "../domain/recovery-plan.ts";
import { versionNumbers } from "../domain/server.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { meaningOf } from "../lib/system-error.ts";
import { type BinlogScan, BinlogScanner } from "../mysql/binlog-events.ts";
import { blame } from "./blame.ts";
import { readCopy } from "./restore-file.ts";
import type { PartReading } from "./unpack-part.ts";

/** A log that was fetched and proven, and what of it is replayed. */
export type SuppliedLog = {
  readonly copy: BinlogCopy;
  readonly file: string;
  readonly scan: BinlogScan;
  readonly cut: Cut;
};

export type SupplyOptions = {
  readonly plan: Pick<RecoveryPlan, "logs" | "joins" | "start" | "target" | "excluded">;
  /** Leading logs of the plan that are not needed. */
  readonly skipped: number;
  /** Of the server the logs are of. */
  readonly vendor: Vendor;
  /** What the copy holds, as GTIDs: where no place in the log tells where the replay begins. */
  readonly held: string | undefined;
  /** Where the logs lie for a while; made when it is missing. Logs that are complete there are not fetched again. */
  readonly directory: string;
  readonly openLog: (copy: BinlogCopy) => Promise<PartReading>;
  /** Most logs and bytes on disk at a time, beside the one that is replayed. */
  readonly ahead: { readonly logs: number; readonly bytes: number };
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
};

const PART = ".part";

/**
 * The logs of a plan, one after the other, fetched ahead of the replay within bounds. Ends behind the log in which the replay stops. Each log
 * may be removed once the next one is asked for.
 * @throws {CopyError} DATA_DAMAGED naming the log that is not what was recorded, or no whole log.
 */
export async function* supplyLogs(options: SupplyOptions): AsyncGenerator<SuppliedLog, void> {
  const { plan, directory, ahead, signal } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const controller = new AbortController();
  const own = { ...options, signal: AbortSignal.any([signal, controller.signal]) };
  const coming: { readonly log: Promise<SuppliedLog>; readonly bytes: number }[] = [];
  const applied: { readonly file: string; readonly bytes: number }[] = [];
  let next = options.skipped;
  const order = () => {
    const bytes = () => coming.reduce((sum, each) => sum + each.bytes, 0);
    while (next < plan.logs.length && (coming.length === 0 || (coming.length < ahead.logs && bytes() < ahead.bytes))) {
      const copy = plan.logs[next];
      if (copy === undefined) break;
      const before = coming.at(-1)?.log;
      coming.push({
        log: inTurn(before, copy, { ...own, index: next }),
        bytes: copy.rawBytes ?? copy.bytes ?? 0,
      });
      next += 1;
    }
  };
  try {
    order();
    for (let first = coming.shift(); first !== undefined; first = coming.shift()) {
      order();
      const log = await first.log;
      yield log;
      if (log.cut.stop !== undefined) return;
      applied.push({ file: log.file, bytes: log.scan.bytes });
      await makeRoom(applied, ahead.bytes);
      order();
    }
  } finally {
    controller.abort(new Error("the logs behind are not wanted"));
    await Promise.allSettled(coming.map(({ log }) => log));
  }
}

/** What was applied stays while there is room, to tell places in it should a statement be refused. */
async function makeRoom(applied: { readonly file: string; readonly bytes: number }[], limit: number): Promise<void> {
  const total = () => applied.reduce((sum, { bytes }) => sum + bytes, 0);
  while (applied.length > 1 && total() > limit / 2) {
    const oldest = applied.shift();
    if (oldest !== undefined) await rm(oldest.file, { force: true });
  }
}

type Fetching = SupplyOptions & {
  /** Of the log in the plan. */
  readonly index: number;
};

/** One fetch at a time uses the network best, and keeps the order. */
function inTurn(before: Promise<unknown> | undefined, copy: BinlogCopy, options: Fetching): Promise<SuppliedLog> {
  const log = (before ?? Promise.resolve()).then(
    () => supply(copy, options),
    () => Promise.reject(new Error("a log before it could not be had")),
  );
  // It is awaited when its turn comes.
  log.catch(() => {});
  return log;
}

async function supply(copy: BinlogCopy, options: Fetching): Promise<SuppliedLog> {
  const { signal } = options;
  signal.throwIfAborted();
  const file = join(await placeOf(options), copy.name);
  const there = await stat(file).catch(() => undefined);
  const content = there === undefined ? fetched(copy, file, options) : (createReadStream(file) as ByteStream);
  const cutter = cutterFor(copy, options);
  let refusal: unknown;
  const scanner = new BinlogScanner(copy.name, {
    onTransaction: (transaction) => {
      try {
        if (refusal === undefined) cutter.add(transaction);
      } catch (error) {
        refusal = error;
      }
    },
  });
  try {
    for await (const chunk of content) scanner.push(chunk);
    const scan = scanner.finish();
    if (there === undefined) await rename(`${file}${PART}`, file);
    await checkWhole(copy, scan, file);
    if (refusal !== undefined) throw refusal;
    return { copy, file, scan, cut: cutter.finish(scan.log.endOffset) };
  } catch (error) {
    throw refusal ?? blame(copy.key, explained(copy, error));
  }
}

/** Names of logs come again on a server that took over. */
async function placeOf({ directory, plan, index }: Fetching): Promise<string> {
  const leg = plan.joins.filter(({ at }) => at <= index).length;
  if (leg === 0) return directory;
  const place = join(directory, String(leg));
  await mkdir(place, { recursive: true, mode: 0o700 });
  return place;
}

/** A full disk, and whatever else the system says. */
function explained({ key }: BinlogCopy, error: unknown): unknown {
  if (error instanceof BackupError || !(error instanceof Error) || !("syscall" in error)) return error;
  const { code, what } = meaningOf(error);
  return new BackupError(code, `Cannot fetch "${key}": ${what}`, {
    hint: "Restore into a directory on a larger disk; a few binary logs lie there beside the data for a while.",
    cause: error,
  });
}

/** The content of a stored log, which is written to a file as it passes. */
async function* fetched(copy: BinlogCopy, file: string, { openLog, idleSeconds, signal }: Fetching): ByteStream {
  await using reading = await openLog(copy);
  const { destination, stored, decoders, explain } = reading;
  await using handle = await open(`${file}${PART}`, "w", 0o600);
  try {
    for await (const chunk of readCopy({ destination, copy: stored, decoders, explain, idleSeconds, signal })) {
      for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
      yield chunk;
    }
  } catch (error) {
    throw explain(error);
  }
}

/** A log that breaks off is used as far as it goes only when that was known; the tools would stumble over its end. */
async function checkWhole({ key, log }: BinlogCopy, { damage, log: found }: BinlogScan, file: string): Promise<void> {
  if (damage === undefined) return;
  if (log?.end !== "torn") {
    throw new BackupError("DATA_DAMAGED", `Cannot replay "${key}": at ${damage.offset} ${damage.what}`, {
      hint: "Verify the archived binary logs of this host, and stop before this one.",
    });
  }
  await truncate(file, found.endOffset);
}

function cutterFor(copy: BinlogCopy, { plan, vendor, held, index }: Fetching): LogCutter {
  const { start, target, excluded, joins } = plan;
  const [major = 0] = versionNumbers(copy.serverVersion ?? "");
  return new LogCutter({
    name: copy.name,
    from: index === 0 && start.kind === "position" ? start.offset : 0,
    target,
    excluded,
    isExact: vendor !== "mariadb" && major >= 8,
    ...(start.kind === "gtid" && held !== undefined && { isHeld: holderOf(vendor, held) }),
    ...(joins.length > 0 && {
      isLost: (gtid: string) => isLost(gtid, index, joins),
      isReplayed: (gtid: string) => isReplayed(gtid, index, joins),
    }),
  });
}

function holderOf(vendor: Vendor, held: string): (gtid: string) => boolean {
  if (vendor === "mariadb") {
    const position = parseGtidPosition(held);
    return (gtid) => reachesPosition(position, parseGtidPosition(gtid));
  }
  const set = parseGtidSet(held);
  return (gtid) => containsGtids(set, parseGtidSet(gtid));
}

/** Remove what a run that was killed left half fetched. */
export async function sweepLogs(directory: string): Promise<void> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  for (const name of names.filter((each) => each.endsWith(PART))) await rm(join(directory, name), { force: true });
}
