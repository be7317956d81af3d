import { resolve } from "node:path";
import { parseBinlogInfo } from "../../domain/binlog-info.ts";
import { serverDirectories } from "../../domain/config-files.ts";
import type { MysqlCopy } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import { nameOf } from "../../domain/names.ts";
import { nextSteps } from "../../domain/next-steps.ts";
import { planRestore } from "../../domain/restore-plan.ts";
import { openRestorer } from "../../engine/open.ts";
import { datadirOf, openCopyBack } from "../../job/copy-back.ts";
import { lookAhead } from "../../job/dry-run.ts";
import { listCopies } from "../../job/list.ts";
import { prepareMemory } from "../../job/memory.ts";
import { RestoreCache } from "../../job/restore-cache.ts";
import {
  type MysqlRestore,
  type RestoredFacts,
  type RestoreTarget,
  restoreMysql as restore,
} from "../../job/restore-mysql.ts";
import { freeBytesAt, spaceWarnings } from "../../job/space.ts";
import { type Context, openContext, openDestination } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { findMysql, isKept } from "../find-mysql.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries, mysqlParts } from "../mysql-reading.ts";
import { progressOn } from "../progress.ts";
import { planJson, planLines } from "../restore-report.ts";

/** The options of the command, as typed. */
export type RestoreMysqlOptions = {
  readonly copy: string;
  readonly dst?: string;
  readonly hostname?: string;
  readonly cache?: string;
  readonly dryRun?: true;
  readonly copyBack?: true;
  readonly datadir?: string;
  readonly json?: true;
};

/** Where the predecessor's users and every distribution's packages have the data. */
const USUAL_DATADIR = "/var/lib/mysql";

/** Restore a MySQL copy with everything it needs, and tell what is left to do. */
export async function restoreMysql(options: RestoreMysqlOptions, invocation: Invocation): Promise<number> {
  const { signal } = invocation;
  const context = await openContext(invocation);
  const { config, log } = context;
  await using destination = await openDestination(config, { isReadOnly: true });
  const where = { host: options.hostname ?? config.hostname, keepLocalPath: config.keepLocalPath };
  const host = options.copy === "latest" ? where.host : undefined;
  const { listed, warnings } = await listCopies(destination, { host, media: "mysql", signal });
  for (const warning of warnings) log.warn(warning);
  const { copy, candidates, passedOver } = findMysql(options.copy, where, listed);
  for (const { key } of passedOver)
    log.warn(`"${key}" is newer, and passed over: it lacks a part, or is known to be bad`);
  const binaries = mysqlBinaries(config, invocation);
  const request: MysqlRestore = {
    plan: planRestore(copy, candidates),
    openPart: mysqlParts({ config, destination, preferKept: isKept(options.copy, config.keepLocalPath), signal }),
    openRestorer: (part) => openRestorer(part, { binaries, signal }),
    cache: options.cache === undefined ? undefined : await RestoreCache.at(options.cache, { log, signal }),
    memoryBytes: prepareMemory(),
    idleSeconds: config.run.idleSeconds,
    signal,
    onProgress: progressOf(copy, invocation),
  };
  const target = targetOf(copy, options);
  if (options.dryRun === true) return await predict(request, target, { options, invocation });
  const free = await freeBytesAt(target);
  for (const warning of [...request.plan.warnings, ...spaceWarnings(request.plan, free)]) log.warn(warning);
  const facts = await restore(request, await placeOf(target, options, signal));
  tell({ copy, target, facts }, options, { context, invocation });
  return 0;
}

/** One line for each thing that is being done. */
function progressOf({ key, rawBytes }: MysqlCopy, { terminal }: Invocation): (what: string, bytes: number) => void {
  let last = "";
  let draw = progressOn(terminal, nameOf(key), rawBytes);
  return (what, bytes) => {
    if (what !== last) draw = progressOn(terminal, what, what.endsWith(key) ? rawBytes : undefined);
    last = what;
    draw(bytes);
  };
}

function targetOf(copy: MysqlCopy, { dst, copyBack, datadir }: RestoreMysqlOptions): string {
  if (copyBack === true && dst === undefined) return resolve(datadirOf(copy, datadir));
  if (copyBack !== true && datadir === undefined) return resolve(dst ?? ".");
  const what = copyBack === true ? "--copy-back and --dst name two places" : "--datadir goes with --copy-back";
  throw new BackupError("USAGE", `Cannot restore "${copy.key}": ${what}`, {
    hint: "Give --dst DIR to restore beside the server, or --copy-back [--datadir DIR] to put the data in its place.",
  });
}

async function placeOf(target: string, { copyBack }: RestoreMysqlOptions, signal: AbortSignal): Promise<RestoreTarget> {
  if (copyBack !== true) return { target, withConfig: true };
  return { target, withConfig: false, finish: await openCopyBack(target, { signal }) };
}

type Asked = { readonly options: RestoreMysqlOptions; readonly invocation: Invocation };

async function predict(request: MysqlRestore, target: string, { options, invocation }: Asked): Promise<number> {
  const isInPlace = options.copyBack === true;
  const outlook = await lookAhead({
    ...request,
    target,
    ...(isInPlace && { checkTarget: () => openCopyBack(target, { signal: invocation.signal }) }),
  });
  const planned = { plan: request.plan, outlook, target };
  if (options.json === true) invocation.terminal.print(JSON.stringify(planJson(planned), null, 4));
  else invocation.terminal.print(planLines(planned).join("\n"));
  const [problem] = outlook.problems;
  return problem === undefined ? 0 : exitStatusOf(problem);
}

type Restored = { readonly copy: MysqlCopy; readonly target: string; readonly facts: RestoredFacts };
type Output = { readonly context: Context; readonly invocation: Invocation };

/** Tell where the data is, and what is left to do. */
function tell({ copy, target, facts }: Restored, options: RestoreMysqlOptions, { context, invocation }: Output): void {
  const { terminal } = invocation;
  terminal.draw("");
  for (const warning of facts.warnings) context.log.warn(warning);
  context.log.info(`restored "${copy.key}" into ${target}`);
  const { datadir } = serverDirectories(copy.config);
  const info = facts.infoFiles.get("xtrabackup_binlog_info") ?? facts.infoFiles.get("mariadb_backup_binlog_info");
  const end = parseBinlogInfo(info ?? "");
  const steps = nextSteps({
    directory: target,
    datadir: options.copyBack === true ? target : (datadir ?? USUAL_DATADIR),
    vendor: copy.vendor,
    serverVersion: copy.serverVersion,
    binlog: copy.binlog ?? end.binlog,
    gtid: copy.gtid ?? end.gtid,
    galera: facts.galera,
    hasConfig: facts.hasConfig,
    hasSettings: facts.hasSettings,
  });
  const json = {
    backup_copy: copy.key,
    destination: target,
    next_steps: steps,
    success: true,
    warnings: facts.warnings,
  };
  terminal.print(
    options.json === true ? JSON.stringify(json, null, 4) : ["# What is left to do:", ...steps].join("\n"),
  );
}
