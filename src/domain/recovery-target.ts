import type { Vendor } from "./copy.ts";
import { BackupError } from "./errors.ts";
import { formatGtidPosition, parseGtidPosition } from "./gtid-position.ts";
import { containsGtids, formatGtidSet, type GtidSet, parseGtidSet } from "./gtid-set.ts";

/** Microseconds since 1970, as binary logs tell the time of a commit. */
export type Micros = number;

/** Up to where a server is brought forward. */
export type RecoveryTarget =
  /** Everything that was committed before this moment. */
  | { readonly kind: "time"; readonly at: Micros }
  /** Everything up to and with this transaction, as the log spells it. */
  | { readonly kind: "gtid"; readonly gtid: string }
  /** Everything that ends at or before this place of a log. */
  | { readonly kind: "position"; readonly file: string; readonly offset: number }
  /** Everything that is archived. */
  | { readonly kind: "end" };

/** A moment as typed. */
export type Moment = {
  readonly at: Micros;
  /** Nobody said in which time zone, so it was read as UTC. */
  readonly isZoneAssumed: boolean;
};

const MOMENT = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?\s*([Zz]|[+-]\d\d:\d\d)?$/;

function usage(text: string, what: string, hint: string): BackupError {
  return new BackupError("USAGE", `Cannot use "${text}" as a target: ${what}`, { hint });
}

/** Read a moment as RFC 3339 has it, to the microsecond. @throws {BackupError} USAGE when it is none. */
export function parseMoment(text: string): Moment {
  const [, day = "", time = "", fraction = "", zone] = MOMENT.exec(text.trim()) ?? [];
  const milliseconds = Date.parse(`${day}T${time}${(zone ?? "Z").toUpperCase()}`);
  if (Number.isNaN(milliseconds) || !isDay(day)) {
    throw usage(text, "it is no date and time", "Write it as 2026-11-21T02:36:45Z or 2026-11-21T03:36:45+01:00.");
  }
  const at = milliseconds * 1000 + Number(fraction.padEnd(6, "0"));
  return { at, isZoneAssumed: zone === undefined };
}

/** The 30th of February is not the 2nd of March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

/** Write a moment as it is read: `2026-11-21T02:36:45.123456Z`. */
export function formatMoment(at: Micros): string {
  const micros = at % 1_000_000;
  const text = new Date((at - micros) / 1000).toISOString().slice(0, 19);
  const fraction = String(micros).padStart(6, "0").replace(/0+$/, "");
  return `${text}${fraction === "" ? "" : `.${fraction}`}Z`;
}

/** Read `FILE:POS`, such as `mysql-bin.000012:4711`. @throws {BackupError} USAGE when it is none. */
export function parsePosition(text: string): RecoveryTarget & { readonly kind: "position" } {
  const [, file, offset] = /^([^/:]+\.\d{6,10}):(\d{1,15})$/.exec(text.trim()) ?? [];
  if (file === undefined || offset === undefined)
    throw usage(text, "it is no place in a binary log", "Write it as mysql-bin.000012:4711.");
  return { kind: "position", file, offset: Number(offset) };
}

function gtidProblem(text: string, vendor: Vendor, count: "one" | "some"): BackupError {
  const form = vendor === "mariadb" ? "0-1-42" : "3e11fa47-71ca-11e1-9e33-c80aa9429562:23";
  return usage(text, count === "one" ? "it is not one GTID" : "it is no GTID", `Write it as ${form}.`);
}

/** Read one GTID as the logs of a vendor spell it. @throws {BackupError} USAGE when it is none, or more than one. */
export function parseGtid(text: string, vendor: Vendor): string {
  const gtid = readGtids(text, vendor);
  const isOne = vendor === "mariadb" ? !gtid.includes(",") : /^[^,]+:\d+$/.test(gtid) && !/:\d+:/.test(gtid);
  if (gtid === "" || !isOne) throw gtidProblem(text, vendor, "one");
  return gtid;
}

/** Normalised; lists of MariaDB keep one GTID of each domain only, so they are read one by one. */
function readGtids(text: string, vendor: Vendor): string {
  try {
    if (vendor !== "mariadb") return formatGtidSet(parseGtidSet(text));
    const each = text.split(",").map((part) => formatGtidPosition(parseGtidPosition(part)));
    return each.filter((part) => part !== "").join(",");
  } catch {
    throw gtidProblem(text, vendor, "some");
  }
}

/** Transactions by their GTIDs. */
export type GtidFilter = {
  /** As the server prints them; empty for none. */
  readonly text: string;
  has(gtid: string): boolean;
};

/** Transactions that were named, each text one or more GTIDs. @throws {BackupError} USAGE when one is none. */
export function gtidFilter(texts: readonly string[], vendor: Vendor): GtidFilter {
  const text = readGtids(texts.join(","), vendor);
  for (const each of texts) if (readGtids(each, vendor) === "") throw gtidProblem(each, vendor, "some");
  if (vendor === "mariadb") {
    const named = new Set(text.split(","));
    return { text, has: (gtid) => named.has(gtid) };
  }
  const set = parseGtidSet(text);
  return { text, has: (gtid) => set.size > 0 && holds(set, gtid) };
}

function holds(set: GtidSet, gtid: string): boolean {
  return containsGtids(set, parseGtidSet(gtid));
}

/** A target for people. */
export function targetText(target: RecoveryTarget): string {
  if (target.kind === "time") return `before ${formatMoment(target.at)}`;
  if (target.kind === "gtid") return `up to and with ${target.gtid}`;
  if (target.kind === "position") return `up to ${target.file}:${target.offset}`;
  return "with all that is archived";
}
