import {
  type BinlogFlavour,
  binlogEndsAt,
  binlogNumber,
  type GtidState,
  gtidsAfter,
  joinGtids,
  readGtidState,
} from "./binlog.ts";
import { type BinlogCatalogue, type BinlogGap, gapsOf, newGap, reachOf, type Timeline } from "./binlog-catalogue.ts";
import { type Chain, type Join, type Joined, joinTo, knownIn } from "./binlog-join.ts";
import { isSameServer, lastTakeover, replacementOf } from "./binlog-writer.ts";
import type { BinlogCopy, MysqlCopy, TimelineEnd } from "./copy.ts";
import { endOf, type Start, startOf, wholeSecond } from "./copy-place.ts";
import { unionGtids } from "./gtid-set.ts";
import type { Key } from "./key.ts";
import { namedBy } from "./logged.ts";
import { isBroken } from "./soundness.ts";

/** How far a copy can be brought forward. */
export type RecoverableWindow = {
  /** When the copy was complete, and the moment that can be reached: everything before it is in the logs. The same where there are none. */
  readonly from: Date;
  readonly to: Date;
  /** The logs to replay, in order: the first one from the copy's own place in it. They end before the first gap. */
  readonly logs: readonly BinlogCopy[];
  /** Where they go over to those of a server that took over. */
  readonly joins: readonly Join[];
  /** What stands in the way from there on, nearest first. */
  readonly gaps: readonly BinlogGap[];
};

/** Logs of one timeline from a place on, the last ones of a way. */
type Leg = { readonly timeline: Timeline; readonly logs: readonly BinlogCopy[] };

/** As far as one gets from a copy on, over every server that took over. */
type Way = {
  /** `undefined` while no other server's logs are used. */
  readonly chain: Chain | undefined;
  /** `undefined` when the log in which the copy ends is not archived, and no other is used. */
  readonly last: Leg | undefined;
  /** The takeover that could not be crossed, or that was with a hole. */
  readonly barred: { readonly takeover: TimelineEnd; readonly why: string | undefined } | undefined;
};

/** How far a copy can be brought forward with what is archived; `undefined` when it does not say where it ends. */
export function recoverableWindow(copy: MysqlCopy, catalogue: BinlogCatalogue): RecoverableWindow | undefined {
  if (copy.binlog === undefined && copy.gtid === undefined) return undefined;
  const from = endedAt(copy);
  const { chain, last, barred } = wayOf(copy, catalogue, false);
  if (last === undefined) {
    const gaps = barred === undefined ? gapsBefore(copy, catalogue) : [barredGap(barred, from)];
    return { from, to: from, logs: [], joins: [], gaps };
  }
  const found = gapsOf(last.logs, catalogue.doubts);
  const gaps = found.map((gap) => (gap.reason === "takeover" ? { ...gap, ...whyOf(barred) } : gap));
  const own = last.logs.slice(0, reachOf(last.logs, gaps[0]));
  const { joins } = chain ?? { joins: [] };
  const logs = chain === undefined ? own : [...chain.logs.slice(0, joins.at(-1)?.at), ...own];
  const end = logs.reduce((latest, log) => Math.max(latest, binlogEndsAt(log).getTime()), from.getTime());
  return { from, to: new Date(end), logs, joins, gaps: [...gaps, ...resetAfter(last.timeline, catalogue)] };
}

function endedAt({ startedAt, finishedAt = startedAt }: MysqlCopy): Date {
  return finishedAt;
}

function whyOf(barred: Way["barred"]): { why?: string } {
  return barred?.why === undefined ? {} : { why: barred.why };
}

function barredGap(barred: NonNullable<Way["barred"]>, from: Date): BinlogGap {
  const gap = newGap({ reason: "takeover", after: undefined, before: undefined, from });
  return { ...gap, to: barred.takeover.at, ...whyOf(barred) };
}

/** All logs that may be of use to a copy once gaps are accepted, those behind a gap too, over every server that took over. */
export function logsAcross(
  copy: MysqlCopy,
  catalogue: BinlogCatalogue,
): Pick<Chain, "logs" | "joins"> & { readonly gaps: readonly BinlogGap[] } {
  const { chain, barred } = wayOf(copy, catalogue, true);
  const gaps = barred === undefined ? [] : [barredGap(barred, endedAt(copy))];
  return { logs: chain?.logs ?? [], joins: chain?.joins ?? [], gaps };
}

/** @param isForced go on behind gaps, and over to servers of which it is not proven that nothing is missing in between. */
function wayOf(copy: MysqlCopy, catalogue: BinlogCatalogue, isForced: boolean): Way {
  let last = firstLeg(copy, catalogue);
  let chain: Chain | undefined;
  let barred: Way["barred"];
  const seen = new Set<Timeline>(last === undefined ? [] : [last.timeline]);
  for (;;) {
    const takeover = takeoverOf(copy, last, catalogue);
    if (takeover === undefined) return { chain, last, barred };
    const before: Chain | undefined = chain ?? chainOf(copy, last, { catalogue, isForced, takeover });
    const next = before && successorOf(before, takeover, { catalogue, seen, isForced });
    barred = barOf(next, takeover) ?? barred;
    if (next === undefined || !isOpen(next.joined, isForced)) return { chain, last, barred };
    ({ chain } = next.joined);
    last = { timeline: next.timeline, logs: next.timeline.logs.slice(next.joined.first) };
    seen.add(next.timeline);
  }
}

function barOf(next: Found | undefined, takeover: TimelineEnd): Way["barred"] {
  if (next === undefined) return { takeover, why: undefined };
  const { problem: why } = next.joined;
  return why === undefined ? undefined : { takeover, why };
}

function isOpen({ problem, isFit }: Joined, isForced: boolean): boolean {
  return problem === undefined || (isForced && isFit);
}

/** The logs from the one on in which a copy ends. What the old primary logged behind a takeover leads nowhere. */
function firstLeg(copy: MysqlCopy, catalogue: BinlogCatalogue): Leg | undefined {
  const start = startOf(copy, catalogue);
  if (start === undefined || isBehindEnd(start)) return undefined;
  return { timeline: start.timeline, logs: start.timeline.logs.slice(start.index) };
}

function isBehindEnd({ timeline, index }: Start): boolean {
  return timeline.logs.slice(0, index).some((log) => replacementOf(log) !== undefined);
}

/**
 * The takeover that the way so far ends with. Of a copy whose log is not archived, the last one of its host, when that was later, or the other
 * server does not archive under the same name.
 */
function takeoverOf(copy: MysqlCopy, last: Leg | undefined, { timelines }: BinlogCatalogue): TimelineEnd | undefined {
  const logs = last?.timeline.logs ?? timelines.filter(({ host }) => host === copy.host).flatMap((each) => each.logs);
  const end = lastTakeover(logs.filter((log) => replacementOf(log) !== undefined))?.end;
  if (end === undefined || last !== undefined) return end;
  const isLater = end.at >= wholeSecond(endedAt(copy));
  return isLater || end.to.host !== copy.host ? end : undefined;
}

type Looking = { readonly catalogue: BinlogCatalogue; readonly isForced: boolean };
type Joining = Looking & { readonly takeover: TimelineEnd };

/** The logs of the copy's own server, up to the takeover; `undefined` where GTIDs do not tell what they come to. */
function chainOf(
  copy: MysqlCopy,
  last: Leg | undefined,
  { catalogue, isForced, takeover }: Joining,
): Chain | undefined {
  const flavour: BinlogFlavour = copy.vendor === "mariadb" ? "mariadb" : "mysql";
  const logs = last === undefined ? [] : usable(last.logs, catalogue, isForced);
  const states = logs.map((log) => ofFlavour(flavour, gtidsAfter(log)));
  const held = readGtidState(flavour, copy.gtid);
  const [base, after] = [held ?? states[0], logs.length === 0 ? held : states.at(-1)];
  if (base === undefined || after === undefined) return undefined;
  const others = catalogue.timelines.filter((each) => each.host === copy.host && !isOf(each, takeover));
  const own = last === undefined ? others : [last.timeline];
  return {
    logs,
    joins: [],
    base,
    baseAt: endedAt(copy),
    end: held === undefined ? after : joinGtids(held, after),
    known: unionGtids(...own.map(knownIn), namedBy(base)),
  };
}

function ofFlavour(flavour: BinlogFlavour, state: GtidState | undefined): GtidState | undefined {
  return state?.flavour === flavour ? state : undefined;
}

/** The logs up to the first gap; with the one in which another server took over. */
function usable(logs: readonly BinlogCopy[], { doubts }: BinlogCatalogue, isForced: boolean): readonly BinlogCopy[] {
  const [gap] = gapsOf(logs, doubts);
  const ends = logs.findIndex((log) => replacementOf(log) !== undefined);
  const upToEnd = ends === -1 ? logs : logs.slice(0, ends + 1);
  if (isForced) return upToEnd.filter((log) => !isBroken(log) && !doubts.has(log.key));
  return gap?.reason === "takeover" ? upToEnd : logs.slice(0, reachOf(logs, gap));
}

type Found = { readonly timeline: Timeline; readonly joined: Joined };

/** The timeline of the new primary: the first that proves to go on there, else the newest. */
function successorOf(
  chain: Chain,
  takeover: TimelineEnd,
  { catalogue, seen, isForced }: Looking & { readonly seen: ReadonlySet<Timeline> },
): Found | undefined {
  const found = catalogue.timelines
    .toReversed()
    .filter((timeline) => !seen.has(timeline) && isOf(timeline, takeover))
    .flatMap((timeline): Found[] => {
      const pick = (logs: readonly BinlogCopy[]) => usable(logs, catalogue, isForced);
      const joined = joinTo(chain, { takeover, timeline, pick });
      return joined === undefined ? [] : [{ timeline, joined }];
    });
  return found.find(({ joined }) => joined.problem === undefined) ?? found[0];
}

function isOf({ host, logs: [first] }: Timeline, { to }: TimelineEnd): boolean {
  return (
    host === to.host &&
    first?.log !== undefined &&
    isSameServer(to, { uuid: first.serverUuid, serverId: first.log.serverId })
  );
}

/** The log in which the copy ends is not archived: that is a gap once a later one is. */
function gapsBefore(copy: MysqlCopy, { timelines }: BinlogCatalogue): BinlogGap[] {
  const end = endedAt(copy);
  const own = timelines.filter(({ host }) => host === copy.host);
  const next = own.flatMap(({ logs }) => logs).find((log) => log.createdAt > end);
  if (next === undefined) return [];
  return [newGap({ reason: "missing", after: undefined, before: next, missing: missingUpTo(copy, next), from: end })];
}

function missingUpTo({ binlog }: MysqlCopy, next: BinlogCopy): number {
  if (binlog === undefined) return 1;
  return Math.max(1, binlogNumber(next.name) - binlogNumber(binlog.file));
}

/** The server began anew after this timeline. */
function resetAfter(timeline: Timeline, { timelines }: BinlogCatalogue): BinlogGap[] {
  const own = timelines.filter(({ host }) => host === timeline.host);
  const next = own[own.indexOf(timeline) + 1];
  const [last, first] = [timeline.logs.at(-1), next?.logs[0]];
  return last === undefined || first === undefined ? [] : [newGap({ reason: "reset", after: last, before: first })];
}

/**
 * The archived logs that kept copies need to be brought forward: from the log in which a copy ends on, all of its timeline, also behind a gap; and
 * those of the servers that took over, from where they join on. In doubt, all that were written to since the copy began, and all of the new primary.
 */
export function neededBy(copies: Iterable<MysqlCopy>, catalogue: BinlogCatalogue): ReadonlySet<Key> {
  const needed = new Set<Key>();
  for (const copy of copies) for (const { key } of neededOf(copy, catalogue)) needed.add(key);
  return needed;
}

function neededOf(copy: MysqlCopy, catalogue: BinlogCatalogue): BinlogCopy[] {
  const start = startOf(copy, catalogue);
  const own = start === undefined ? writtenSince(copy, catalogue) : start.timeline.logs.slice(start.index);
  const { chain, last, barred } = wayOf(copy, catalogue, false);
  const joined = chain === undefined ? [] : [...chain.logs, ...(last?.logs ?? [])];
  const others = barred === undefined ? [] : catalogue.timelines.filter((timeline) => isOf(timeline, barred.takeover));
  return [...own, ...joined, ...others.flatMap(({ logs }) => logs)];
}

function writtenSince({ startedAt, host }: MysqlCopy, { timelines }: BinlogCatalogue): BinlogCopy[] {
  const since = wholeSecond(startedAt);
  const own = timelines.filter((timeline) => timeline.host === host);
  return own.flatMap(({ logs }) => logs.filter((_, index) => endOf(logs, index) >= since));
}
