import { BackupError } from "./errors.ts";

/** Until when the runs of cron do nothing on this host, and who said so. */
export type Pause = { readonly until: Date; readonly since: Date; readonly by: string };

const LONGEST_DAYS = 30;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A clock that is put right by a little meanwhile does no harm. */
const SLACK_MS = 60 * 60 * 1000;

/** @throws {BackupError} USAGE when that is too long: a pause nobody remembers is a host without copies. */
export function newPause(until: Date, { now, by }: { readonly now: Date; readonly by: string }): Pause {
  if (until.getTime() - now.getTime() <= LONGEST_DAYS * DAY_MS) return { until, since: now, by };
  throw new BackupError("USAGE", `Cannot pause for so long: it is more than ${LONGEST_DAYS} days`, {
    hint: "Pause for less, and again when it is over; or take the lines out of cron.",
  });
}

/** Whether runs do nothing now. A pause that seems to be longer than any tells of a wrong clock: copies are taken. */
export function isPaused(pause: Pause | undefined, now: Date): boolean {
  if (pause === undefined) return false;
  const left = pause.until.getTime() - now.getTime();
  return left > 0 && left <= LONGEST_DAYS * DAY_MS + SLACK_MS;
}

export function formatPause({ until, since, by }: Pause): string {
  return `${JSON.stringify({ until: until.toISOString(), since: since.toISOString(), by })}\n`;
}

/** Read `formatPause()`; `undefined` when the text is anything else. */
export function parsePause(text: string): Pause | undefined {
  const { until, since, by } = objectIn(text);
  if (typeof until !== "string" || typeof since !== "string") return undefined;
  const pause = { until: new Date(until), since: new Date(since), by: typeof by === "string" ? by : "" };
  return Number.isNaN(pause.until.getTime()) || Number.isNaN(pause.since.getTime()) ? undefined : pause;
}

function objectIn(text: string): { readonly until?: unknown; readonly since?: unknown; readonly by?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
