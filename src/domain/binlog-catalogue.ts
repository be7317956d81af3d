import {
  binlogEndsAt,
  binlogNumber,
  compareBinlogNames,
  type GtidState,
  gtidsAfter,
  gtidsBefore,
  includesGtids,
  missingGtids,
  readGtidState,
} from "./binlog.ts";
import { behindEnd } from "./binlog-writer.ts";
import type { BinlogCopy, MysqlCopy } from "./copy.ts";
import type { Key } from "./key.ts";
import { isBroken } from "./soundness.ts";

/**
 * Why a replay cannot go from one log to the next: logs in between are missing; they do not follow each other, by their GTIDs; a log is
 * damaged or not there any more; it breaks off although the server went on; the server began anew; or another server took over.
 */
type GapReason = "missing" | "mismatch" | "broken" | "torn" | "reset" | "takeover";

/** A place that no replay can cross. */
export type BinlogGap = {
  readonly reason: GapReason;
  readonly incarnation: string | undefined;
  /** The last log before it and the first one behind it, such as `mysql-bin.000012`; `undefined` where there is none. */
  readonly after: string | undefined;
  readonly before: string | undefined;
  /** How many logs were never archived; 0 where that is not what is wrong. */
  readonly missing: number;
  /** GTIDs that are lost, as far as that is known. */
  readonly gtid: string | undefined;
  /** What was written between the two is lost. */
  readonly from: Date;
  readonly to: Date;
};

/** The archived logs of one incarnation of a server, in order. Numbers may be missing. */
export type Timeline = {
  readonly incarnation: string | undefined;
  readonly logs: readonly BinlogCopy[];
  readonly gaps: readonly BinlogGap[];
};

/** All archived logs of one host, the timeline that began first first. */
export type BinlogCatalogue = { readonly timelines: readonly Timeline[]; readonly doubts: Doubts };

/** Copies known not to be good, such as those `reconcile()` found. */
type Doubts = { has(key: Key): boolean };

/** Put the archived logs of one host in order and find what is missing between them. Run `locateBinlogs()` first. */
export function catalogueOf(copies: Iterable<BinlogCopy>, doubts: Doubts = new Set()): BinlogCatalogue {
  const groups = Map.groupBy(copies, ({ incarnation }) => incarnation);
  const timelines = [...groups].map(([incarnation, group]) => {
    const logs = group.sort(compareBinlogNames);
    return { incarnation, logs, gaps: gapsOf(logs, doubts) };
  });
  return { timelines: timelines.sort((left, right) => beganAt(left) - beganAt(right)), doubts };
}

function beganAt({ logs }: Timeline): number {
  return logs[0]?.createdAt.getTime() ?? 0;
}

function gapsOf(logs: readonly BinlogCopy[], doubts: Doubts): BinlogGap[] {
  return logs.flatMap((log, index) => {
    const isBad = isBroken(log) || doubts.has(log.key);
    const next = logs[index + 1];
    if (log.ended !== undefined && !isBad) return [endGap(log, { before: logs[index - 1], next })];
    const own = isBad ? [newGap({ reason: "broken", after: logs[index - 1], before: next, from: log.createdAt })] : [];
    const follows = next === undefined ? undefined : gapAfter(log, next, isBad);
    return follows === undefined ? own : [...own, follows];
  });
}

/**
 * Another server took over in this log. Behind it lies what the old one uploaded late; when the log itself holds transactions that the new one never got, it
 * is no part of what happened either.
 */
function endGap(log: BinlogCopy, { before, next }: { before: BinlogCopy | undefined; next: BinlogCopy | undefined }) {
  const lost = behindEnd(log);
  if (lost === "") return newGap({ reason: "takeover", after: log, before: next });
  return newGap({ reason: "takeover", after: before, before: log, gtid: lost, from: log.createdAt });
}

function gapAfter(log: BinlogCopy, next: BinlogCopy, isBad: boolean): BinlogGap | undefined {
  const missing = binlogNumber(next.name) - binlogNumber(log.name) - 1;
  const [end, start] = [gtidsAfter(log), gtidsBefore(next)];
  const gap = { after: log, before: next, gtid: lostBetween(end, start) };
  // Nothing was written to logs that are missing between GTIDs that go on.
  if (missing > 0) return isProven(log, next) ? undefined : newGap({ ...gap, reason: "missing", missing });
  // What is wrong with a bad log is told once.
  if (isBad) return undefined;
  if (!follows(end, start)) return newGap({ ...gap, reason: "mismatch" });
  // Nor was anything lost with the end of such a log.
  return log.log?.end === "torn" && !isProven(log, next) ? newGap({ ...gap, reason: "torn" }) : undefined;
}

type Gap = Partial<Pick<BinlogGap, "missing" | "gtid" | "from">> & {
  readonly reason: GapReason;
  readonly after: BinlogCopy | undefined;
  readonly before: BinlogCopy | undefined;
};

function newGap({ reason, after, before, ...known }: Gap): BinlogGap {
  const from = after === undefined ? before?.createdAt : binlogEndsAt(after);
  const gap = {
    reason,
    incarnation: (after ?? before)?.incarnation,
    after: after?.name,
    before: before?.name,
    missing: 0,
    gtid: undefined,
    from: from ?? new Date(0),
    ...known,
  };
  return { ...gap, to: before?.createdAt ?? gap.from };
}

function lostBetween(end: GtidState | undefined, start: GtidState | undefined): string | undefined {
  return end === undefined || start === undefined ? undefined : missingGtids(start, end) || undefined;
}

/**
 * Whether a log that begins at `start` follows one that ends at `end`. A server of MariaDB can be told to forget a domain, which is then in
 * the earlier one only.
 */
function follows(end: GtidState | undefined, start: GtidState | undefined): boolean {
  if (end === undefined || start === undefined) return true;
  if (!includesGtids(end, start)) return false;
  if (start.flavour === "mysql" || end.flavour === "mysql") return includesGtids(start, end);
  const both = new Map([...end.position].filter(([domain]) => start.position.has(domain)));
  return includesGtids(start, { flavour: "mariadb", position: both });
}

/** Whether it is certain that nothing was logged between the end of one log and the start of another: all has GTIDs, and they go on. */
function isProven(log: BinlogCopy, next: BinlogCopy): boolean {
  const [end, start] = [gtidsAfter(log), gtidsBefore(next)];
  if (end === undefined || start === undefined || !follows(end, start)) return false;
  return end.flavour === "mariadb" || (usesGtids(log) && usesGtids(next));
}

/** Whether all transactions in a log of MySQL have GTIDs, and there is one at least. */
function usesGtids({ gtid }: BinlogCopy): boolean {
  return gtid !== undefined;
}

/** Whether a log is of another server than a copy, by what both know. */
function isOfAnother(log: BinlogCopy, copy: MysqlCopy): boolean {
  return log.serverUuid !== undefined && copy.serverUuid !== undefined && log.serverUuid !== copy.serverUuid;
}

/** When the server went on to the next log; for the last one, the time of its last event. */
function endOf(logs: readonly BinlogCopy[], index: number): Date {
  const [log, next] = [logs[index], logs[index + 1]];
  if (log === undefined) return new Date(0);
  const end = binlogEndsAt(log);
  return next !== undefined && next.createdAt > end ? next.createdAt : end;
}

/** Whether the copy can have been taken while the server wrote this log: names come again after a reset. */
function holdsEndOf(copy: MysqlCopy, { logs }: Timeline, index: number): boolean {
  const log = logs[index];
  if (log === undefined || isOfAnother(log, copy) || isTooShort(log, copy)) return false;
  const { startedAt, finishedAt = log.createdAt } = copy;
  if (log.createdAt > finishedAt || endOf(logs, index) < wholeSecond(startedAt)) return false;
  return log.log?.flavour !== "mysql" || isBehind(copy, log);
}

function isTooShort({ rawBytes }: BinlogCopy, { binlog }: MysqlCopy): boolean {
  return rawBytes !== undefined && (binlog?.offset ?? 0) > rawBytes;
}

/** The times in a log are whole seconds. */
function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

/** Whether the copy holds all that was logged before this log; true where nobody knows. */
function isBehind(copy: MysqlCopy, log: BinlogCopy): boolean {
  const before = gtidsBefore(log);
  if (before === undefined || copy.gtid === undefined) return true;
  if ((before.flavour === "mariadb") !== (copy.vendor === "mariadb")) return false;
  const own = readGtidState(before.flavour, copy.gtid);
  return own === undefined || includesGtids(own, before);
}

type Start = { readonly timeline: Timeline; readonly index: number };

/** The log in which the copy ends. */
function startOf(copy: MysqlCopy, { timelines }: BinlogCatalogue): Start | undefined {
  for (const timeline of timelines.toReversed()) {
    const index =
      copy.binlog === undefined
        ? timeline.logs.findLastIndex((log, at) => isLastBehind(copy, log) && holdsEndOf(copy, timeline, at))
        : timeline.logs.findIndex(({ name }, at) => name === copy.binlog?.file && holdsEndOf(copy, timeline, at));
    if (index !== -1) return { timeline, index };
  }
  return undefined;
}

/** Without a place in the log, its GTIDs have to tell. */
function isLastBehind(copy: MysqlCopy, log: BinlogCopy): boolean {
  return copy.gtid !== undefined && gtidsBefore(log) !== undefined && isBehind(copy, log);
}

/** How far a copy can be brought forward. */
export type RecoverableWindow = {
  /** When the copy was complete, and the moment that can be reached: everything before it is in the logs. The same where there are none. */
  readonly from: Date;
  readonly to: Date;
  /** The logs to replay, in order: the first one from the copy's own place in it. They end before the first gap. */
  readonly logs: readonly BinlogCopy[];
  /** What stands in the way from there on, nearest first. */
  readonly gaps: readonly BinlogGap[];
};

/** How far a copy can be brought forward with what is archived; `undefined` when it does not say where it ends. */
export function recoverableWindow(copy: MysqlCopy, catalogue: BinlogCatalogue): RecoverableWindow | undefined {
  if (copy.binlog === undefined && copy.gtid === undefined) return undefined;
  const from = copy.finishedAt ?? copy.startedAt;
  const start = startOf(copy, catalogue);
  if (start === undefined) return { from, to: from, logs: [], gaps: gapsBefore(copy, catalogue) };
  const { timeline, index } = start;
  const own = timeline.logs.slice(index);
  const gaps = gapsOf(own, catalogue.doubts);
  const logs = own.slice(0, reach(own, gaps[0]));
  const end = logs.reduce((latest, log) => Math.max(latest, binlogEndsAt(log).getTime()), from.getTime());
  return { from, to: new Date(end), logs, gaps: [...gaps, ...resetAfter(timeline, catalogue)] };
}

/** How many logs lie before the first gap. */
function reach(logs: readonly BinlogCopy[], gap: BinlogGap | undefined): number {
  return gap === undefined ? logs.length : logs.findIndex(({ name }) => name === gap.after) + 1;
}

/** The log in which the copy ends is not archived: that is a gap once a later one is. */
function gapsBefore(copy: MysqlCopy, { timelines }: BinlogCatalogue): BinlogGap[] {
  const end = copy.finishedAt ?? copy.startedAt;
  const next = timelines.flatMap(({ logs }) => logs).find((log) => log.createdAt > end);
  if (next === undefined) return [];
  return [newGap({ reason: "missing", after: undefined, before: next, missing: missingUpTo(copy, next), from: end })];
}

function missingUpTo({ binlog }: MysqlCopy, next: BinlogCopy): number {
  if (binlog === undefined) return 1;
  return Math.max(1, binlogNumber(next.name) - binlogNumber(binlog.file));
}

/** The server began anew after this timeline. */
function resetAfter(timeline: Timeline, { timelines }: BinlogCatalogue): BinlogGap[] {
  const next = timelines[timelines.indexOf(timeline) + 1];
  const [last, first] = [timeline.logs.at(-1), next?.logs[0]];
  return last === undefined || first === undefined ? [] : [newGap({ reason: "reset", after: last, before: first })];
}

/**
 * The archived logs that kept copies need to be brought forward: from the log in which a copy ends on, all of its timeline, also behind a gap.
 * For a copy whose place is not known, or not archived, all logs that were written to since it began.
 */
export function neededBy(copies: Iterable<MysqlCopy>, catalogue: BinlogCatalogue): ReadonlySet<Key> {
  const needed = new Set<Key>();
  for (const copy of copies) {
    const start = startOf(copy, catalogue);
    const logs = start === undefined ? writtenSince(copy, catalogue) : start.timeline.logs.slice(start.index);
    for (const { key } of logs) needed.add(key);
  }
  return needed;
}

function writtenSince({ startedAt }: MysqlCopy, { timelines }: BinlogCatalogue): BinlogCopy[] {
  const since = wholeSecond(startedAt);
  return timelines.flatMap(({ logs }) => logs.filter((_, index) => endOf(logs, index) >= since));
}
