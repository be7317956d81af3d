import { type BinlogCatalogue, catalogueOf } from "../domain/binlog-catalogue.ts";
import { describeGap } from "../domain/binlog-gap.ts";
import { type ClosedLog, type LogHead, logsToCopy, newIncarnation, timelineOf } from "../domain/binlog-incarnation.ts";
import { isSameServer, lastTakeover, requireWriter } from "../domain/binlog-writer.ts";
import type { BinlogCopy, MysqlCopy, ServerIdentity } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Logged } from "../domain/logged.ts";
import { copyKey, parseCopyKey, withoutSuffixes } from "../domain/names.ts";
import { locateBinlogs, unrecorded } from "../domain/reconcile.ts";
import type { Digest } from "../lib/bytes.ts";
import { suffixesOf } from "../modifier/chain.ts";
import type { BinlogScan } from "../mysql/binlog-events.ts";
import type { Source } from "../source/source.ts";
import { expireBinlogs, type Forebears } from "./expire-binlogs.ts";
import { removeCopies, storeCopy } from "./shelf.ts";
import {
  type Found,
  type Kept,
  modified,
  openShelf,
  openTap,
  publishTap,
  release,
  stepsOf,
  type Workshop,
} from "./workshop.ts";

/** What a run of a log's source learned. */
type LogCapture = BinlogScan & { readonly tool: string };

/** A server's binary logs, oldest first; the last one is being written to. */
export type LogListing = {
  readonly uuid: string | undefined;
  readonly serverId: number;
  readonly version: string;
  readonly logs: readonly ClosedLog[];
};

/** A server whose binary logs are archived. */
export type LogServer = {
  /** `undefined` when the server keeps none. */
  readonly list: () => Promise<LogListing | undefined>;
  /** Whether a transaction was written to a log. */
  readonly holdsTransactions: (log: ClosedLog) => Promise<boolean>;
  /** Close the log that is being written to, and begin another one. */
  readonly rotate: () => Promise<void>;
  readonly headOf: (log: ClosedLog) => Promise<LogHead>;
  /** All that it has logged, of MariaDB the last of each domain and server; asked of one that may have been replaced. */
  readonly logged?: () => Promise<Logged>;
  readonly openSource: (log: ClosedLog, onProgress: (bytes: number) => void) => Source<LogCapture>;
};

/** Second copies of binlogs on this host. */
export type LocalBinlogs = Kept & {
  /** Remove those that are from before an instant; what is not in `copies` is as old as its file. */
  expire(copies: readonly BinlogCopy[], before: Date): Promise<void>;
};

/** Everything an archiving of binary logs needs. */
export type BinlogBackup = Workshop<"binlog"> & {
  readonly local: LocalBinlogs | undefined;
  readonly server: LogServer;
  /** Age in seconds from which on the log that is being written to is closed, to be copied, when it holds anything; infinite for never. */
  readonly rotateSeconds: number;
  readonly expireDays: number;
  readonly forebears: () => Promise<Forebears>;
  /** The MySQL copies of the host, and whether that list cannot be trusted. */
  readonly mysqlCopies: () => Promise<{ readonly copies: readonly MysqlCopy[]; readonly doubtful: boolean }>;
};

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Archive the binary logs of a server that it writes to no more, and expire what no kept copy needs. Each is recorded as soon as it is
 * stored, so a run that fails is gone on with by the next one.
 * @returns whether the server keeps binary logs at all.
 */
export async function backupBinlogs(backup: BinlogBackup): Promise<boolean> {
  await refuseZombie(backup);
  const before = await openShelf(backup, "binlog", ({ status, objects }) => locateBinlogs(status, objects));
  const listing = await closedLogs(backup);
  if (listing === undefined) return false;
  const archived = await archive(backup, before, listing);
  const kept = new Map([...before.status.copies, ...archived].map((copy) => [withoutSuffixes(copy.key), copy]));
  const doubts = new Map([...before.doubts].filter(([key]) => !archived.some((copy) => copy.key === key)));
  const catalogue = catalogueOf(kept.values(), doubts);
  tellGaps(backup, catalogue, archived);
  if (!before.doubtful) await expire(backup, before, catalogue);
  return true;
}

/** Before anything is changed: a primary that was replaced may wake up, and go on as if nothing had happened. */
async function refuseZombie({ server, shelf, signal }: BinlogBackup): Promise<void> {
  const listing = await server.list();
  if (listing === undefined) return;
  const { status } = await shelf.status.load({ signal });
  const isReplaced = status.copies.some(({ ended }) => ended !== undefined && !isSameServer(ended.to, listing));
  const logged = isReplaced ? await server.logged?.() : undefined;
  requireWriter(status.copies, { ...listing, ...(logged !== undefined && { logged }) }, shelf.host);
}

/** What the server has closed, after it was made to close what it holds back. */
async function closedLogs(backup: BinlogBackup): Promise<LogListing | undefined> {
  const { server, log } = backup;
  let listing = await server.list();
  const open = listing?.logs.at(-1);
  if (open !== undefined && (await isDue(backup, open))) {
    await server.rotate();
    log.info(`had the server close "${open.name}"`);
    listing = await server.list();
  }
  return listing && { ...listing, logs: listing.logs.slice(0, -1) };
}

/** A log without transactions is left open: an idle server would get an empty one with each run. */
async function isDue({ server, rotateSeconds, now }: BinlogBackup, open: ClosedLog): Promise<boolean> {
  if (rotateSeconds === Number.POSITIVE_INFINITY || !(await server.holdsTransactions(open))) return false;
  if (rotateSeconds === 0) return true;
  const { createdAt } = await server.headOf(open);
  return createdAt === undefined || now().getTime() - createdAt.getTime() >= rotateSeconds * 1000;
}

/** What to archive, and where. */
type Plan = {
  readonly listing: LogListing;
  readonly logs: readonly ClosedLog[];
  readonly incarnation: string | undefined;
  /** Archived before, and not there any more. */
  readonly gone: ReadonlyMap<string, BinlogCopy>;
};

async function planArchive(
  backup: BinlogBackup,
  before: Found<"binlog">,
  listing: LogListing,
): Promise<Plan | undefined> {
  const { uuid, serverId, logs: closed } = listing;
  const catalogue = catalogueOf(before.status.copies, before.doubts);
  const timeline = await timelineOf({ uuid, serverId, closed, headOf: backup.server.headOf }, catalogue);
  // Of a record of the predecessor there may be several objects, none of which is named like it.
  const there = new Set(before.objects.map(({ key }) => withoutSuffixes(key)));
  const isGone = ({ key }: BinlogCopy): boolean =>
    before.doubts.get(key) === "gone" && !there.has(withoutSuffixes(key));
  const gone = new Map((timeline?.logs ?? []).filter(isGone).map((copy) => [copy.name, copy]));
  const logs = logsToCopy(closed, timeline, new Set(gone.keys()));
  if (logs.length === 0) return undefined;
  const known = { server: { uuid, serverId }, before, catalogue, logs };
  if (timeline !== undefined && !isTaken(known, timeline.incarnation, backup)) {
    return { listing, logs, gone, incarnation: timeline.incarnation };
  }
  return { listing, logs, gone: new Map(), incarnation: await beginTimeline(backup, known) };
}

async function archive(backup: BinlogBackup, before: Found<"binlog">, listing: LogListing): Promise<BinlogCopy[]> {
  const plan = await planArchive(backup, before, listing);
  if (plan === undefined) return [];
  const archived: BinlogCopy[] = [];
  let purged: unknown;
  for (const log of plan.logs) {
    const lost = plan.gone.get(log.name);
    if (lost !== undefined) await removeCopies(backup.shelf, [lost], { signal: backup.signal });
    try {
      archived.push(await archiveLog(backup, log, plan));
      purged = undefined;
    } catch (error) {
      if (!isPurged(error)) throw error;
      purged = error;
    }
  }
  // What lies before an archived log is told as a gap.
  if (purged !== undefined) backup.onFailure(purged);
  return archived;
}

function isPurged(error: unknown): boolean {
  return error instanceof Error && error.name === "LogGoneError";
}

type Known = {
  readonly server: ServerIdentity;
  readonly before: Found<"binlog">;
  readonly catalogue: BinlogCatalogue;
  readonly logs: readonly ClosedLog[];
};

/** Whether objects that nobody recorded lie where the logs would go. They are not ours: never replaced. */
function isTaken({ before, logs }: Known, incarnation: string | undefined, { shelf }: BinlogBackup): boolean {
  const { foreign } = unrecorded(before.status, "binlog", before.objects);
  const wanted = new Set(logs.map(({ name }) => copyKey({ media: "binlog", host: shelf.host, incarnation, name })));
  return foreign.some(({ key }) => wanted.has(withoutSuffixes(key)));
}

/** The folder for logs that are none of a known timeline; the first of all have none. */
async function beginTimeline(backup: BinlogBackup, known: Known): Promise<string | undefined> {
  const { before, catalogue, logs } = known;
  const [first] = logs;
  if (first === undefined) throw new TypeError("a timeline begins with a log");
  if (catalogue.timelines.length === 0 && !isTaken(known, undefined, backup)) return undefined;
  const folders = before.objects.map(({ key }) => parseCopyKey(key));
  const taken = folders.flatMap((parts) => (parts?.media === "binlog" ? (parts.incarnation ?? []) : []));
  const recorded = before.status.copies.flatMap((copy) => copy.incarnation ?? []);
  const name = newIncarnation(await backup.server.headOf(first), backup.now(), new Set([...taken, ...recorded]));
  const apart = `they are archived apart, in "${name}"`;
  const takeover = lastTakeover(before.status.copies)?.end;
  if (takeover !== undefined && isSameServer(takeover.to, known.server)) {
    backup.log.info(`the binary logs of the server that took over begin with "${first.name}"; ${apart}`);
    return name;
  }
  backup.log.warn(
    `The binary logs of the server begin anew with "${first.name}"; ${apart}, and a point in time there needs a copy of the server from now on`,
  );
  return name;
}

async function archiveLog(backup: BinlogBackup, log: ClosedLog, { incarnation, listing }: Plan): Promise<BinlogCopy> {
  const { shelf, signal } = backup;
  const suffixes = suffixesOf(stepsOf(backup));
  const key = copyKey({ media: "binlog", host: shelf.host, incarnation, name: log.name + suffixes.join("") });
  const source = backup.server.openSource(log, backup.progress(`binlog ${log.name}`, log.bytes));
  const capture = await source.open({ signal });
  await using _released = { [Symbol.asyncDispose]: () => release(backup, capture) };
  await using tap = await openTap(backup, key);
  const { content, failure } = modified(backup, capture.content, tap);
  let copy: BinlogCopy | undefined;
  const describe = (digest: Digest): BinlogCopy => {
    const stored = { key, host: shelf.host, suffixes, ...digest, verified: undefined };
    copy = { ...recordOf(capture.facts()), ...stored, name: log.name, incarnation, serverUuid: listing.uuid };
    return copy;
  };
  const allow = ({ copies }: { readonly copies: readonly BinlogCopy[] }) => requireWriter(copies, listing, shelf.host);
  await storeCopy(shelf, { key, content, describe, allow }, { signal });
  if (copy === undefined) throw new TypeError("a stored copy was described");
  backup.log.info(`stored "${key}"`);
  tellDamage(backup, log, capture.facts());
  await publishTap(backup, tap, failure());
  return copy;
}

function recordOf({ bytes, tool, createdAt, serverVersion, gtid, log }: LogCapture) {
  return {
    media: "binlog",
    rawBytes: bytes,
    tool,
    toolVersion: undefined,
    createdAt,
    serverVersion,
    gtid,
    log,
  } as const;
}

/** A server that crashed may leave its last log cut off; whether anything was lost, the next one tells. */
function tellDamage({ log }: BinlogBackup, { name }: ClosedLog, { damage }: LogCapture): void {
  if (damage === undefined) return;
  log.warn(`"${name}" is archived as the server has it, which is not whole: at byte ${damage.offset}, ${damage.what}`);
}

/** A gap is told by the run that archives what comes after it. */
function tellGaps(backup: BinlogBackup, { timelines }: BinlogCatalogue, archived: readonly BinlogCopy[]): void {
  const names = new Set(archived.map(({ incarnation, name }) => `${incarnation ?? ""}/${name}`));
  for (const gap of timelines.flatMap(({ gaps }) => gaps)) {
    if (!names.has(`${gap.incarnation ?? ""}/${gap.before}`)) continue;
    backup.onFailure(
      new BackupError("FAILED", `Cannot replay the binary logs ${describeGap(gap)}`, {
        hint: "Take a copy of the server now: a point in time can be restored from that on.",
      }),
    );
  }
}

async function expire(backup: BinlogBackup, before: Found<"binlog">, catalogue: BinlogCatalogue): Promise<void> {
  const host = await backup.mysqlCopies();
  if (host.doubtful) return;
  await expireBinlogs(backup, before, { catalogue, copies: host.copies });
  const copies = catalogue.timelines.flatMap(({ logs }) => logs);
  const end = new Date(backup.now().getTime() - backup.expireDays * DAY_MS);
  await backup.local?.expire(copies, end).catch((error: unknown) => backup.onFailure(error));
}
