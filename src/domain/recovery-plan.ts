import { binlogNumber, gtidsAfter, gtidsBefore, includesGtids, joinGtids, parseGtidState } from "./binlog.ts";
import { type BinlogCatalogue, type BinlogGap, type RecoverableWindow, recoverableWindow } from "./binlog-catalogue.ts";
import type { BinlogCopy, MysqlCopy } from "./copy.ts";
import { CopyError } from "./copy-error.ts";
import { BackupError } from "./errors.ts";
import { formatMoment, type GtidFilter, type Micros, type RecoveryTarget, targetText } from "./recovery-target.ts";
import { type Candidate, planRestore, type RestorePlan } from "./restore-plan.ts";
import { isBroken } from "./soundness.ts";
import { compareCopies } from "./status.ts";

/** What somebody wants a server to be brought to. */
export type RecoveryRequest = {
  /** The copy to begin with; `undefined` takes the newest that fits. */
  readonly copy: MysqlCopy | undefined;
  readonly host: string;
  /** All copies of the host, and all its archived logs. */
  readonly candidates: readonly Candidate[];
  readonly catalogue: BinlogCatalogue;
  readonly target: RecoveryTarget;
  /** Transactions to leave out. */
  readonly excluded: GtidFilter;
  /** What to do where logs are missing: nothing at all, go on behind them, or end there. */
  readonly atGap: "refuse" | "cross" | "stop";
};

/** Where the replay begins: at a place in the first log, or behind what the copy itself says it holds. */
type RecoveryStart = { readonly kind: "position"; readonly offset: number } | { readonly kind: "gtid" };

/** What brings a server to a moment: a copy, then archived logs. */
export type RecoveryPlan = {
  readonly base: RestorePlan;
  /** The logs to replay, in order; none when the copy itself is the target. */
  readonly logs: readonly BinlogCopy[];
  readonly start: RecoveryStart;
  readonly target: RecoveryTarget;
  readonly excluded: GtidFilter;
  /** Whether what is missing between the copy and the logs, or between these, is left out. */
  readonly acceptGaps: boolean;
  readonly window: RecoverableWindow;
  /** Bytes to fetch of the logs; `undefined` when the size of one is unknown. */
  readonly logBytes: number | undefined;
  /** What is replayed at the most, before compression; `undefined` when it is unknown. */
  readonly replayBytes: number | undefined;
  readonly warnings: readonly string[];
};

const NOTHING_TO_REPLAY = "no binary log is archived that brings the copy forward, so it is restored as it is";
const LS = 'Run "twindb-backup ls" to see from when to when each copy can be brought forward.';

function microsOf(date: Date): Micros {
  return date.getTime() * 1000;
}

function endOf({ finishedAt, startedAt }: MysqlCopy): Date {
  return finishedAt ?? startedAt;
}

function notFound(message: string, hint = LS): BackupError {
  return new BackupError("NOT_FOUND", message, { hint });
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
export function gapText({ reason, after, before, missing, gtid }: BinlogGap): string {
  const ends = [after === undefined ? "" : `after ${after}`, before === undefined ? "" : `before ${before}`];
  const lost = gtid === undefined ? "" : `, GTIDs ${gtid} are lost`;
  return `${GAP_TEXTS[reason](ends.filter((each) => each !== "").join(" and "), missing)}${lost}`;
}

/**
 * Say what brings a server of a host to a moment.
 * @throws {BackupError} NOT_FOUND when no copy fits, a gap lies before the target, or the target lies outside of what is archived; it names the
 * window. As `planRestore()` for a copy that was named.
 */
export function planRecovery(request: RecoveryRequest): RecoveryPlan {
  const [plan] = planRecoveries(request);
  return plan;
}

/** As `planRecovery()`, with what can be tried when the first base turns out to be damaged: older copies, newest first. */
export function planRecoveries(request: RecoveryRequest): [RecoveryPlan, ...RecoveryPlan[]] {
  if (request.copy !== undefined) return [planOn(request.copy, request)];
  const bases = basesFor(request);
  const problems: unknown[] = [];
  const plans = bases.flatMap((base) => {
    try {
      return [planOn(base, request)];
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      problems.push(error);
      return [];
    }
  });
  const [first, ...others] = plans;
  if (first !== undefined) return [first, ...others];
  throw problems[0] ?? noBase(request);
}

function noBase({ host, candidates, target }: RecoveryRequest): BackupError {
  const copies = candidates.filter(({ copy }) => copy.host === host).map(({ copy }) => copy);
  const [oldest] = copies.sort(compareCopies);
  const since = oldest === undefined ? "it has none" : `the oldest ended at ${formatMoment(microsOf(endOf(oldest)))}`;
  return notFound(`Cannot restore "${host}" ${targetText(target)}: no copy was taken before that, ${since}`);
}

/** Copies that end before the target and have all their parts, newest first. */
function basesFor(request: RecoveryRequest): MysqlCopy[] {
  return request.candidates
    .map(({ copy }) => copy)
    .filter((copy) => copy.host === request.host && !isBroken(copy) && excess(copy, request) === undefined)
    .sort((left, right) => compareCopies(right, left))
    .filter((copy) => isRestorable(copy, request));
}

function isRestorable(copy: MysqlCopy, { candidates }: RecoveryRequest): boolean {
  try {
    return planRestore(copy, candidates).parts.every((part) => !isBroken(part.copy));
  } catch (error) {
    if (error instanceof CopyError) return false;
    throw error;
  }
}

/** Why a copy holds too much, as far as its record tells. */
function excess(copy: MysqlCopy, { target, excluded }: RecoveryRequest): string | undefined {
  const end = endOf(copy);
  if (target.kind === "time" && microsOf(end) > target.at) return `it ended at ${formatMoment(microsOf(end))}`;
  if (target.kind === "gtid" && holdsGtid(copy, target.gtid)) return "it holds that transaction";
  if (target.kind === "position" && isBehindPosition(copy, target)) return "it ended behind that";
  const held = excluded.text.split(",").find((gtid) => gtid !== "" && holdsGtid(copy, gtid));
  return held === undefined ? undefined : `it holds ${held}, which was to be left out`;
}

function holdsGtid({ gtid, vendor }: MysqlCopy, wanted: string): boolean {
  if (gtid === undefined) return false;
  const flavour = vendor === "mariadb" ? "mariadb" : "mysql";
  return includesGtids(parseGtidState(flavour, gtid), parseGtidState(flavour, wanted));
}

function isBehindPosition({ binlog }: MysqlCopy, { file, offset }: { file: string; offset: number }): boolean {
  if (binlog === undefined) return false;
  const distance = binlogNumber(binlog.file) - binlogNumber(file);
  return distance > 0 || (distance === 0 && (binlog.offset ?? 0) > offset);
}

function planOn(copy: MysqlCopy, request: RecoveryRequest): RecoveryPlan {
  const { candidates, catalogue, target, excluded } = request;
  const base = planRestore(copy, candidates);
  const tooMuch = excess(copy, request);
  if (tooMuch !== undefined) throw refusal(copy, target, `${tooMuch}, so nothing older can be reached with it`);
  const window = windowOf(copy, catalogue);
  if (window === undefined) throw refusal(copy, target, "it does not tell where in the binary log it ends");
  const logs = logsFor(copy, window, request);
  return {
    base,
    logs,
    start: startOf(copy, logs),
    target,
    excluded,
    acceptGaps: request.atGap === "cross",
    window,
    logBytes: sumOf(logs, ({ bytes }) => bytes),
    replayBytes: sumOf(logs, ({ rawBytes }) => rawBytes),
    warnings: [...base.warnings, ...gapWarnings(window, logs), ...(logs.length === 0 ? [NOTHING_TO_REPLAY] : [])],
  };
}

function logsFor(copy: MysqlCopy, window: RecoverableWindow, request: RecoveryRequest): readonly BinlogCopy[] {
  const { catalogue, target, excluded, atGap } = request;
  requireWithin(copy, window, request);
  const logs = neededFor(atGap === "cross" ? allLogs(copy, catalogue) : window.logs, request);
  if (logs.length > 0) return logs;
  if (excluded.text !== "") throw refusal(copy, target, `no binary log is archived that holds ${excluded.text}`);
  const [gap] = window.gaps;
  if (gap !== undefined && target.kind === "end" && atGap !== "stop") throw refusal(copy, target, gapText(gap));
  return logs;
}

function refusal({ key }: MysqlCopy, target: RecoveryTarget, what: string): BackupError {
  return notFound(`Cannot restore "${key}" ${targetText(target)}: ${what}`);
}

/**
 * As `recoverableWindow()`. A copy of MySQL that does not tell where it ends still knows its GTIDs once a server runs on it; so the
 * log that was written to when the copy began is early enough.
 */
function windowOf(copy: MysqlCopy, catalogue: BinlogCatalogue): RecoverableWindow | undefined {
  const window = recoverableWindow(copy, catalogue);
  if (window !== undefined || copy.vendor === "mariadb") return window;
  for (const { logs } of catalogue.timelines.toReversed()) {
    const log = logs.findLast((each) => wasBegun(each, copy)) ?? logs[0];
    const found = log && recoverableWindow({ ...copy, binlog: { file: log.name, offset: undefined } }, catalogue);
    if (found !== undefined && found.logs.length > 0) return found;
  }
  return undefined;
}

/** Whether a log was begun before a copy was: it tells whole seconds. */
function wasBegun({ createdAt, log }: BinlogCopy, { startedAt }: MysqlCopy): boolean {
  return log?.previousGtid !== undefined && createdAt.getTime() + 999 <= startedAt.getTime();
}

/** The rest of the timeline, whatever is missing in it, the copy's own log included. */
function allLogs(copy: MysqlCopy, { timelines, doubts }: BinlogCatalogue): readonly BinlogCopy[] {
  const [first] = windowOf(copy, { timelines, doubts: new Set() })?.logs ?? [];
  const own = timelines.find((timeline) => first !== undefined && timeline.logs.includes(first)) ?? timelines.at(-1);
  const isWanted = (log: BinlogCopy) =>
    first === undefined ? log.createdAt >= endOf(copy) : log.createdAt >= first.createdAt;
  return (own?.logs ?? []).filter((log) => isWanted(log) && !isBroken(log) && !doubts.has(log.key));
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

/** The logs up to the one that holds the target. */
function neededFor(logs: readonly BinlogCopy[], { host, target }: RecoveryRequest): readonly BinlogCopy[] {
  if (target.kind === "end") return logs;
  if (target.kind === "time") return logs.filter((log, index) => index === 0 || microsOf(log.createdAt) < target.at);
  const last = logs.findIndex((log) => (target.kind === "gtid" ? mayHold(log, target.gtid) : log.name === target.file));
  if (last !== -1) return logs.slice(0, last + 1);
  const [first, end] = [logs[0], logs.at(-1)];
  const range = first === undefined ? "none is archived" : `they go from ${first.name} to ${end?.name}`;
  throw notFound(`Cannot restore "${host}" ${targetText(target)}: no log that can be reached holds that, ${range}`);
}

/** Whether a transaction lies in a log, or may: the predecessor did not note down what a log holds. */
function mayHold(log: BinlogCopy, gtid: string): boolean {
  if (log.log === undefined) return true;
  const after = gtidsAfter(log);
  const own = log.gtid === undefined ? undefined : parseGtidState(log.log.flavour, log.gtid);
  const all = after === undefined ? own : own === undefined ? after : joinGtids(after, own);
  return all !== undefined && includesGtids(all, parseGtidState(log.log.flavour, gtid));
}

function startOf({ binlog }: MysqlCopy, [first]: readonly BinlogCopy[]): RecoveryStart {
  if (binlog?.offset === undefined || first === undefined || binlog.file !== first.name) return { kind: "gtid" };
  return { kind: "position", offset: binlog.offset };
}

function sumOf(logs: readonly BinlogCopy[], bytesOf: (log: BinlogCopy) => number | undefined): number | undefined {
  const sizes = logs.map(bytesOf);
  return sizes.every((bytes) => bytes !== undefined) ? sizes.reduce((sum, bytes) => sum + bytes, 0) : undefined;
}

/** The gaps that are crossed because somebody accepted them. */
function gapWarnings({ gaps }: RecoverableWindow, logs: readonly BinlogCopy[]): string[] {
  const names = new Set(logs.map(({ name }) => name));
  return gaps
    .filter(({ before }) => before !== undefined && names.has(before))
    .map((gap) => `what was written in a gap is lost: ${gapText(gap)}`);
}

/**
 * Prove that a copy reaches the first log, where no place in it tells.
 * @param held the GTIDs that the restored data holds.
 * @throws {BackupError} NOT_FOUND when transactions from before the log are missing in it.
 */
export function requireReach({ base, start, logs, acceptGaps }: RecoveryPlan, held: string | undefined): void {
  const [first] = logs;
  const before = first === undefined ? undefined : gtidsBefore(first);
  if (start.kind === "position" || acceptGaps || before === undefined) return;
  if (includesGtids(parseGtidState(before.flavour, held ?? ""), before)) return;
  throw notFound(
    `Cannot bring "${base.copy.key}" forward: it does not hold all that was logged before "${first?.name}"`,
    "Use another copy: what was written in between is not archived.",
  );
}
