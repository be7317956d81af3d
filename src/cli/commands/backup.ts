import type { Config } from "../../config/options.ts";
import type { Media } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import type { Interval } from "../../domain/interval.ts";
import { recordMeasure } from "../../job/measures.ts";
import { type Part, runParts, WAIT_SECONDS } from "../../job/run.ts";
import { acquireLock } from "../../lib/lock.ts";
import { sweepPipes } from "../../lib/pipe.ts";
import { meaningOf } from "../../lib/system-error.ts";
import { sweepPrivateHomes } from "../../modifier/gpg-private-home.ts";
import { sweepBinlogScratch } from "../../source/binlog.ts";
import { sweepMysqlScratch } from "../../source/mysql.ts";
import type { PartOptions } from "../backup-services.ts";
import { binlogPart } from "../binlog-part.ts";
import { type Context, openContext } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { filesPart } from "../files-part.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlPart } from "../mysql-part.ts";
import { pauseState } from "../paused.ts";

export type BackupOptions = {
  readonly runType: Interval;
  readonly lockFile: string;
  readonly wait?: number;
  readonly only?: Media;
  readonly binlogsOnly?: true;
  readonly full?: true;
  /** Of `binlog push`, which is no run of any type. */
  readonly isPush?: true;
};

/** Take copies of everything the config names for this run type. Silent when all is well. */
export async function backup(options: BackupOptions, invocation: Invocation): Promise<number> {
  const context = await openContext(invocation);
  if (options.isPush !== true && !context.config.intervals[options.runType]) return 0;
  for (const warning of context.warnings) context.log.warn(warning);
  if (await isPausedHere(context)) return 0;
  // Copies, status files and temporary ones are nobody else's business.
  process.umask(0o077);
  const lost = new AbortController();
  // Binary logs have a lock of their own: those of five minutes must not wait for a copy of hours.
  await using _lock = isOnlyBinlogs(options)
    ? undefined
    : await acquireLock(options.lockFile, {
        waitSeconds: options.wait ?? WAIT_SECONDS[options.runType],
        signal: invocation.signal,
        onLost: (error) => lost.abort(error),
      });
  const signal = AbortSignal.any([invocation.signal, lost.signal]);
  // Awaited here: the lock is held until this block ends.
  return await run(options, context, { ...invocation, signal });
}

/** Whether a person paused the runs of this host. That is said at info only: who paused them knows, and check, ls and status tell others. */
async function isPausedHere({ config, log }: Context): Promise<boolean> {
  const { pause, notice } = await pauseState(config, new Date());
  if (notice !== undefined && pause === undefined) log.warn(notice);
  if (pause !== undefined) log.info(`nothing was done: ${notice}`);
  return pause !== undefined;
}

function isOnlyBinlogs({ only, binlogsOnly }: BackupOptions): boolean {
  return binlogsOnly === true || only === "binlog";
}

/** What killed runs left in the place for temporary files. Not being able to look there is no reason to go without a copy. */
async function sweepTemporary({ log }: Context): Promise<void> {
  for (const sweep of [sweepPipes, sweepPrivateHomes, sweepMysqlScratch, sweepBinlogScratch]) {
    await sweep().catch((error: unknown) => log.warn(`Cannot clean up temporary files: ${meaningOf(error).what}`));
  }
}

async function run(options: BackupOptions, context: Context, invocation: Invocation): Promise<number> {
  await sweepTemporary(context);
  const startedAt = new Date();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => {
    failures.push(error);
    invocation.terminal.fail(error);
  };
  const parts = partsOf(options, context, { invocation, onFailure });
  await runParts(parts, onFailure, invocation.signal);
  if (options.binlogsOnly !== true) await measure(context, startedAt);
  return failures.length === 0 ? 0 : exitStatusOf(failures[0]);
}

async function measure({ config, log }: Context, startedAt: Date): Promise<void> {
  try {
    await recordMeasure(config.run.measuresLog, startedAt, new Date());
  } catch (error) {
    // The copies are stored; a log of times that cannot be written is worth a line, not a failure.
    log.warn(`Cannot write "${config.run.measuresLog}": ${meaningOf(error).what}. Set measures_log under [run].`);
  }
}

function partsOf(request: BackupOptions, context: Context, options: PartOptions): Part[] {
  const { runType, only, binlogsOnly } = request;
  const wanted = binlogsOnly === true ? "binlog" : only;
  const { source, mysql } = context.config;
  const configured: readonly [Media, boolean, () => Part][] = [
    ["files", source.directories.length > 0, () => filesPart(runType, context, options)],
    ["mysql", source.mysql, () => mysqlPart(request, context, options)],
    ["binlog", mysql !== undefined, () => binlogPart(request, context, { ...options, isWanted: wanted === "binlog" })],
  ];
  const parts = configured.filter(([media, isOn]) => isOn && (wanted === undefined || wanted === media));
  if (parts.length === 0) throw nothingToDo(context.config, wanted);
  return parts.map(([, , part]) => part());
}

const HINTS: Readonly<Record<Media, string>> = {
  files: "Set backup_dirs in [source].",
  mysql: "Leave --only out, or set backup_mysql=yes in [source].",
  binlog: "Leave --only out, or add the section [mysql].",
};

function nothingToDo({ path }: Config, wanted: Media | undefined): BackupError {
  const what = wanted === undefined ? "anything" : `the part "${wanted}"`;
  return new BackupError("CONFIG_INVALID", `Cannot back up ${what}: ${path} names nothing of it in [source]`, {
    hint: HINTS[wanted ?? "files"],
  });
}
