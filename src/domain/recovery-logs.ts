import { gtidsAfter, includesGtids, joinGtids, parseGtidState } from "./binlog.ts";
import type { BinlogCatalogue, BinlogGap } from "./binlog-catalogue.ts";
import { isLost, type Join } from "./binlog-join.ts";
import type { BinlogCopy, MysqlCopy } from "./copy.ts";
import { BackupError } from "./errors.ts";
import { containsGtids } from "./gtid-set.ts";
import { loggedIn, namedBy } from "./logged.ts";
import { logsAcross, type RecoverableWindow, recoverableWindow } from "./recoverable-window.ts";
import type { RecoveryRequest } from "./recovery-plan.ts";
import { formatMoment, type Micros, type RecoveryTarget, targetText } from "./recovery-target.ts";
import { isBroken } from "./soundness.ts";

const LS = 'Run "twindb-backup ls" to see from when to when each copy can be brought forward.';

export function microsOf(date: Date): Micros {
  return date.getTime() * 1000;
}

export function endOf({ finishedAt, startedAt }: MysqlCopy): Date {
  return finishedAt ?? startedAt;
}

export function notFound(message: string, hint = LS): BackupError {
  return new BackupError("NOT_FOUND", message, { hint });
}

export function refusal({ key }: MysqlCopy, target: RecoveryTarget, what: string): BackupError {
  return notFound(`Cannot restore "${key}" ${targetText(target)}: ${what}`);
}

/** A window for people, such as `from 2026-11-21T02:36:45Z to 2026-11-21T09:00:00Z`. */
export function windowText({ from, to }: Pick<RecoverableWindow, "from" | "to">): string {
  return `from ${formatMoment(microsOf(from))} to ${formatMoment(microsOf(to))}`;
}

const GAP_TEXTS: Readonly<Record<BinlogGap["reason"], (place: string, missing: number) => string>> = {
  missing: (place, count) => `${count} ${count === 1 ? "log is" : "logs are"} missing ${place}`,
  mismatch: (place) => `logs do not follow each other, ${place}`,
  broken: (place) => `a log is damaged or gone, ${place}`,
  torn: (place) => `a log breaks off, ${place}`,
  reset: (place) => `the server began anew, ${place}`,
  takeover: (place) => `another server took over, ${place}`,
};

/** A gap for people. */
export function gapText({ reason, after, before, missing, gtid, why }: BinlogGap): string {
  const ends = [after === undefined ? "" : `after ${after}`, before === undefined ? "" : `before ${before}`];
  const lost = gtid === undefined ? "" : `, GTIDs ${gtid} are lost`;
  const place = ends.filter((each) => each !== "").join(" and ") || "before its log was archived";
  return `${GAP_TEXTS[reason](place, missing)}${lost}${why === undefined ? "" : `; ${why}`}`;
}

/**
 * As `recoverableWindow()`, also for a copy of MySQL that does not tell where it ends, such as a clone taken while the server wrote: it knows its
 * GTIDs once a server runs on it, so the log that was written to when the copy began is early enough.
 */
export function knownWindow(copy: MysqlCopy, catalogue: BinlogCatalogue): RecoverableWindow | undefined {
  return windowFrom(copy, catalogue, (logs) => logs.findLast((log) => wasBegun(log, copy)));
}

/** As `knownWindow()`; where no log is known to be early enough, from the first one on, of which a restore has to prove it. */
export function windowOf(copy: MysqlCopy, catalogue: BinlogCatalogue): RecoverableWindow | undefined {
  return windowFrom(copy, catalogue, (logs) => logs.findLast((log) => wasBegun(log, copy)) ?? logs[0]);
}

function windowFrom(
  copy: MysqlCopy,
  catalogue: BinlogCatalogue,
  pick: (logs: readonly BinlogCopy[]) => BinlogCopy | undefined,
): RecoverableWindow | undefined {
  const window = recoverableWindow(copy, catalogue);
  if (window !== undefined || copy.vendor === "mariadb") return window;
  for (const { host, logs } of catalogue.timelines.toReversed()) {
    if (host !== copy.host) continue;
    const log = pick(logs);
    if (log === undefined || hasNameless(logs.slice(logs.indexOf(log)), copy)) continue;
    const found = recoverableWindow({ ...copy, binlog: { file: log.name, offset: undefined } }, catalogue);
    if (found !== undefined && found.logs.length > 0) return found;
  }
  return undefined;
}

/** Whether something without a GTID was logged up to the end of the copy: nobody can tell whether the copy holds that. */
function hasNameless(logs: readonly BinlogCopy[], copy: MysqlCopy): boolean {
  return logs.some((log) => log.log !== undefined && log.createdAt <= endOf(copy) && loggedIn(log) === undefined);
}

/** Whether a log was begun before a copy was: it tells whole seconds. */
function wasBegun({ createdAt, log }: BinlogCopy, { startedAt }: MysqlCopy): boolean {
  return log?.previousGtid !== undefined && createdAt.getTime() + 999 <= startedAt.getTime();
}

/** The logs to replay, in order, and where they go over to another server's. */
export type Route = Pick<RecoverableWindow, "logs" | "joins"> & { readonly warnings: readonly string[] };

/**
 * Choose the logs that bring a copy to a target.
 * @throws {BackupError} NOT_FOUND when a gap lies before the target, or it lies outside of what is archived.
 */
export function routeFor(copy: MysqlCopy, window: RecoverableWindow, request: RecoveryRequest): Route {
  const { target, excluded, atGap } = request;
  requireWithin(copy, window, request);
  const all = atGap === "cross" ? acrossGaps(copy, window, request) : { ...window, warnings: [] };
  const route = upTo(all, request);
  if (route.logs.length > 0) return { ...route, warnings: [...all.warnings, ...joinWarnings(route)] };
  if (excluded.text !== "") throw refusal(copy, target, `no binary log is archived that holds ${excluded.text}`);
  const [gap] = window.gaps;
  if (gap !== undefined && target.kind === "end" && atGap !== "stop") throw refusal(copy, target, gapText(gap));
  return route;
}

/** What is there once gaps do not matter. */
function acrossGaps(copy: MysqlCopy, window: RecoverableWindow, { catalogue }: RecoveryRequest): Route {
  const { logs, joins, gaps } = logsAcross(copy, catalogue);
  const route = joins.length > 0 ? { logs, joins } : { logs: allLogs(copy, catalogue), joins };
  const names = new Set(route.logs.slice(window.joins.at(-1)?.at ?? 0).map(({ name }) => name));
  const crossed = window.gaps.filter(({ before }) => before !== undefined && names.has(before));
  const bridged = joins.length > window.joins.length ? gaps : [];
  const warnings = new Set([...crossed, ...bridged].map((gap) => `what was written in a gap is lost: ${gapText(gap)}`));
  return { ...route, warnings: [...warnings] };
}

function joinWarnings({ joins }: Pick<Route, "joins">): string[] {
  return joins
    .filter(({ lost }) => lost !== "")
    .map(({ lost, to }) => `left out, for the server that took over on "${to}" never got it: ${lost}`);
}

/** The part of a route that leads to the target. */
function upTo(all: Route, { host, target, atGap }: RecoveryRequest): Route {
  const { logs, joins } = all;
  if (target.kind === "end") return all;
  if (target.kind === "time") {
    const settled = joins.findIndex(({ settledAt }) => target.at <= microsOf(settledAt));
    const own = settled === -1 ? all : before(all, settled);
    const isWanted = (log: BinlogCopy, index: number) => index === 0 || microsOf(log.createdAt) < target.at;
    return within(own, own.logs.filter(isWanted));
  }
  // Names of logs come again on the server that took over.
  const own = target.kind === "position" ? before(all, 0) : all;
  const last = own.logs.findIndex((log, index) =>
    target.kind === "position" ? log.name === target.file : isIn(log, index, { gtid: target.gtid, joins, atGap }),
  );
  if (last !== -1) return within(own, own.logs.slice(0, last + 1));
  const [first, end] = [logs[0], logs.at(-1)];
  const range = first === undefined ? "none is archived" : `they go from ${first.name} to ${end?.name}`;
  throw notFound(`Cannot restore "${host}" ${targetText(target)}: no log that can be reached holds that, ${range}`);
}

/** The route up to one of its joins; all of it when it has less. */
function before(route: Route, join: number): Route {
  const { at } = route.joins[join] ?? {};
  return { ...route, logs: route.logs.slice(0, at), joins: route.joins.slice(0, join) };
}

/** With these logs, of which some may be left out, and the joins that lead to them. */
function within(route: Route, logs: readonly BinlogCopy[]): Route {
  const kept = new Set(logs);
  const joins = route.joins.map((join) => ({
    ...join,
    at: route.logs.slice(0, join.at).filter((log) => kept.has(log)).length,
  }));
  return { ...route, logs, joins };
}

type Wanted = { readonly gtid: string; readonly joins: readonly Join[]; readonly atGap: RecoveryRequest["atGap"] };

/** Whether a transaction is to be met in a log: not when the server that took over never got it. */
function isIn(log: BinlogCopy, index: number, { gtid, joins, atGap }: Wanted): boolean {
  if (atGap !== "cross" && isLost(gtid, index, joins)) return false;
  const logged = loggedIn(log);
  if (logged === undefined || log.log === undefined) return mayHold(log, gtid);
  return containsGtids(logged, namedBy(parseGtidState(log.log.flavour, gtid)));
}

function requireWithin(copy: MysqlCopy, window: RecoverableWindow, { target, atGap }: RecoveryRequest): void {
  const [gap] = window.gaps;
  const isBeyond =
    target.kind === "time" ? target.at > microsOf(window.to) : target.kind === "end" && gap !== undefined;
  if (atGap !== "refuse" || !isBeyond) return;
  const why = gap === undefined ? "" : `; ${gapText(gap)}`;
  throw notFound(
    `Cannot restore "${copy.key}" ${targetText(target)}: what is archived brings it ${windowText(window)}${why}`,
    gap === undefined
      ? "Name a moment within that, or archive the rest with: twindb-backup binlog push."
      : "Name a moment within that, or go on behind the gap with --accept-gap: the data will lack what was written in it.",
  );
}

/** The rest of the timeline, whatever is missing in it, the copy's own log included. */
function allLogs(copy: MysqlCopy, catalogue: BinlogCatalogue): readonly BinlogCopy[] {
  const { doubts } = catalogue;
  const timelines = catalogue.timelines.filter(({ host }) => host === copy.host);
  const [first] = windowOf(copy, { timelines, doubts: new Set() })?.logs ?? [];
  const own = timelines.find((timeline) => first !== undefined && timeline.logs.includes(first)) ?? timelines.at(-1);
  const isWanted = (log: BinlogCopy) =>
    first === undefined ? log.createdAt >= endOf(copy) : log.createdAt >= first.createdAt;
  return (own?.logs ?? []).filter((log) => isWanted(log) && !isBroken(log) && !doubts.has(log.key));
}

/** Whether a transaction lies in a log, or may: the predecessor did not note down what a log holds. */
function mayHold(log: BinlogCopy, gtid: string): boolean {
  if (log.log === undefined) return true;
  const after = gtidsAfter(log);
  const own = log.gtid === undefined ? undefined : parseGtidState(log.log.flavour, log.gtid);
  const all = after === undefined ? own : own === undefined ? after : joinGtids(after, own);
  return all !== undefined && includesGtids(all, parseGtidState(log.log.flavour, gtid));
}
