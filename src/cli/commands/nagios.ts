import type { Config } from "../../config/options.ts";
import { type AgeThresholds, parseThresholds } from "../../domain/age-thresholds.ts";
import { type Judged, judge, type Notice } from "../../domain/alarm.ts";
import { fleetOf } from "../../domain/fleet.ts";
import { listCopies, type StatusTrouble } from "../../job/list.ts";
import { openContext, openDestination } from "../context.ts";
import { secondsOf } from "../duration.ts";
import { explainShortly } from "../explain.ts";
import type { Invocation } from "../invocation.ts";
import { nagiosUnknown, nagiosVerdict, noticesOf, type Verdict } from "../nagios.ts";
import { type CheckOptions, findingsOf } from "./check.ts";

/** Nagios gives a plugin a minute. */
const LIMIT_MS = 50_000;

/** Look at the same things as `check`, and at the age of copies, as a plugin of Nagios: one line, and 0 to 3. */
export async function nagios(options: CheckOptions, invocation: Invocation): Promise<number> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const signal = AbortSignal.any([invocation.signal, limit]);
  const { line, status } = await verdictOf(options, { ...invocation, signal }).catch((error: unknown): Verdict => {
    invocation.signal.throwIfAborted();
    if (!limit.aborted) return nagiosUnknown(explainShortly(error));
    const text = `no answer within ${LIMIT_MS / 1000} s`;
    return nagiosVerdict([{ level: "CRITICAL", text }], []);
  });
  invocation.terminal.print(line);
  return status;
}

async function verdictOf({ warning = [], critical = [] }: CheckOptions, invocation: Invocation): Promise<Verdict> {
  const thresholds = parseThresholds({ warning, critical }, secondsOf);
  const context = await openContext(invocation);
  const findings = await findingsOf(context, invocation);
  invocation.signal.throwIfAborted();
  const notices = noticesOf(findings);
  const isThere = findings.every(({ name, result }) => name !== "destination" || result !== "failed");
  if (!isThere) return nagiosVerdict(notices, []);
  const { judged, troubles } = await lookAtCopies(context.config, thresholds, invocation);
  return nagiosVerdict([...notices, ...troubles.flatMap(noticeOf)], judged);
}

type Seen = { readonly judged: readonly Judged[]; readonly troubles: readonly StatusTrouble[] };

async function lookAtCopies(config: Config, thresholds: AgeThresholds, { signal }: Invocation): Promise<Seen> {
  const { hostname: host, source, intervals } = config;
  await using destination = await openDestination(config, { isReadOnly: true });
  const { listed, troubles, heirs } = await listCopies(destination, {
    host,
    media: undefined,
    isTolerant: true,
    signal,
  });
  const now = new Date();
  const view = fleetOf(listed, now, heirs)[0] ?? { host, subjects: [] };
  const watched = { directories: source.directories, mysql: source.mysql, intervals, thresholds, now };
  return { judged: judge(view, watched), troubles };
}

/** That a status was recovered, the check says already. */
function noticeOf({ kind, media, error }: StatusTrouble): Notice[] {
  return kind === "recovered" && media !== "binlog"
    ? []
    : [{ level: kind === "recovered" ? "WARNING" : "CRITICAL", text: `status: ${explainShortly(error)}` }];
}
