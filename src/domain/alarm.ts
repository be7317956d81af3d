import type { AgeThresholds, SetLimits } from "./age-thresholds.ts";
import type { Media } from "./copy.ts";
import type { HostView, SubjectView } from "./fleet.ts";
import { type AgeLimits, limitsOf, shortestOf } from "./freshness.ts";
import { humanAge } from "./human.ts";
import { INTERVALS, type Interval } from "./interval.ts";

/** How bad something is, as monitoring knows it. */
export type Level = "OK" | "WARNING" | "CRITICAL";

/** Something to tell, and how bad it is. */
export type Notice = { readonly level: Level; readonly text: string };

/** What is watched of a host. */
export type Watched = {
  /** What the config names. */
  readonly directories: readonly string[];
  readonly mysql: boolean;
  /** Run types that do anything. */
  readonly intervals: Readonly<Record<Interval, boolean>>;
  readonly thresholds: AgeThresholds;
  readonly now: Date;
};

/** One thing that is backed up, judged. */
export type Judged = {
  readonly name: string;
  readonly view: SubjectView | undefined;
  readonly ageSeconds: number | undefined;
  readonly limits: SetLimits;
  readonly notices: readonly Notice[];
};

/** Judge what there is of a host by what there should be: everything that is configured, and its binary logs. */
export function judge({ subjects }: HostView, watched: Watched): Judged[] {
  const find = (media: Media, directory?: string) =>
    subjects.find((subject) => subject.media === media && subject.directory === directory);
  const logs = find("binlog");
  return [
    ...watched.directories.map((directory) => judgeTimed(directory, find("files", bare(directory)), watched)),
    ...(watched.mysql ? [judgeTimed("mysql", find("mysql"), watched)] : []),
    ...(logs === undefined ? [] : [judgeLogs(logs, watched)]),
  ];
}

function bare(directory: string): string {
  return directory.replace(/(?<=.)\/+$/, "");
}

function judgeTimed(name: string, view: SubjectView | undefined, watched: Watched): Judged {
  const { thresholds, now } = watched;
  const expected = expectedRuns(view, watched);
  const set = thresholds.get(name === "mysql" && view?.directory === undefined ? "mysql" : "files") ?? {};
  const limits = { ...limitsOf(shortestOf(expected) ?? "yearly"), ...set };
  if (view?.newestAt === undefined) {
    const notice: Notice = { level: "CRITICAL", text: `${name}: there is no good copy` };
    return { name, view, ageSeconds: undefined, limits, notices: [notice] };
  }
  const ageSeconds = Math.max(0, (now.getTime() - view.newestAt.getTime()) / 1000);
  const notices = [
    ...ageNotices(`${name}: the newest good copy is`, ageSeconds, limits),
    ...(set.warning === undefined && set.critical === undefined ? lateNotices(name, view, expected) : []),
    ...brokenNotices(name, view),
    ...gapNotices(name, view),
  ];
  return { name, view, ageSeconds, limits, notices };
}

/** Run types that are on, and have left a copy. */
function expectedRuns(view: SubjectView | undefined, { intervals }: Watched): ReadonlySet<Interval> {
  const seen = new Set(view?.points.map(({ interval }) => interval));
  const on = INTERVALS.filter((interval) => intervals[interval]);
  const both = on.filter((interval) => seen.has(interval));
  return new Set(both.length > 0 ? both : on);
}

function ageNotices(what: string, ageSeconds: number, { warning, critical }: SetLimits): Notice[] {
  const tell = (level: Level, limit: number): Notice[] => [
    { level, text: `${what} ${humanAge(ageSeconds)} old, the limit is ${humanAge(limit)}` },
  ];
  if (critical !== undefined && ageSeconds > critical) return tell("CRITICAL", critical);
  return warning !== undefined && ageSeconds > warning ? tell("WARNING", warning) : [];
}

/** Longer run types that stopped while the shortest one goes on. */
function lateNotices(name: string, { late }: SubjectView, expected: ReadonlySet<Interval>): Notice[] {
  const shortest = shortestOf(expected);
  return late.flatMap(({ interval, ageSeconds }): Notice[] => {
    if (interval === shortest || !expected.has(interval)) return [];
    if (ageSeconds === undefined) return [{ level: "WARNING", text: `${name}: there is no good ${interval} copy` }];
    return ageNotices(`${name}: the newest good ${interval} copy is`, ageSeconds, limitsOf(interval));
  });
}

function brokenNotices(name: string, { points, newest }: SubjectView): Notice[] {
  const last = points.at(-1);
  if (last === undefined || last === newest) return [];
  return [{ level: "WARNING", text: `${name}: the newest copy is broken` }];
}

function gapNotices(name: string, { window }: SubjectView): Notice[] {
  const gaps = window?.gaps.length ?? 0;
  return gaps === 0 ? [] : [{ level: "WARNING", text: `${name}: the binary logs behind the newest copy have a gap` }];
}

/** An idle server logs nothing, so only a person can say how old its last event may be. */
function judgeLogs(view: SubjectView, { thresholds, now }: Watched): Judged {
  const limits: Partial<AgeLimits> = thresholds.get("binlog") ?? {};
  const ageSeconds = view.newestAt && Math.max(0, (now.getTime() - view.newestAt.getTime()) / 1000);
  const notices = ageNotices("binlog: the newest archived event is", ageSeconds ?? 0, limits);
  return { name: "binlog", view, ageSeconds, limits, notices };
}
