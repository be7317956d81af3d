import { BackupError } from "./errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

const DURATION = /^(\d{1,6})([mhd])$/;
const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;
const INSTANT = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Read a time to come: RFC 3339 with its zone, a day (its end, in local time), or how long from `now` on (`90m`, `4h`, `30d`).
 * @returns whole seconds.
 * @throws {BackupError} USAGE when it is none, or over.
 */
export function parseUntil(text: string, now: Date): Date {
  const typed = text.trim();
  const until = afterNow(typed, now) ?? endOfDay(typed) ?? instant(typed);
  if (until === undefined) throw unusable(text, "it is no time", now);
  if (until <= now) throw unusable(text, "it is over", now);
  return new Date(Math.floor(until.getTime() / 1000) * 1000);
}

function afterNow(text: string, now: Date): Date | undefined {
  const [, count, unit = ""] = DURATION.exec(text) ?? [];
  return count === undefined ? undefined : valid(new Date(now.getTime() + Number(count) * (UNIT_MS[unit] ?? 0)));
}

function endOfDay(text: string): Date | undefined {
  const [whole, year, month, day] = DAY.exec(text) ?? [];
  if (whole === undefined || !isDay(whole)) return undefined;
  return valid(new Date(Number(year), Number(month) - 1, Number(day), 23, 59, 59));
}

function instant(text: string): Date | undefined {
  const [, day = "", time = "", zone = ""] = INSTANT.exec(text) ?? [];
  return isDay(day) ? valid(new Date(`${day}T${time}${zone.toUpperCase()}`)) : undefined;
}

/** The 30th of February is not the 2nd of March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function valid(date: Date): Date | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function unusable(text: string, what: string, now: Date): BackupError {
  const example = new Date(now.getTime() + 30 * (UNIT_MS["d"] ?? 0)).toISOString().slice(0, 10);
  return new BackupError("USAGE", `Cannot wait until "${text}": ${what}`, {
    hint: `Give a time to come as ${example}T18:00:00Z, a day as ${example}, or how long as 90m, 4h or 30d.`,
  });
}
