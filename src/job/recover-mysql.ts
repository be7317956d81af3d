import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatGtidState } from "../domain/binlog.ts";
import type { Join } from "../domain/binlog-join.ts";
import { BROUGHT_SETTINGS } from "../domain/brought-settings.ts";
import type { BinlogCopy, BinlogPosition, MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { formatGtidPosition, parseGtidPosition, positionOf } from "../domain/gtid-position.ts";
import { containsGtids, formatGtidSet, parseGtidSet, subtractGtids } from "../domain/gtid-set.ts";
import { type RecoveryPlan, requireReach } from "../domain/recovery-plan.ts";
import { targetText } from "../domain/recovery-target.ts";
import { text } from "../lib/command.ts";
import type { ReplayServer } from "../mysql/replay-server.ts";
import { type SuppliedLog, supplyLogs, sweepLogs } from "./log-supply.ts";
import { RecoveryStage } from "./recovery-stage.ts";
import {
  infoFilesOf,
  type MysqlRestore,
  type RestoredFacts,
  type RestoreTarget,
  restoreMysql,
  writeConfig,
} from "./restore-mysql.ts";
import type { PartReading } from "./unpack-part.ts";

/** What a server is to be started for, on restored data. */
type ReplayOptions = {
  /** GTIDs of the copy, as recorded. */
  readonly held: string | undefined;
  /** Whether a log may hold files for statements to load. */
  readonly loadsFiles: boolean;
};

/** What a recovery works with. */
export type MysqlRecovery = Omit<MysqlRestore, "plan"> & {
  readonly plan: RecoveryPlan;
  readonly openLog: (copy: BinlogCopy) => Promise<PartReading>;
  readonly openServer: (copy: MysqlCopy, directory: string, options: ReplayOptions) => Promise<ReplayServer>;
};

/** Where a replay ended. */
export type RecoveredEnd = {
  /** The place in the logs behind the last transaction, and whether these are those of a server that took over. */
  readonly binlog: BinlogPosition;
  readonly isOfSuccessor: boolean;
  /** What the data holds, as GTIDs. */
  readonly gtid: string | undefined;
  /** When the last transaction was committed, in microseconds since 1970, and its GTID; `undefined` when none was replayed. */
  readonly last: { readonly at: number; readonly gtid: string | undefined } | undefined;
  readonly transactions: number;
  readonly excluded: readonly string[];
};

export type RecoveredFacts = RestoredFacts & { readonly end: RecoveredEnd | undefined };

/** How far ahead logs are fetched. */
const AHEAD = { logs: 3, bytes: 4 * 1024 ** 3 } as const;

const DIRECTORY_MODE = 0o750;

/** What tells of the copy's own place in the logs, which the data has left behind. */
const PLACE_FILE = /_(?:binlog_info|slave_info|galera_info|binlog_pos_innodb)$/;

/**
 * Restore a copy, bring it forward with archived logs, and put it into the target, which appears or is filled only when everything
 * succeeded. A run that was killed, interrupted, or lost the destination leaves a stage beside the target that the next one goes on with.
 * @throws {CopyError} naming the copy or log that is to blame. {BackupError} NOT_FOUND when no log holds the target.
 */
export async function recoverMysql(recovery: MysqlRecovery, to: RestoreTarget): Promise<RecoveredFacts> {
  const { plan, signal } = recovery;
  if (plan.logs.length === 0) return { ...(await restoreMysql({ ...recovery, plan: plan.base }, to)), end: undefined };
  await using stage = await RecoveryStage.open(to.target, { identity: identityOf(plan), signal });
  try {
    const warnings = await bringBase(stage, recovery);
    const end = await replayLogs(stage, recovery, warnings);
    const facts = await dress(stage.data, plan.base.copy, to);
    await giveBack(stage.data, signal);
    await to.finish?.(stage.data);
    await stage.promote(DIRECTORY_MODE);
    return { ...facts, warnings: [...warnings, ...facts.warnings], end };
  } catch (error) {
    if (signal.aborted || isOutside(error)) stage.keep();
    throw error;
  }
}

/** Whether a failure says nothing about what was done so far. */
function isOutside(error: unknown): boolean {
  return error instanceof BackupError && (error.code === "UNREACHABLE" || error.retryable);
}

/** The same only for what leads to the same data. */
function identityOf({ base, logs, joins, start, target, excluded }: RecoveryPlan): string {
  const stored = [...base.parts.map(({ copy }) => copy), ...logs].map(({ key, sha256 }) => [key, sha256 ?? null]);
  const bounds = joins.map(({ at, applied, held }) => [at, formatGtidState(applied), formatGtidState(held)]);
  const text = JSON.stringify([stored, start, targetText(target), excluded.text, ...bounds]);
  return createHash("sha256").update(text).digest("hex");
}

/** Have the restored copy in the stage. @returns what could not be brought back. */
async function bringBase(stage: RecoveryStage, recovery: MysqlRecovery): Promise<string[]> {
  const { plan, onProgress } = recovery;
  const { journal } = stage;
  if (journal !== undefined && !journal.isResumable) await stage.discard();
  if (await stage.hasData()) {
    onProgress?.("going on with what an earlier run left", 0);
    return [];
  }
  const facts = await restoreMysql({ ...recovery, plan: plan.base }, { target: stage.data, withConfig: false });
  return [...facts.warnings];
}

async function replayLogs(stage: RecoveryStage, recovery: MysqlRecovery, warnings: string[]): Promise<RecoveredEnd> {
  const { plan } = recovery;
  const { copy } = plan.base;
  await using server = await openServer(stage, recovery);
  await stage.note(stage.journal ?? { isResumable: server.isResumable, held: server.executed });
  const held = copy.vendor === "mariadb" ? copy.gtid : stage.journal?.held;
  requireReach(plan, held);
  await sweepLogs(stage.logs);
  const skipped = countApplied(plan.logs, stage.journal, server.executed);
  const tally = new Tally(plan, recovery.onProgress);
  const supply = { ...recovery, vendor: copy.vendor, held, directory: stage.logs, ahead: AHEAD, skipped };
  for await (const log of supplyLogs(supply)) {
    for (const segment of log.cut.segments)
      await server.apply({ file: log.file, ...segment }, (bytes) => tally.show(bytes));
    tally.add(log);
  }
  tally.check();
  warnings.push(...tally.warnings);
  const gtid = await server.complete(copy.vendor === "mariadb" ? tally.position(held) : undefined);
  return tally.end(gtid);
}

/** A server on the data; on a new restore of it where what an earlier run left turns out not to be whole transactions. */
async function openServer(stage: RecoveryStage, recovery: MysqlRecovery): Promise<ReplayServer> {
  const { base, logs } = recovery.plan;
  const { copy } = base;
  const loadsFiles = logs.some(({ log }) => log?.loadsFiles !== false);
  const server = await recovery.openServer(copy, stage.data, { held: stage.journal?.held ?? copy.gtid, loadsFiles });
  if (stage.journal === undefined || server.isResumable) return server;
  await server[Symbol.asyncDispose]();
  await stage.discard();
  await bringBase(stage, recovery);
  return recovery.openServer(copy, stage.data, { held: copy.gtid, loadsFiles });
}

/** Leading logs of which all transactions are in the data already; the last one tells where to stop, so it is read always. */
function countApplied(
  logs: readonly BinlogCopy[],
  journal: RecoveryStage["journal"],
  executed: string | undefined,
): number {
  if (journal?.isResumable !== true || executed === undefined) return 0;
  const set = parseGtidSet(executed);
  const first = logs.findIndex(({ gtid }) => gtid === undefined || !containsGtids(set, parseGtidSet(gtid)));
  return first === -1 ? logs.length - 1 : Math.min(first, logs.length - 1);
}

/** What a replay has come to so far. */
class Tally {
  readonly warnings: string[] = [];
  readonly #plan: RecoveryPlan;
  readonly #onProgress: MysqlRecovery["onProgress"];
  readonly #excluded: string[] = [];
  #bytes = 0;
  #transactions = 0;
  #isOrderNoted = false;
  #latest: SuppliedLog | undefined;
  #last: RecoveredEnd["last"];

  constructor(plan: RecoveryPlan, onProgress: MysqlRecovery["onProgress"]) {
    this.#plan = plan;
    this.#onProgress = onProgress;
  }

  show(bytes: number): void {
    this.#onProgress?.("replaying binary logs", this.#bytes + bytes);
  }

  add(log: SuppliedLog): void {
    const { cut, scan } = log;
    this.#bytes += scan.bytes;
    this.#transactions += cut.transactions;
    this.#excluded.push(...cut.excluded);
    this.#latest = log;
    if (cut.last !== undefined) this.#last = { at: cut.last.at, gtid: cut.last.gtid };
    this.#noteOrder(log);
    if (cut.stragglers > 0 && this.#plan.target.kind === "time") {
      const where = `"${log.copy.name}" at ${cut.stop?.offset}`;
      this.warnings.push(
        `the replay stopped in ${where}; ${cut.stragglers} later transactions there say that they were committed before that moment`,
      );
    }
    this.show(0);
  }

  /** Domains of MariaDB have no order among each other, and within one the plan has proven it. */
  #noteOrder({ copy: { log, name }, cut }: SuppliedLog): void {
    if (!cut.isOvertaken || log?.flavour === "mariadb" || this.#isOrderNoted) return;
    this.#isOrderNoted = true;
    this.warnings.push(
      `in "${name}" the new primary logged transactions of its own before ones of the old one, which were replayed first`,
    );
  }

  /** @throws {BackupError} NOT_FOUND when the target, or what was to be left out, was not met. */
  check(): void {
    const { target, excluded, logs } = this.#plan;
    const isMissed = (target.kind === "gtid" || target.kind === "position") && this.#latest?.cut.stop === undefined;
    const range = `they are ${logs[0]?.name} to ${logs.at(-1)?.name}`;
    if (isMissed) throw notFound(`Cannot restore ${targetText(target)}: the logs do not hold that, ${range}`);
    const left = missingOf(excluded.text, this.#excluded, this.#plan.base.copy);
    if (left !== "") throw notFound(`Cannot leave out ${left}: the logs up to the target do not hold that, ${range}`);
  }

  /** Where MariaDB got: what was logged before the last log, and in it up to the stop. */
  position(held: string | undefined): string | undefined {
    if (this.#latest === undefined) return held;
    const { copy, cut, scan } = this.#latest;
    const join = this.#joinBefore(copy);
    const joined = join === undefined ? [] : [formatGtidState(join.held)];
    const texts = [scan.log.previousGtid ?? held ?? "", ...joined, ...cut.domains.values()];
    return formatGtidPosition(positionOf(texts.flatMap((each) => [...parseGtidPosition(each).values()]))) || held;
  }

  #joinBefore(copy: BinlogCopy): Join | undefined {
    const index = this.#plan.logs.indexOf(copy);
    return this.#plan.joins.findLast(({ at }) => at <= index);
  }

  end(gtid: string | undefined): RecoveredEnd {
    const { copy, cut, scan } = this.#latest ?? {};
    return {
      binlog: { file: copy?.name ?? "", offset: cut?.stop?.offset ?? scan?.log.endOffset },
      isOfSuccessor: copy !== undefined && this.#joinBefore(copy) !== undefined,
      gtid,
      last: this.#last,
      transactions: this.#transactions,
      excluded: this.#excluded,
    };
  }
}

function missingOf(wanted: string, found: readonly string[], { vendor }: MysqlCopy): string {
  if (wanted === "") return "";
  if (vendor === "mariadb")
    return wanted
      .split(",")
      .filter((gtid) => !found.includes(gtid))
      .join(",");
  return formatGtidSet(subtractGtids(parseGtidSet(wanted), parseGtidSet(found.join(","))));
}

function notFound(message: string): BackupError {
  return new BackupError("NOT_FOUND", message, {
    hint: "Look for it with mysqlbinlog, and name it as the logs spell it.",
  });
}

/** Take away what describes the copy and no more the data, and add what was left out before a server ran on it. */
async function dress(data: string, copy: MysqlCopy, { withConfig }: RestoreTarget): Promise<RestoredFacts> {
  const infoFiles = await infoFilesOf(data);
  for (const name of infoFiles.keys()) if (PLACE_FILE.test(name)) await rm(join(data, name), { force: true });
  for (const name of ["grastate.dat", "auto.cnf"]) await rm(join(data, name), { force: true });
  const cluster = "the data holds more than its cluster knows of: found a new cluster on this node";
  const warnings = copy.galeraVersion === undefined ? [] : [cluster];
  const config = withConfig ? await writeConfig(data, copy.config) : { written: 0, warnings: [] };
  return {
    infoFiles,
    galera: undefined,
    hasConfig: config.written > 0,
    hasSettings: (await readdir(data)).includes(BROUGHT_SETTINGS),
    warnings: [...warnings, ...config.warnings],
  };
}

/** The server that replayed took the data for itself; a restore leaves it to who ran it. */
async function giveBack(data: string, signal: AbortSignal): Promise<void> {
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  if (uid !== 0) return;
  await text({ file: "chown", args: ["-R", "-h", `${uid}:${gid}`, "--", data] }, { signal });
}
