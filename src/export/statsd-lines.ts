import type { SubjectView } from "../domain/fleet.ts";
import { type RunReport, succeeded } from "../domain/run-report.ts";

/** How the lines are written. `timing` is the type of the four times that the predecessor sent already. */
export type LineStyle = { readonly timing: "ms" | "g"; readonly tags: boolean };

type Tags = Readonly<Record<string, string | undefined>>;

type Measure = { readonly name: string; readonly value: number | undefined; readonly tags: Tags };

/**
 * The measures of a run as StatsD lines. `twindb.files.backup_time` and the other three of the predecessor keep their names, and are in seconds
 * as they were; sizes are in bytes, ages in seconds, the window's ends in seconds since 1970.
 *
 * Without tags there is one line per part: sums, and the oldest of ages. With them there is one per directory.
 */
export function statsdLines(report: RunReport, style: LineStyle): string[] {
  const timings = timingsOf(report).map((measure) => lineOf(measure, style.timing, style));
  const gauges = [...failuresOf(report), ...standingOf(report, style)].map((measure) => lineOf(measure, "g", style));
  return [...timings, ...gauges].filter((line) => line !== undefined);
}

function timingsOf({ host, command, runType, parts }: RunReport): Measure[] {
  return parts
    .filter((part) => part.part !== "run" && succeeded({ parts: [part], exitStatus: 0 }))
    .map(({ part, seconds }) => ({
      name: `twindb.${part}.${command}_time`,
      value: seconds,
      tags: { backup_host: host, part, run_type: runType },
    }));
}

function failuresOf({ host, runType, parts }: RunReport): Measure[] {
  return parts.map(({ part, failures }) => ({
    name: `twindb.${part}.failures`,
    value: failures.length,
    tags: { backup_host: host, part, run_type: runType },
  }));
}

function standingOf({ host, standing, finishedAt }: RunReport, { tags }: LineStyle): Measure[] {
  if (standing === undefined) return [];
  const byMedia = Map.groupBy(standing.subjects, ({ media }) => media);
  const groups = tags ? standing.subjects.map((subject) => [subject]) : [...byMedia.values()];
  return groups.flatMap((subjects) => measuresOf(subjects, { host, now: finishedAt }));
}

function measuresOf(subjects: readonly SubjectView[], { host, now }: { readonly host: string; readonly now: Date }) {
  const [first] = subjects;
  if (first === undefined) return [];
  const tags = { backup_host: host, part: first.media, directory: first.directory };
  const age = (at: Date | undefined) => at && Math.max(0, (now.getTime() - at.getTime()) / 1000);
  const sum = (valueOf: (subject: SubjectView) => number) => subjects.reduce((all, each) => all + valueOf(each), 0);
  const oldest = (valueOf: (subject: SubjectView) => Date | undefined) => age(oldestOf(subjects.map(valueOf)));
  const values: Readonly<Record<string, number | undefined>> = {
    copies: sum(({ points }) => points.length),
    broken_copies: sum(({ brokenCopies }) => brokenCopies),
    stored_bytes: sum(({ storedBytes }) => storedBytes),
    last_copy_bytes: sum(({ newest }) => newest?.bytes ?? 0),
    [first.media === "binlog" ? "lag" : "last_good_age"]: oldest(({ newestAt }) => newestAt),
    last_verified_age: oldest(({ verifiedAt }) => verifiedAt),
    recoverable_from: secondsOf(first.window?.from),
    recoverable_until: secondsOf(first.window?.to),
    gaps: first.window?.gaps.length,
  };
  return Object.entries(values).map(([name, value]) => ({ name: `twindb.${first.media}.${name}`, value, tags }));
}

/** `undefined` when one of them is. */
function oldestOf(times: readonly (Date | undefined)[]): Date | undefined {
  const known = times.filter((time) => time !== undefined);
  if (known.length < times.length) return undefined;
  return known.reduce((oldest, time) => (time < oldest ? time : oldest));
}

function secondsOf(at: Date | undefined): number | undefined {
  return at && Math.floor(at.getTime() / 1000);
}

function lineOf({ name, value, tags }: Measure, type: "ms" | "g", style: LineStyle): string | undefined {
  if (value === undefined) return undefined;
  const pairs = Object.entries(tags).flatMap(([key, tag]) => (tag === undefined ? [] : [`${key}:${tagValue(tag)}`]));
  return `${name}:${Number(value.toFixed(3))}|${type}${style.tags ? `|#${pairs.join(",")}` : ""}`;
}

/** What ends a tag or a line in the protocol has no way to be said in it. */
function tagValue(text: string): string {
  return text.replaceAll(/[\s,|#\p{Cc}]/gu, "_");
}
