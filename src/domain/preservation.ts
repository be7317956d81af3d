import type { Preservation, StoredFacts } from "./copy.ts";

type Preserved = Pick<StoredFacts, "preservedUntil">;

/** Whether retention must leave a copy alone now. Without a clock, whatever was ever preserved is. */
export function isPreserved({ preservedUntil: until }: Preserved, now: Date | undefined): boolean {
  if (until === undefined) return false;
  return until === "forever" || now === undefined || until > now;
}

/** The copy, left alone by retention until then; `undefined` takes that back. */
export function withPreservation<C extends Preserved>(copy: C, until: Preservation | undefined): C {
  const { preservedUntil: _before, ...rest } = copy;
  return (until === undefined ? rest : { ...rest, preservedUntil: until }) as C;
}

/** Whether two say the same. */
export function isSamePreservation(left: Preservation | undefined, right: Preservation | undefined): boolean {
  return preservationText(left) === preservationText(right);
}

/** As records and `--json` have it: RFC 3339 in UTC to the second, or `forever`. */
export function preservationText(until: Preservation): string;
export function preservationText(until: Preservation | undefined): string | undefined;
export function preservationText(until: Preservation | undefined): string | undefined {
  if (until === undefined || until === "forever") return until;
  return `${until.toISOString().slice(0, 19)}Z`;
}

/** Read `preservationText()`; `undefined` when the text is none. */
export function parsePreservation(text: string): Preservation | undefined {
  if (text === "forever") return text;
  const until = new Date(text);
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(until.getTime()) ? until : undefined;
}
