import type { MysqlCopy } from "../../domain/copy.ts";
import { planRestore } from "../../domain/restore-plan.ts";
import { openRestorer } from "../../engine/open.ts";
import { openCopyBack } from "../../job/copy-back.ts";
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
import { tellRestore } from "../exporting.ts";
import { findMysql, isKept } from "../find-mysql.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries, mysqlParts } from "../mysql-reading.ts";
import { isRecovery } from "../recovery-options.ts";
import { planJson, planLines } from "../restore-report.ts";
import { progressOf, type RestoreMysqlOptions, stepsFor, targetOf } from "../restore-target.ts";

/** Restore a MySQL copy with everything it needs, and tell what is left to do. */
export async function restoreMysql(options: RestoreMysqlOptions, invocation: Invocation): Promise<number> {
  if (isRecovery(options)) return (await import("./recover-mysql.ts")).recoverMysql(options, invocation);
  const { signal } = invocation;
  const startedAt = new Date();
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
  await tellRestore(context, { part: "mysql", startedAt }, invocation);
  return 0;
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
  const steps = stepsFor({ copy, target, facts, options });
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
