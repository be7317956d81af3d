import type { Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { fleetOf, type HostView } from "../domain/fleet.ts";
import type { Interval } from "../domain/interval.ts";
import type { RunReport } from "../domain/run-report.ts";
import type { Exporter } from "../export/exporter.ts";
import { listCopies } from "../job/list.ts";
import { type Context, openDestination } from "./context.ts";
import { explainShortly } from "./explain.ts";
import type { Invocation } from "./invocation.ts";
import type { RunRecord } from "./run-record.ts";
import { version } from "./version.ts";

/** A receiver that does not take what it is sent within so long is given up. */
const SENDING_MS = 3000;

/** So long may it take to look what is on the destination. */
const LOOKING_MS = 20_000;

type Backup = { readonly runType: Interval | undefined; readonly record: RunRecord; readonly exitStatus: number };

/** Tell everybody whom the config names what a run came to. A receiver that fails is worth a warning: the copies are what they are. */
export async function tellBackup(context: Context, run: Backup, invocation: Invocation): Promise<void> {
  const { runType, record, exitStatus } = run;
  const parts = record.parts(invocation.terminal.redact);
  const times = { startedAt: record.startedAt, finishedAt: new Date() };
  await tell(context, { command: "backup", runType, exitStatus, parts, ...times }, invocation);
}

/** The same of a restore that succeeded. */
export async function tellRestore(
  context: Context,
  { part, startedAt }: { readonly part: Media; readonly startedAt: Date },
  invocation: Invocation,
): Promise<void> {
  const finishedAt = new Date();
  const parts = [{ part, seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000, failures: [] }];
  const run = { command: "restore", runType: undefined, exitStatus: 0, parts, startedAt, finishedAt } as const;
  await tell(context, run, invocation);
}

type Told = Omit<RunReport, "host" | "version" | "standing">;

async function tell(context: Context, told: Told, { signal }: Invocation): Promise<void> {
  const { config, log } = context;
  if (config.export === undefined) return;
  const { openExporters } = await import("../export/open.ts");
  const exporters = openExporters(config.export);
  const wantsStanding = told.command === "backup" && exporters.some((exporter) => exporter.wantsStanding);
  const standing = wantsStanding && !signal.aborted ? await lookAt(context, told, signal) : undefined;
  const report: RunReport = { ...told, host: config.hostname, version: version(), standing };
  const warn = (error: unknown) => log.warn(explainShortly(error));
  await Promise.all(exporters.map((exporter) => send(exporter, report).catch(warn)));
}

/** What is on the destination now. When the run failed, why that cannot be seen is known already. */
async function lookAt({ config, log }: Context, { exitStatus }: Told, signal: AbortSignal) {
  try {
    return await standingOf(config, AbortSignal.any([signal, AbortSignal.timeout(LOOKING_MS)]));
  } catch (error) {
    if (exitStatus === 0) log.warn(`the measures lack what is on the destination: ${explainShortly(error)}`);
    return undefined;
  }
}

async function standingOf(config: Context["config"], signal: AbortSignal): Promise<HostView> {
  const host = config.hostname;
  await using destination = await openDestination(config, { isReadOnly: true });
  const { listed, heirs } = await listCopies(destination, { host, media: undefined, signal });
  return fleetOf(listed, new Date(), heirs)[0] ?? { host, subjects: [] };
}

/** Whatever the exporter does with its signal, this ends in time. */
async function send(exporter: Exporter, report: RunReport): Promise<void> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    controller.abort();
    // What it says itself of being aborted is worth more.
    setImmediate(() => late.reject(tooLate()));
  }, SENDING_MS);
  try {
    await Promise.race([exporter.send(report, { signal: controller.signal }), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(): BackupError {
  return new BackupError("UNREACHABLE", `Cannot export measures: it took more than ${SENDING_MS / 1000} s`, {
    hint: "Look at [export] in the config.",
  });
}
