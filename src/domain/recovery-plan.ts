import { binlogNumber, gtidsBefore, includesGtids, parseGtidState } from "./binlog.ts";
import type { BinlogCatalogue } from "./binlog-catalogue.ts";
import type { Join } from "./binlog-join.ts";
import type { BinlogCopy, MysqlCopy } from "./copy.ts";
import { CopyError } from "./copy-error.ts";
import { BackupError } from "./errors.ts";
import type { RecoverableWindow } from "./recoverable-window.ts";
import { endOf, microsOf, notFound, type Route, refusal, routeFor, windowOf } from "./recovery-logs.ts";
import { formatMoment, type GtidFilter, type RecoveryTarget, targetText } from "./recovery-target.ts";
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
  /** Where the logs go over to those of a server that took over. */
  readonly joins: readonly Join[];
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
  if (window === undefined) throw placeless(copy, target);
  const { logs, joins, warnings } = routeFor(copy, window, request);
  return {
    base,
    logs,
    joins,
    start: startOf(copy, { logs, joins }),
    target,
    excluded,
    acceptGaps: request.atGap === "cross",
    window,
    logBytes: sumOf(logs, ({ bytes }) => bytes),
    replayBytes: sumOf(logs, ({ rawBytes }) => rawBytes),
    warnings: [...base.warnings, ...warnings, ...(logs.length === 0 ? [NOTHING_TO_REPLAY] : [])],
  };
}

function placeless({ key, tool }: MysqlCopy, target: RecoveryTarget): BackupError {
  const message = `Cannot restore "${key}" ${targetText(target)}: it does not tell where in the binary log it ends`;
  if (tool !== "clone") return notFound(message);
  return notFound(
    message,
    "Use another copy; of a clone that is taken while the server writes, only GTIDs tell: set gtid_mode=ON.",
  );
}

function startOf({ binlog }: MysqlCopy, { logs: [first], joins }: Pick<Route, "logs" | "joins">): RecoveryStart {
  if (binlog?.offset === undefined || first === undefined || binlog.file !== first.name) return { kind: "gtid" };
  // Names of logs come again on another server.
  if (joins[0]?.at === 0) return { kind: "gtid" };
  return { kind: "position", offset: binlog.offset };
}

function sumOf(logs: readonly BinlogCopy[], bytesOf: (log: BinlogCopy) => number | undefined): number | undefined {
  const sizes = logs.map(bytesOf);
  return sizes.every((bytes) => bytes !== undefined) ? sizes.reduce((sum, bytes) => sum + bytes, 0) : undefined;
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
