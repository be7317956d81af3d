import type { SubjectView } from "../domain/fleet.ts";
import { type RunReport, succeeded } from "../domain/run-report.ts";
import { idOf, type Metric, type Series } from "./exposition.ts";

const PREFIX = "twindb_backup_";

/** Moments rather than ages: a file that nobody writes any more must not look as fresh as on its last day. */
const METRICS = {
  last_run_timestamp_seconds: { about: "run", help: "When the last run of this type ended, in seconds since 1970." },
  last_run_success: { about: "run", help: "Whether the last run of this type succeeded: 1 or 0." },
  last_run_failures: { about: "run", help: "Failures in this part of the last run of this type." },
  duration_seconds: { about: "run", help: "How long this part took in the last run of this type that succeeded." },
  restore_duration_seconds: { about: "run", help: "How long the last restore on this host took." },
  copies: { about: "standing", help: "Copies on the destination." },
  broken_copies: { about: "standing", help: "Copies known not to restore." },
  preserved_copies: { about: "standing", help: "Copies that are left alone by retention." },
  stored_bytes: { about: "standing", help: "Size of all copies on the destination." },
  last_copy_bytes: { about: "standing", help: "Size of the newest good copy." },
  last_good_copy_timestamp_seconds: {
    about: "standing",
    help: "When the newest good copy was taken, in seconds since 1970.",
  },
  last_verified_timestamp_seconds: {
    about: "standing",
    help: "When a copy was last verified and found good, in seconds since 1970.",
  },
  binlog_archived_until_timestamp_seconds: {
    about: "standing",
    help: "Time of the newest archived event of the binary logs, in seconds since 1970.",
  },
  recoverable_from_timestamp_seconds: {
    about: "standing",
    help: "Earliest moment that the newest good copy of the server can be brought to.",
  },
  recoverable_until_timestamp_seconds: {
    about: "standing",
    help: "Latest moment that the newest good copy of the server can be brought to.",
  },
  binlog_gaps: { about: "standing", help: "Places behind the newest good copy that no replay can cross." },
} as const satisfies Record<string, Metric>;

type Name = keyof typeof METRICS;

/** Every metric that the textfile holds, by its full name, in the order of the file. */
export const PROMETHEUS_METRICS: ReadonlyMap<string, Metric> = new Map(
  Object.entries(METRICS).map(([name, metric]) => [PREFIX + name, metric]),
);

type Labels = Readonly<Record<string, string | undefined>>;

/** The measures of a run. Times are in seconds, sizes in bytes. */
export function prometheusSeries(report: RunReport): Series[] {
  const standing = report.standing?.subjects.flatMap((subject) => standingOf(subject, report.host)) ?? [];
  return [...(report.command === "backup" ? runOf(report) : restoreOf(report)), ...standing];
}

function runOf(report: RunReport): Series[] {
  const { host: backup_host, runType: run_type = "none", parts, finishedAt } = report;
  const labels = { backup_host, run_type };
  return [
    ...seriesOf("last_run_timestamp_seconds", labels, secondsOf(finishedAt)),
    ...seriesOf("last_run_success", labels, succeeded(report) ? 1 : 0),
    ...parts.flatMap(({ part, failures }) => seriesOf("last_run_failures", { ...labels, part }, failures.length)),
    ...parts
      .filter(({ part, failures }) => part !== "run" && failures.length === 0)
      .flatMap(({ part, seconds }) => seriesOf("duration_seconds", { ...labels, part }, rounded(seconds))),
  ];
}

function restoreOf({ host: backup_host, parts }: RunReport): Series[] {
  return parts.flatMap(({ part, seconds }) =>
    seriesOf("restore_duration_seconds", { backup_host, part }, rounded(seconds)),
  );
}

function standingOf(subject: SubjectView, backup_host: string): Series[] {
  const { media: part, directory, points, newest, newestAt, verifiedAt, window } = subject;
  const at = part === "binlog" ? "binlog_archived_until_timestamp_seconds" : "last_good_copy_timestamp_seconds";
  const values: readonly (readonly [Name, number | undefined])[] = [
    ["copies", points.length],
    ["broken_copies", subject.brokenCopies],
    ["preserved_copies", subject.preservedCopies],
    ["stored_bytes", subject.storedBytes],
    ["last_copy_bytes", newest?.bytes],
    [at, secondsOf(newestAt)],
    ["last_verified_timestamp_seconds", secondsOf(verifiedAt)],
    ["recoverable_from_timestamp_seconds", secondsOf(window?.from)],
    ["recoverable_until_timestamp_seconds", secondsOf(window?.to)],
    ["binlog_gaps", window?.gaps.length],
  ];
  return values.flatMap(([name, value]) => seriesOf(name, { backup_host, part, directory }, value));
}

function seriesOf(name: Name, labels: Labels, value: number | undefined): Series[] {
  if (value === undefined) return [];
  const known = Object.entries(labels).flatMap(([label, text]) => (text === undefined ? [] : [[label, text] as const]));
  return [{ name: PREFIX + name, labels: Object.fromEntries(known), value }];
}

function secondsOf(at: Date): number;
function secondsOf(at: Date | undefined): number | undefined;
function secondsOf(at: Date | undefined): number | undefined {
  return at && Math.floor(at.getTime() / 1000);
}

function rounded(seconds: number): number {
  return Number(seconds.toFixed(3));
}

/**
 * The series to write in place of those of before: runs of other types stay told of, and what was on the destination stays told of when nobody
 * has looked again.
 */
export function mergeSeries(before: readonly Series[], now: readonly Series[]): Series[] {
  const replaced = new Set(now.map(idOf));
  const hasStanding = now.some(({ name }) => PROMETHEUS_METRICS.get(name)?.about === "standing");
  const kept = before.filter((series) => {
    const about = PROMETHEUS_METRICS.get(series.name)?.about;
    return about === "run" ? !replaced.has(idOf(series)) : about === "standing" && !hasStanding;
  });
  return [...kept, ...now];
}
