import { describeGap } from "../domain/binlog-gap.ts";
import type { SpoolView } from "../domain/binlog-stream.ts";
import type { HostView, SubjectView } from "../domain/fleet.ts";
import type { Lateness } from "../domain/freshness.ts";
import { humanAge, humanBytes, humanSeconds, humanTime } from "../domain/human.ts";
import type { StatusTrouble } from "../job/list.ts";
import { windowJson, withNulls } from "./copy-row.ts";
import { explainShortly } from "./explain.ts";
import { streamJson, streamLines } from "./stream-row.ts";
import { tableOf } from "./table.ts";

/** What is known of one host. */
export type FleetHost = HostView & {
  readonly troubles: readonly StatusTrouble[];
  /** Until when its runs are paused; of this host only. */
  readonly pausedUntil: Date | undefined;
  /** Its stream of binary logs; of this host only. */
  readonly stream: SpoolView | undefined;
};

/** What is known of the host that looks. */
export type OwnHost = Pick<FleetHost, "host" | "pausedUntil" | "stream">;

/** How a host is, or one thing of it. */
export type FleetState = "ok" | "late" | "broken" | "unreadable" | "recovered" | "empty";

/** The hosts of a listing, also those of which nothing can be read. */
export function fleetHosts(
  views: readonly HostView[],
  { hosts, troubles }: { readonly hosts: readonly string[]; readonly troubles: readonly StatusTrouble[] },
  here: OwnHost,
): FleetHost[] {
  const byHost = new Map(views.map((view) => [view.host, view]));
  return hosts.map((host) => ({
    host,
    subjects: byHost.get(host)?.subjects ?? [],
    troubles: troubles.filter((trouble) => trouble.host === host),
    pausedUntil: host === here.host ? here.pausedUntil : undefined,
    stream: host === here.host ? here.stream : undefined,
  }));
}

/** How one thing that is backed up is: a copy that is known to be broken matters while it is the newest. */
export function stateOfSubject({ newest, late, points }: SubjectView): FleetState {
  if (newest === undefined || points.at(-1) !== newest) return "broken";
  return late.length > 0 ? "late" : "ok";
}

/** The worst of a host. */
export function stateOfHost({ subjects, troubles }: FleetHost): FleetState {
  const states = new Set<FleetState>([...troubles.map(({ kind }) => kind), ...subjects.map(stateOfSubject)]);
  const worst = (["unreadable", "recovered", "broken", "late"] as const).find((state) => states.has(state));
  return worst ?? (subjects.length === 0 ? "empty" : "ok");
}

/** What is backed up, in a word: the directory, `mysql` or `binlog`. */
export function nameOfSubject({ media, directory }: SubjectView): string {
  return directory ?? media;
}

/** The newest size against the usual one: `+12 %`. */
export function trendText(trend: number | undefined): string {
  if (trend === undefined) return "";
  const percent = Math.round((trend - 1) * 100);
  return `${percent > 0 ? "+" : ""}${percent} %`;
}

function lateText({ interval, ageSeconds }: Lateness): string {
  return `${interval} late (${ageSeconds === undefined ? "none good" : humanAge(ageSeconds)})`;
}

/** What a person should know of one thing that is backed up, in a few words; `ok` when there is nothing. */
export function notesOf(subject: SubjectView): string {
  const { brokenCopies, preservedCopies, late, window } = subject;
  const gaps = window?.gaps.length ?? 0;
  const notes = [
    ...(stateOfSubject(subject) === "broken" ? ["newest is broken"] : []),
    ...late.map(lateText),
    ...(gaps > 0 ? [`${gaps} gap${gaps === 1 ? "" : "s"}`] : []),
    ...(brokenCopies > 0 ? [`${brokenCopies} broken`] : []),
    ...(preservedCopies > 0 ? [`${preservedCopies} preserved`] : []),
  ];
  const isWell = stateOfSubject(subject) === "ok" && gaps === 0;
  return (isWell ? ["ok", ...notes] : notes).join(", ");
}

type Row = { readonly host: string; readonly subject: SubjectView | undefined; readonly notes: string };

function rowsOf({ host, subjects, troubles, pausedUntil, stream }: FleetHost, now: Date): Row[] {
  const paused = pausedUntil === undefined ? "" : `paused until ${humanTime(pausedUntil)}`;
  const rows: Row[] = subjects.map((subject, index) => ({
    host,
    subject,
    notes: [notesOf(subject), ...(index === 0 && paused !== "" ? [paused] : [])].join(", "),
  }));
  const troubled = troubles.map(({ media, kind, error }) => {
    const what = kind === "unreadable" ? "cannot be read" : "was recovered";
    return { host, subject: undefined, notes: `${media} status ${what}: ${explainShortly(error)}` };
  });
  const streaming = stream === undefined ? [] : streamLines(stream, now);
  const more = [...troubled, ...streaming.map((notes) => ({ host, subject: undefined, notes }))];
  if (rows.length + troubled.length > 0) return [...rows, ...more];
  return [{ host, subject: undefined, notes: ["no copies", paused].filter((text) => text !== "").join(", ") }, ...more];
}

/** The fleet as a table for people: one line for each thing that is backed up. */
export function fleetTable(hosts: readonly FleetHost[], now: Date): string[] {
  const of = (value: (subject: SubjectView) => string) => (row: Row) => (row.subject ? value(row.subject) : "");
  const age = (at: Date | undefined) => (at === undefined ? "-" : humanSeconds((now.getTime() - at.getTime()) / 1000));
  return tableOf<Row>(
    [
      { title: "HOST", value: ({ host }) => host },
      { title: "WHAT", value: of(nameOfSubject) },
      { title: "LAST GOOD", value: of(({ newestAt }) => (newestAt === undefined ? "none" : humanTime(newestAt))) },
      { title: "AGE", value: of(({ newestAt }) => age(newestAt)), align: "right" },
      { title: "SIZE", value: of(({ newest }) => sizeText(newest?.bytes)), align: "right" },
      { title: "TREND", value: of(({ trend }) => trendText(trend)), align: "right" },
      { title: "COPIES", value: of(({ points }) => String(points.length)), align: "right" },
      { title: "STORED", value: of(({ storedBytes }) => humanBytes(storedBytes)), align: "right" },
      { title: "VERIFIED", value: of(({ verifiedAt }) => age(verifiedAt)), align: "right" },
      { title: "STATE", value: ({ notes }) => notes },
    ],
    hosts.flatMap((host) => rowsOf(host, now)),
  );
}

function sizeText(bytes: number | undefined): string {
  return bytes === undefined ? "?" : humanBytes(bytes);
}

/** A host as `--json` prints it. Field names are stable; ages are in seconds, a trend of 1 is the usual size. */
export function hostJson(host: FleetHost, now: Date): Record<string, unknown> {
  return {
    host: host.host,
    state: stateOfHost(host),
    paused_until: host.pausedUntil?.toISOString() ?? null,
    troubles: host.troubles.map(({ media, kind, error }) => ({ type: media, kind, message: explainShortly(error) })),
    binlog_stream: host.stream === undefined ? null : streamJson(host.stream, now),
    subjects: host.subjects.map((subject) => subjectJson(subject, now)),
  };
}

function subjectJson(subject: SubjectView, now: Date): Record<string, unknown> {
  const { media, directory, newest, newestAt, late } = subject;
  return withNulls({
    type: media,
    directory,
    state: stateOfSubject(subject),
    last_good: newest?.key,
    last_good_at: newestAt?.toISOString(),
    age_seconds: newestAt && Math.floor((now.getTime() - newestAt.getTime()) / 1000),
    bytes: newest?.bytes,
    seconds: newest?.seconds,
    trend: subject.trend && Number(subject.trend.toFixed(3)),
    copies: subject.points.length,
    stored_bytes: subject.storedBytes,
    broken_copies: subject.brokenCopies,
    preserved_copies: subject.preservedCopies,
    verified_at: subject.verifiedAt?.toISOString(),
    late: late.map(({ interval, ageSeconds = null }) => ({ run_type: interval, age_seconds: ageSeconds })),
    ...windowJson(subject.window),
  });
}

/** The gaps of a subject in words. */
export function gapTexts({ window }: SubjectView): string[] {
  return window?.gaps.map((gap) => describeGap(gap)) ?? [];
}
