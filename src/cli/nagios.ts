import type { Judged, Level, Notice } from "../domain/alarm.ts";
import { humanAge, printable } from "../domain/human.ts";
import type { Finding } from "../job/check.ts";

/** Exit status of each level, as plugins of Nagios have it. */
const STATUS = { OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3 } as const;

const ORDER: readonly Level[] = ["CRITICAL", "WARNING", "OK"];

/** NRPE cuts what is longer than a kilobyte, with the measures behind it. */
const LONGEST_TEXT = 480;

/** What a plugin prints, and its exit status. */
export type Verdict = { readonly line: string; readonly status: number };

/**
 * One line as plugins of Nagios print it, worst first, with performance data.
 * @see https://www.monitoring-plugins.org/doc/guidelines.html
 */
export function nagiosVerdict(notices: readonly Notice[], judged: readonly Judged[]): Verdict {
  const all = [...notices, ...judged.flatMap((each) => each.notices)].filter(({ level }) => level !== "OK");
  const sorted = all.toSorted((left, right) => ORDER.indexOf(left.level) - ORDER.indexOf(right.level));
  const level = sorted[0]?.level ?? "OK";
  const text = sorted.length > 0 ? sorted.map(({ text }) => text).join("; ") : allIsWell(judged);
  const data = judged.flatMap(performanceOf).join(" ");
  return verdict(level, data === "" ? safe(text) : `${safe(text)} | ${data}`);
}

/** What is printed when nothing can be said of the backups. */
export function nagiosUnknown(why: string): Verdict {
  return verdict("UNKNOWN", safe(why));
}

function verdict(level: keyof typeof STATUS, rest: string): Verdict {
  return { line: `TWINDB-BACKUP ${level} - ${rest}`, status: STATUS[level] };
}

function allIsWell(judged: readonly Judged[]): string {
  const ages = judged.flatMap(({ name, ageSeconds }) =>
    ageSeconds === undefined ? [] : [`${name} ${humanAge(ageSeconds)} old`],
  );
  return ages.length === 0 ? "nothing is backed up" : ages.join(", ");
}

/** A finding as a notice; those about ages are left to thresholds. */
export function noticesOf(findings: readonly Finding[]): Notice[] {
  return findings
    .filter(({ name, result }) => result !== "ok" && !name.startsWith("last copy of "))
    .map(({ name, result, detail }) => ({
      level: result === "failed" ? "CRITICAL" : "WARNING",
      text: `${name}: ${detail}`,
    }));
}

function performanceOf({ name, view, ageSeconds, limits }: Judged): string[] {
  const label = name.replaceAll(/['=|\p{Cc}]/gu, "_");
  const age =
    ageSeconds === undefined
      ? []
      : [`'age ${label}'=${Math.floor(ageSeconds)}s;${limits.warning ?? ""};${limits.critical ?? ""};0`];
  if (view === undefined) return age;
  const { newest, storedBytes, points, brokenCopies } = view;
  const size = newest?.bytes === undefined ? [] : [`'size ${label}'=${newest.bytes}B;;;0`];
  return [
    ...age,
    ...size,
    `'stored ${label}'=${storedBytes}B;;;0`,
    `'copies ${label}'=${points.length};;;0`,
    `'broken ${label}'=${brokenCopies};;;0`,
  ];
}

/** One line without what separates text and measures. */
function safe(text: string): string {
  const line = printable(text.replaceAll(/\s*\n\s*/g, " ")).replaceAll("|", "/");
  return line.length <= LONGEST_TEXT ? line : `${line.slice(0, LONGEST_TEXT - 1)}…`;
}
