import {
  binlogEndsAt,
  binlogNumber,
  compareBinlogNames,
  type GtidState,
  gtidsAfter,
  gtidsBefore,
  includesGtids,
  missingGtids,
} from "./binlog.ts";
import { behindEnd, replacementOf } from "./binlog-writer.ts";
import type { BinlogCopy } from "./copy.ts";
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
  /** Where another server took over: why a replay cannot go on in its logs, as far as there are any. */
  readonly why?: string | undefined;
  /** What was written between the two is lost. */
  readonly from: Date;
  readonly to: Date;
};

/** The archived logs of one incarnation of a server, in order. Numbers may be missing. */
export type Timeline = {
  readonly host: string;
  readonly incarnation: string | undefined;
  readonly logs: readonly BinlogCopy[];
  readonly gaps: readonly BinlogGap[];
};

/** All archived logs of one host, and of those that took over from it; the timeline that began first first. */
export type BinlogCatalogue = { readonly timelines: readonly Timeline[]; readonly doubts: Doubts };

/** Copies known not to be good, such as those `reconcile()` found. */
export type Doubts = { has(key: Key): boolean };

/** Put archived logs in order and find what is missing between them. Run `locateBinlogs()` first. */
export function catalogueOf(copies: Iterable<BinlogCopy>, doubts: Doubts = new Set()): BinlogCatalogue {
  const groups = Map.groupBy(copies, ({ host, incarnation = "" }) => `${host}/${incarnation}`);
  const timelines = [...groups.values()].flatMap((group) => {
    const logs = group.sort(compareBinlogNames);
    const [first] = logs;
    if (first === undefined) return [];
    return [{ host: first.host, incarnation: first.incarnation, logs, gaps: gapsOf(logs, doubts) }];
  });
  return { timelines: timelines.sort((left, right) => beganAt(left) - beganAt(right)), doubts };
}

function beganAt({ logs }: Timeline): number {
  return logs[0]?.createdAt.getTime() ?? 0;
}

/** What no replay can cross in logs of one timeline. */
export function gapsOf(logs: readonly BinlogCopy[], doubts: Doubts): BinlogGap[] {
  return logs.flatMap((log, index) => {
    const isBad = isBroken(log) || doubts.has(log.key);
    const next = logs[index + 1];
    if (replacementOf(log) !== undefined && !isBad) return [endGap(log, { before: logs[index - 1], next })];
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

export function newGap({ reason, after, before, ...known }: Gap): BinlogGap {
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

/** How many logs lie before the first gap. */
export function reachOf(logs: readonly BinlogCopy[], gap: BinlogGap | undefined): number {
  return gap === undefined ? logs.length : logs.findIndex(({ name }) => name === gap.after) + 1;
}
