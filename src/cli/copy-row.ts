import type { Copy, Mark } from "../domain/copy.ts";
import { humanBytes, humanSeconds, humanTime } from "../domain/human.ts";
import { isPreserved, preservationText } from "../domain/preservation.ts";
import type { RecoverableWindow } from "../domain/recoverable-window.ts";
import { isBroken } from "../domain/soundness.ts";
import type { Listed } from "../job/list.ts";
import { tableOf } from "./table.ts";
import { gapJson, type Windows } from "./windows.ts";

/** When a copy was taken; a binlog, when its first event was written. */
function takenAt(copy: Copy): Date {
  return copy.media === "binlog" ? copy.createdAt : copy.startedAt;
}

/** What is known about a copy's soundness, in a word or two. */
export function stateOf({ copy, doubt }: Listed): string {
  if (doubt !== undefined) return doubt;
  if (isBroken(copy)) return "broken";
  return copy.verified === undefined ? "stored" : "verified";
}

/** The same for people, with what a person said. */
function longStateOf(listed: Listed, now: Date): string {
  const { copy } = listed;
  const isMarked = copy.mark?.broken === true;
  const words = [stateOf(listed), isMarked ? "marked" : undefined, isPreserved(copy, now) ? "preserved" : undefined];
  return words.filter((word) => word !== undefined).join(", ");
}

function markJson(mark: Mark | undefined): Record<string, unknown> | undefined {
  return mark && withNulls({ broken: mark.broken, at: mark.at.toISOString(), by: mark.by, reason: mark.reason });
}

/** A listed copy as `--json` prints it. Field names are stable. A preservation that is over is none. */
export function jsonOf(listed: Listed, now: Date, windows: Windows): Record<string, unknown> {
  const { copy } = listed;
  const { bytes, rawBytes, sha256, suffixes, verified } = copy;
  return withNulls({
    key: copy.key,
    host: copy.host,
    type: copy.media,
    run_type: copy.media === "binlog" ? undefined : copy.interval,
    directory: copy.media === "files" ? copy.directory : undefined,
    taken_at: takenAt(copy).toISOString(),
    bytes,
    raw_bytes: rawBytes,
    sha256,
    suffixes,
    state: stateOf(listed),
    verified_at: verified?.at.toISOString(),
    marked: markJson(copy.mark),
    preserved_until: isPreserved(copy, now) ? preservationText(copy.preservedUntil) : undefined,
    warnings: copy.media === "files" ? copy.warnings : [],
    ...windowJson(windows.get(copy.key)),
  });
}

/** How far a copy can be brought forward, as `--json` prints it. */
export function windowJson(window: RecoverableWindow | undefined): Record<string, unknown> {
  return {
    recoverable_from: window?.from.toISOString(),
    recoverable_until: window?.to.toISOString(),
    gaps: window?.gaps.map(gapJson) ?? [],
  };
}

/** As JSON has it: what is not known is there as well. */
export function withNulls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null]));
}

/** Until when a copy of a server can be brought forward; `!` where a gap ends that. */
function untilOf({ copy }: Listed, windows: Windows): string {
  const window = windows.get(copy.key);
  if (window === undefined) return "";
  const until = window.logs.length === 0 ? "-" : humanTime(window.to);
  return window.gaps.length === 0 ? until : `${until} !`;
}

/** The listing as a table for people. */
export function copyTable(rows: readonly Listed[], now: Date, windows: Windows): string[] {
  const until = { title: "RECOVERABLE UNTIL", value: (row: Listed) => untilOf(row, windows) };
  return tableOf(
    [
      { title: "TAKEN", value: ({ copy }) => humanTime(takenAt(copy)) },
      {
        title: "AGE",
        value: ({ copy }) => humanSeconds((now.getTime() - takenAt(copy).getTime()) / 1000),
        align: "right",
      },
      { title: "SIZE", value: ({ copy }) => (copy.bytes === undefined ? "?" : humanBytes(copy.bytes)), align: "right" },
      { title: "STATE", value: (row) => longStateOf(row, now) },
      ...(windows.size === 0 ? [] : [until]),
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    rows,
  );
}
