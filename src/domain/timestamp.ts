import { BackupError } from "./errors.ts";

/** Local time as names hold it: `2026-11-21_02_36_45`. Stamps sort as text. */
export type Stamp = string;

/** A stamp, as the source of a regular expression. */
export const STAMP_PATTERN = String.raw`\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}`;

const WHOLE_STAMP = new RegExp(`^${STAMP_PATTERN}$`);

/** What the digits "00" come to. */
const TWO_ZEROS = 48 * 11;

const DAY_MS = 24 * 60 * 60 * 1000;

type Fields = readonly [year: number, month: number, day: number, hour: number, minute: number, second: number];

function join([year, ...rest]: Fields): Stamp {
  const [month, day, ...time] = rest.map((value) => String(value).padStart(2, "0"));
  return `${String(year).padStart(4, "0")}-${month}-${day}_${time.join("_")}`;
}

function split(stamp: Stamp): Fields | undefined {
  if (!WHOLE_STAMP.test(stamp)) return undefined;
  const two = (at: number) => stamp.charCodeAt(at) * 10 + stamp.charCodeAt(at + 1) - TWO_ZEROS;
  return [two(0) * 100 + two(2), two(5), two(8), two(11), two(14), two(17)];
}

function utcStamp(date: Date): Stamp {
  return join([
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ]);
}

/** Whether a text is a stamp, and of a date that exists. */
export function isStamp(text: string): boolean {
  const fields = split(text);
  return fields !== undefined && isDate(fields);
}

/** The stamp read as if it were UTC, where no hour is missing or comes twice; `undefined` when it is no date. */
function asUtc(stamp: Stamp): Date | undefined {
  const fields = split(stamp);
  return fields && isDate(fields) ? utc(fields) : undefined;
}

function utc([year, month, day, hour, minute, second]: Fields): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date;
}

function isDate([year, month, day, hour, minute, second]: Fields): boolean {
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return false;
  return day >= 1 && (day <= 28 || day <= utc([year, month + 1, 0, 0, 0, 0]).getUTCDate());
}

/** Write `date` in local time, to the second. */
export function formatStamp(date: Date): Stamp {
  return join([
    date.getFullYear(),
    date.getMonth() + 1,
    date.getDate(),
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
  ]);
}

/**
 * Read a stamp as local time. An hour that the clock had twice is read as the first one.
 * @returns `undefined` when the text is no date.
 */
export function parseStamp(stamp: Stamp): Date | undefined {
  const fields = split(stamp);
  if (fields === undefined || !isDate(fields)) return undefined;
  const [year, month, day, hour, minute, second] = fields;
  const date = new Date(0);
  date.setFullYear(year, month - 1, day);
  date.setHours(hour, minute, second, 0);
  return date;
}

/** When a new copy says it was taken; `clockBehind` when the clock is over a day behind the newest copy. */
export type NameTime = { readonly takenAt: Date; readonly clockBehind: boolean };

/**
 * Choose the time of a new name so that it sorts after every existing stamp: now, or one second after the newest when the
 * clock went back (an hour that comes twice, a wrong clock, another time zone).
 * With `clockBehind` nothing can be said about ages: delete nothing.
 * @throws {BackupError} DATA_DAMAGED when the newest stamp is the last one that can be written.
 */
export function timeAfter(now: Date, stamps: Iterable<Stamp>): NameTime {
  let newest = "";
  for (const stamp of stamps) if (stamp > newest && asUtc(stamp) !== undefined) newest = stamp;
  const utc = asUtc(newest);
  if (utc === undefined || formatStamp(now) > newest) return { takenAt: now, clockBehind: false };

  const takenAt = parseStamp(utcStamp(new Date(utc.getTime() + 1000)));
  if (takenAt === undefined) {
    throw new BackupError("DATA_DAMAGED", `Cannot name a new copy: nothing sorts after the existing one of ${newest}`, {
      hint: "Remove the copy with the impossible date, then run again.",
    });
  }
  return { takenAt, clockBehind: takenAt.getTime() - now.getTime() > DAY_MS };
}
