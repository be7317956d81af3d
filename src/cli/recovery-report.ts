import { formatGtidState } from "../domain/binlog.ts";
import type { Join } from "../domain/binlog-join.ts";
import { humanBytes } from "../domain/human.ts";
import { gapText, windowText } from "../domain/recovery-logs.ts";
import type { RecoveryPlan } from "../domain/recovery-plan.ts";
import { formatMoment, targetText } from "../domain/recovery-target.ts";
import type { Outlook } from "../job/dry-run.ts";
import type { RecoveredEnd } from "../job/recover-mysql.ts";
import { planJson, planLines } from "./restore-report.ts";
import { tableOf } from "./table.ts";

type Planned = { readonly plan: RecoveryPlan; readonly outlook: Outlook; readonly target: string };

function bytesText(bytes: number | undefined): string {
  return bytes === undefined ? "?" : humanBytes(bytes);
}

function startText({ start, logs }: RecoveryPlan): string {
  if (start.kind === "gtid") return `behind the GTIDs of the copy, in ${logs[0]?.name}`;
  return `${logs[0]?.name}:${start.offset}`;
}

function joinText({ at, to, held, lost }: Join, { logs }: RecoveryPlan): string {
  const left = lost === "" ? "" : `; left out, for it never got that: ${lost}`;
  const place = `behind ${formatGtidState(held) || "nothing"}${at === 0 ? "" : `, after ${logs[at - 1]?.name}`}`;
  return `join: the server that took over on ${to} goes on ${place}, in ${logs[at]?.key ?? "none of its logs"}${left}`;
}

function joinJson({ at, to, held, lost }: Join, { logs }: RecoveryPlan): Record<string, unknown> {
  const ends = { after: logs[at - 1]?.key ?? null, before: logs[at]?.key ?? null };
  return { ...ends, host: to, held_gtid: formatGtidState(held), lost_gtid: lost === "" ? null : lost };
}

/** What a restore to a moment would do, for people. */
export function recoveryLines({ plan, outlook, target }: Planned): string[] {
  const { logs, excluded, logBytes, replayBytes, window } = plan;
  const ranges = tableOf(
    [
      { title: "REPLAY", value: ({ name }) => name },
      { title: "SIZE", value: ({ bytes }) => bytesText(bytes), align: "right" },
      { title: "FROM", value: ({ log, createdAt }) => (log?.firstCommitAt ?? createdAt).toISOString() },
      { title: "TO", value: ({ log }) => log?.lastCommitAt?.toISOString() ?? "" },
    ],
    logs,
  );
  return [
    ...planLines({ plan: plan.base, outlook, target }),
    ...(logs.length === 0 ? ["replay: nothing, the copy holds all of it"] : ranges),
    ...(logs.length === 0 ? [] : [`replay from: ${startText(plan)}`]),
    ...plan.joins.map((join) => joinText(join, plan)),
    `replay: ${targetText(plan.target)}`,
    ...(excluded.text === "" ? [] : [`leave out: ${excluded.text}`]),
    `logs to fetch: ${bytesText(logBytes)}, to replay: at most ${bytesText(replayBytes)}`,
    `the copy can be brought forward ${windowText(window)}`,
    ...window.gaps.map((gap) => `gap: ${gapText(gap)}`),
    ...plan.warnings.filter((each) => !plan.base.warnings.includes(each)).map((warning) => `mind: ${warning}`),
  ];
}

/** What a restore to a moment would do, as `--json` prints it. Field names are stable. */
export function recoveryJson({ plan, outlook, target }: Planned): Record<string, unknown> {
  const { start, logs, window } = plan;
  return {
    ...planJson({ plan: plan.base, outlook, target }),
    recovery: {
      excluded_gtids: plan.excluded.text === "" ? [] : plan.excluded.text.split(","),
      fetch_bytes: plan.logBytes ?? null,
      gaps: window.gaps.map(gapText),
      joins: plan.joins.map((join) => joinJson(join, plan)),
      logs: logs.map(({ key, name, bytes, sha256 }) => ({ bytes: bytes ?? null, key, name, sha256: sha256 ?? null })),
      replay_bytes: plan.replayBytes ?? null,
      start: start.kind === "gtid" ? null : { binlog: logs[0]?.name ?? null, position: start.offset },
      target: jsonTarget(plan),
      warnings: plan.warnings,
      window: { from: window.from.toISOString(), to: window.to.toISOString() },
    },
  };
}

function jsonTarget({ target }: RecoveryPlan): Record<string, unknown> {
  if (target.kind === "time") return { kind: "time", before: formatMoment(target.at) };
  if (target.kind === "position") return { kind: "position", binlog: target.file, position: target.offset };
  return target.kind === "gtid" ? { kind: "gtid", gtid: target.gtid } : { kind: "end" };
}

/** Where a replay ended, as `--json` prints it. */
export function endJson(end: RecoveredEnd | undefined): Record<string, unknown> | null {
  if (end === undefined) return null;
  return {
    binlog: end.binlog.file,
    excluded_gtids: end.excluded,
    gtid: end.gtid ?? null,
    last_commit: end.last === undefined ? null : formatMoment(end.last.at),
    last_gtid: end.last?.gtid ?? null,
    position: end.binlog.offset ?? null,
    transactions: end.transactions,
  };
}

/** Where a replay ended, for people. */
export function endText(end: RecoveredEnd | undefined): string {
  if (end === undefined) return "nothing was to be replayed";
  const { last, transactions, binlog } = end;
  const gtid = last?.gtid === undefined ? "" : `, ${last.gtid}`;
  const until = last === undefined ? "" : `, the last one of ${formatMoment(last.at)}${gtid}`;
  return `replayed ${transactions} transactions${until}, up to ${binlog.file}:${binlog.offset}`;
}
