import type { MysqlCopy, Vendor } from "../../domain/copy.ts";
import { CopyError } from "../../domain/copy-error.ts";
import { planRecoveries, type RecoveryPlan } from "../../domain/recovery-plan.ts";
import type { Candidate } from "../../domain/restore-plan.ts";
import { openRestorer } from "../../engine/open.ts";
import { openCopyBack } from "../../job/copy-back.ts";
import { lookAhead } from "../../job/dry-run.ts";
import { listCopies } from "../../job/list.ts";
import { prepareMemory } from "../../job/memory.ts";
import { type MysqlRecovery, type RecoveredFacts, recoverMysql as recover } from "../../job/recover-mysql.ts";
import { RestoreCache } from "../../job/restore-cache.ts";
import type { RestoreTarget } from "../../job/restore-mysql.ts";
import { freeBytesAt, spaceWarnings } from "../../job/space.ts";
import { type Context, openContext, openDestination } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { requireListed } from "../find-copies.ts";
import { findMysql, isKept } from "../find-mysql.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries, mysqlParts } from "../mysql-reading.ts";
import { readRecovery } from "../recovery-options.ts";
import { endJson, endText, recoveryJson, recoveryLines } from "../recovery-report.ts";
import { catalogueFor, replayServices } from "../recovery-services.ts";
import { progressOf, type RestoreMysqlOptions, stepsFor, targetOf } from "../restore-target.ts";

type Destination = Awaited<ReturnType<typeof openDestination>>;
type Asked = {
  readonly options: RestoreMysqlOptions;
  readonly context: Context;
  readonly destination: Destination;
  readonly invocation: Invocation;
};

/** Restore a MySQL copy, bring it forward with archived binary logs, and tell what is left to do. */
export async function recoverMysql(options: RestoreMysqlOptions, invocation: Invocation): Promise<number> {
  const context = await openContext(invocation);
  await using destination = await openDestination(context.config);
  const asked = { options, context, destination, invocation };
  const plans = await plansFor(asked);
  const [plan] = plans;
  const target = targetOf(plan.base.copy, options);
  if (options.dryRun === true) return await predict(plan, target, asked);
  for (const [index, each] of plans.entries()) {
    const older = options.fallback === true ? plans[index + 1] : undefined;
    try {
      tell(each, { target, facts: await bring(each, target, asked) }, asked);
      return 0;
    } catch (error) {
      if (older === undefined || !isBaseDamaged(error, each)) throw error;
      context.log.warn(`${(error as Error).message}; going back to "${older.base.copy.key}"`);
    }
  }
  return 0;
}

function isBaseDamaged(error: unknown, { base }: RecoveryPlan): boolean {
  return error instanceof CopyError && base.parts.some(({ copy }) => copy.key === error.key);
}

/** Find the copies and logs of the host. @returns what can be done, the best first. */
async function plansFor({
  options,
  context,
  destination,
  invocation,
}: Asked): Promise<[RecoveryPlan, ...RecoveryPlan[]]> {
  const { signal } = invocation;
  const { config, log } = context;
  const where = { host: options.hostname ?? config.hostname, keepLocalPath: config.keepLocalPath };
  const isLatest = options.copy === "latest";
  const listing = await listCopies(destination, { host: isLatest ? where.host : undefined, media: "mysql", signal });
  const named = isLatest ? undefined : findMysql(options.copy, where, listing.listed).copy;
  const host = named?.host ?? where.host;
  const candidates = requireListed({ media: "mysql", host, verb: "restore" }, listing.listed);
  for (const warning of listing.warnings) log.warn(warning);
  const catalogue = await catalogueFor(destination, { host, log, signal });
  const atGap = options.acceptGap === true ? "cross" : "refuse";
  const wanted = readRecovery(options, vendorOf(candidates), log);
  return planRecoveries({ ...wanted, copy: named, host, candidates, catalogue, atGap });
}

/** The newest copy tells whose GTIDs are meant. */
function vendorOf(candidates: readonly Candidate[]): Vendor {
  return candidates.at(-1)?.copy.vendor ?? "mariadb";
}

async function recoveryOf(plan: RecoveryPlan, asked: Asked): Promise<MysqlRecovery> {
  const { options, context, destination, invocation } = asked;
  const { config, log } = context;
  const { signal } = invocation;
  const binaries = mysqlBinaries(config, invocation);
  const memoryBytes = prepareMemory();
  const reading = { config, destination, preferKept: isKept(options.copy, config.keepLocalPath), signal };
  return {
    plan,
    openPart: mysqlParts(reading),
    openRestorer: (part) => openRestorer(part, { binaries, signal }),
    ...replayServices({ config, destination, memoryBytes, signal }),
    cache: options.cache === undefined ? undefined : await RestoreCache.at(options.cache, { log, signal }),
    memoryBytes,
    idleSeconds: config.run.idleSeconds,
    signal,
    onProgress: progressOf(plan.base.copy, invocation, plan.replayBytes),
  };
}

async function bring(plan: RecoveryPlan, target: string, asked: Asked): Promise<RecoveredFacts> {
  const { options, context, invocation } = asked;
  const { signal } = invocation;
  const free = await freeBytesAt(target);
  for (const warning of [...plan.warnings, ...spaceWarnings(plan.base, free)]) context.log.warn(warning);
  const to: RestoreTarget =
    options.copyBack === true
      ? { target, withConfig: false, finish: await openCopyBack(target, { signal }) }
      : { target, withConfig: true };
  return recover(await recoveryOf(plan, asked), to);
}

async function predict(plan: RecoveryPlan, target: string, asked: Asked): Promise<number> {
  const { options, invocation } = asked;
  const { terminal, signal } = invocation;
  const outlook = await lookAhead({
    ...(await recoveryOf(plan, asked)),
    plan: plan.base,
    target,
    ...(options.copyBack === true && { checkTarget: () => openCopyBack(target, { signal }) }),
  });
  const planned = { plan, outlook, target };
  if (options.json === true) terminal.print(JSON.stringify(recoveryJson(planned), null, 4));
  else terminal.print(recoveryLines(planned).join("\n"));
  const [problem] = outlook.problems;
  return problem === undefined ? 0 : exitStatusOf(problem);
}

type Recovered = { readonly target: string; readonly facts: RecoveredFacts };

function tell({ base }: RecoveryPlan, { target, facts }: Recovered, { options, context, invocation }: Asked): void {
  const copy: MysqlCopy = base.copy;
  const { terminal } = invocation;
  const { end, warnings } = facts;
  terminal.draw("");
  for (const warning of warnings) context.log.warn(warning);
  context.log.info(`restored "${copy.key}" into ${target}, ${endText(end)}`);
  const place = end?.isOfSuccessor === true ? undefined : end?.binlog;
  const reached = end === undefined ? copy : { ...copy, binlog: place, gtid: end.gtid };
  // The place of the copy itself says nothing of data that was brought forward.
  const described = end === undefined ? facts : { ...facts, infoFiles: new Map<string, string>() };
  const steps = stepsFor({ copy: reached, target, facts: described, options });
  const json = {
    backup_copy: copy.key,
    destination: target,
    next_steps: steps,
    recovered: endJson(end),
    success: true,
    warnings,
  };
  if (options.json === true) terminal.print(JSON.stringify(json, null, 4));
  else terminal.print([`# ${endText(end)}`, "# What is left to do:", ...steps].join("\n"));
}
