import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import {
  type GtidFilter,
  gtidFilter,
  parseGtid,
  parseMoment,
  parsePosition,
  type RecoveryTarget,
} from "../domain/recovery-target.ts";
import type { Log } from "../lib/log.ts";

/** The options that bring a restored server forward, as typed. */
export type RecoveryOptions = {
  readonly toTime?: string;
  readonly toGtid?: string;
  readonly toPosition?: string;
  readonly excludeGtid?: readonly string[];
  readonly acceptGap?: true;
  readonly fallback?: true;
};

/** Whether binary logs are asked for. */
export function isRecovery({ toTime, toGtid, toPosition, excludeGtid }: RecoveryOptions): boolean {
  return [toTime, toGtid, toPosition, excludeGtid].some((each) => each !== undefined);
}

/** What is asked for. @throws {BackupError} USAGE when it cannot be read, or is two things at once. */
export function readRecovery(
  options: RecoveryOptions,
  vendor: Vendor,
  log: Log,
): { readonly target: RecoveryTarget; readonly excluded: GtidFilter } {
  const { toTime, toGtid, toPosition, excludeGtid = [] } = options;
  if ([toTime, toGtid, toPosition].filter((each) => each !== undefined).length > 1) {
    throw new BackupError("USAGE", "Cannot restore to two places: a time, a GTID and a position exclude each other", {
      hint: "Give one of --to-time, --to-gtid and --to-position.",
    });
  }
  const excluded = gtidFilter(excludeGtid, vendor);
  if (toGtid !== undefined) return { target: { kind: "gtid", gtid: parseGtid(toGtid, vendor) }, excluded };
  if (toPosition !== undefined) return { target: parsePosition(toPosition), excluded };
  if (toTime === undefined || toTime === "latest") return { target: { kind: "end" }, excluded };
  const { at, isZoneAssumed } = parseMoment(toTime);
  if (isZoneAssumed) log.warn(`"${toTime}" names no time zone, so it is read as UTC`);
  return { target: { kind: "time", at }, excluded };
}
