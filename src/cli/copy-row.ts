import type { Copy, Mark } from "../domain/copy.ts";
import { humanBytes, humanSeconds, humanTime } from "../domain/human.ts";
import { isPreserved, preservationText } from "../domain/preservation.ts";
import { isBroken } from "../domain/soundness.ts";
import type { Listed } from "../job/list.ts";
import { tableOf } from "./table.ts";

/** When a copy was taken; a binlog, when its first event was written. */
function takenAt(copy: Copy): Date {
  return copy.media === "binlog" ? copy.createdAt : copy.startedAt;
}

/** What is known about a copy's soundness, in a word or two. */
function stateOf({ copy, doubt }: Listed): string {
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

function markJson(mark: Mark | undefined): Record<string, unknown> | null {
  if (mark === undefined) return null;
  return { broken: mark.broken, at: mark.at.toISOString(), by: mark.by, reason: mark.reason ?? null };
}

/** A listed copy as `--json` prints it. Field names are stable. A preservation that is over is none. */
export function jsonOf(listed: Listed, now: Date): Record<string, unknown> {
  const { copy } = listed;
  return {
    key: copy.key,
    host: copy.host,
    type: copy.media,
    run_type: copy.media === "binlog" ? null : copy.interval,
    directory: copy.media === "files" ? (copy.directory ?? null) : null,
    taken_at: takenAt(copy).toISOString(),
    bytes: copy.bytes ?? null,
    raw_bytes: copy.rawBytes ?? null,
    sha256: copy.sha256 ?? null,
    suffixes: copy.suffixes,
    state: stateOf(listed),
    verified_at: copy.verified?.at.toISOString() ?? null,
    marked: markJson(copy.mark),
    preserved_until: isPreserved(copy, now) ? preservationText(copy.preservedUntil) : null,
    warnings: copy.media === "files" ? copy.warnings : [],
  };
}

/** The listing as a table for people. */
export function copyTable(rows: readonly Listed[], now: Date): string[] {
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
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    rows,
  );
}
