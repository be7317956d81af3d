import { setTimeout as sleep } from "node:timers/promises";
import type { MysqlCaptureFacts, MysqlCopy } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import { mysqlName, parseMysqlName, uniqueTimestamp } from "../domain/names.ts";
import { type MysqlPlan, planMysql, type Tool } from "../domain/plan-mysql.ts";
import type { ServerFacts } from "../domain/server.ts";
import type { StreamFormat } from "../engine/engine.ts";
import type { Source } from "../source/source.ts";
import { type Backup, type Before, prepareBackup, takeCopy } from "./take-copy.ts";

/** What the source of the next copy is to be. */
export type Capturing = {
  /** Start of the stored name. */
  readonly name: string;
  /** Where the parent ends; `undefined` for a full copy. */
  readonly incrementalLsn: bigint | undefined;
  readonly onProgress: (bytes: number) => void;
};

/** Everything a backup of a server needs. */
export type MysqlBackup = Backup<"mysql"> & {
  /** Runs of this type and longer ones take full copies. */
  readonly fullBackup: Interval;
  readonly fullBackupDays: number | undefined;
  readonly incrementalFrom: "full" | "last";
  /** The user asked for a full copy. */
  readonly isForced: boolean;
  readonly tool: Tool & { readonly format: StreamFormat };
  readonly serverFacts: () => Promise<ServerFacts>;
  /** Text of the server's config files by absolute path. */
  readonly serverConfig: () => Promise<MysqlCopy["config"]>;
  readonly openSource: (capturing: Capturing) => Source<MysqlCaptureFacts>;
  /** Whether a failure is the cluster's, which ended the tool for the sake of something more urgent. */
  readonly isTransient: (error: unknown) => boolean;
  /** Whether the tool refused an increment that a full copy makes up for. */
  readonly isRefused: (error: unknown) => boolean;
  /** Says what to do, by what the tool said. */
  readonly explain: (error: unknown) => unknown;
  /** Before another try. Default 30 seconds. */
  readonly pauseMs?: number;
};

const TRIES = 3;

/** Back up the server: full or what has changed, whichever suits; then expire what retention no longer wants. */
export async function backupMysql(backup: MysqlBackup): Promise<void> {
  const before = await prepareBackup(backup, "mysql");
  const config = await captureConfig(backup);
  let isRefused = false;
  for (let attempt = 1; ; attempt++) {
    try {
      await takeMysqlCopy(backup, before, { config, isRefused });
      return;
    } catch (error) {
      backup.signal.throwIfAborted();
      if (attempt === TRIES) throw backup.explain(error);
      if (!isRefused && backup.isRefused(error)) isRefused = true;
      else if (backup.isTransient(error)) await pause(backup, attempt);
      else throw backup.explain(error);
    }
  }
}

async function pause({ pauseMs = 30_000, signal, log }: MysqlBackup, attempt: number): Promise<void> {
  log.warn(`The copy was ended by the cluster; trying again (${attempt + 1} of ${TRIES})`);
  // The reason is thrown below, instead of the timer's own error.
  await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

/** A copy without the server's config files restores all the same. */
async function captureConfig(backup: MysqlBackup): Promise<MysqlCopy["config"]> {
  try {
    return await backup.serverConfig();
  } catch (error) {
    backup.signal.throwIfAborted();
    backup.onFailure(error);
    return new Map();
  }
}

async function takeMysqlCopy(
  backup: MysqlBackup,
  before: Before<MysqlCopy>,
  { config, isRefused }: { readonly config: MysqlCopy["config"]; readonly isRefused: boolean },
): Promise<void> {
  const startedAt = backup.now();
  const own = [...before.names].filter((name) => parseMysqlName(name) !== undefined);
  const { takenAt, clockBehind } = uniqueTimestamp(startedAt, own);
  const server = await backup.serverFacts();
  const plan = planOf(backup, before, { server, clockBehind, now: startedAt, isRefused });
  const dataBytes = expectedBytes(plan, before, server);
  const source = backup.openSource({
    name: mysqlName(takenAt, backup.tool.format),
    incrementalLsn: plan.kind === "incremental" ? plan.lsn : undefined,
    onProgress: backup.progress(`mysql ${plan.kind}`, dataBytes),
  });
  const isStoredRaw = backup.compress === undefined && backup.encrypt === undefined;
  await takeCopy(backup, before, {
    media: "mysql",
    source,
    startedAt,
    clockBehind,
    expectedBytes: dataBytes,
    describe: (stored, facts) => ({
      ...stored,
      ...facts,
      ...(plan.kind === "full" ? { kind: "full" } : { kind: "incremental", parent: plan.parent.key }),
      rawBytes: isStoredRaw ? stored.bytes : facts.rawBytes,
      config,
    }),
  });
}

type Now = {
  readonly server: ServerFacts;
  readonly clockBehind: boolean;
  readonly now: Date;
  readonly isRefused: boolean;
};

function planOf(backup: MysqlBackup, { status, doubtful, doubts }: Before<MysqlCopy>, now: Now): MysqlPlan {
  const plan: MysqlPlan = now.isRefused
    ? { kind: "full", reason: "the tool refused an increment" }
    : planMysql(status.copies, { ...backup, ...now, isDoubtful: doubtful, doubts });
  const why = plan.kind === "full" ? plan.reason : `on "${plan.parent.key}"`;
  backup.log.info(`taking ${plan.kind === "full" ? "a full copy" : "an increment"}: ${why}`);
  return plan;
}

/** A full copy is about as large as the data, an increment about as large as the last one. */
function expectedBytes(plan: MysqlPlan, { status }: Before<MysqlCopy>, server: ServerFacts): number | undefined {
  if (plan.kind === "full") return server.dataBytes;
  return status.copies.findLast(({ kind }) => kind === "incremental")?.rawBytes;
}
