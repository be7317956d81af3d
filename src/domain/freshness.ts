import { INTERVALS, type Interval } from "./interval.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** How far two runs of a type are apart at most, in seconds. */
export const PERIOD_SECONDS: Readonly<Record<Interval, number>> = {
  hourly: HOUR,
  daily: DAY,
  weekly: 7 * DAY,
  monthly: 31 * DAY,
  yearly: 366 * DAY,
};

/** A copy this many periods old is late: half a period is room for a run that takes long, or waits for another one. */
const LATE_PERIODS = 1.5;

/** This many periods old, runs have failed or were not started twice over. */
const OVERDUE_PERIODS = 3;

/** Ages in seconds from which on the newest good copy is late, and overdue. */
export type AgeLimits = { readonly warning: number; readonly critical: number };

/** The limits for what runs of one type leave. */
export function limitsOf(interval: Interval): AgeLimits {
  const period = PERIOD_SECONDS[interval];
  return { warning: period * LATE_PERIODS, critical: period * OVERDUE_PERIODS };
}

/** The shortest of some run types: how often there should be anything new. */
export function shortestOf(intervals: ReadonlySet<Interval>): Interval | undefined {
  return INTERVALS.find((interval) => intervals.has(interval));
}

/** A run type that left nothing for too long. `ageSeconds` is that of its newest good copy; `undefined` when it has none. */
export type Lateness = { readonly interval: Interval; readonly ageSeconds: number | undefined };

/** What has become of the copies of one run type. */
export type Run = { readonly interval: Interval; readonly startedAt: Date; readonly good: boolean };

/**
 * The run types that should have left a good copy by now. What is expected is taken from what is there: a type of which no copy exists is none
 * that this host runs. A copy of any type does for the shortest one, as it is as good.
 */
export function lateRuns(runs: readonly Run[], now: Date): Lateness[] {
  const seen = new Set(runs.map(({ interval }) => interval));
  const shortest = shortestOf(seen);
  return INTERVALS.filter((interval) => seen.has(interval)).flatMap((interval): Lateness[] => {
    const counting = runs.filter((run) => run.good && (interval === shortest || run.interval === interval));
    const newest = counting.reduce((latest, { startedAt }) => Math.max(latest, startedAt.getTime()), -Infinity);
    if (newest === -Infinity) return [{ interval, ageSeconds: undefined }];
    const ageSeconds = Math.max(0, (now.getTime() - newest) / 1000);
    return ageSeconds > limitsOf(interval).warning ? [{ interval, ageSeconds }] : [];
  });
}
