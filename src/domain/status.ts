import type { BinlogCopy, Copy, Verification } from "./copy.ts";
import type { Key } from "./key.ts";
import { parseBinlogName, stampOf } from "./names.ts";
import { formatStamp } from "./timestamp.ts";

/** What a destination claims to hold of one media of one host: an immutable value, oldest first, each key once. */
export type Status<C extends Copy> = { readonly copies: readonly C[] };

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareBinlogs(left: BinlogCopy, right: BinlogCopy): number {
  const numbers = [left, right].map(({ name }) => parseBinlogName(name)?.number ?? 0);
  return (
    left.createdAt.getTime() - right.createdAt.getTime() ||
    (numbers[0] ?? 0) - (numbers[1] ?? 0) ||
    compareText(left.key, right.key)
  );
}

function ageOf(copy: Exclude<Copy, BinlogCopy>): string {
  return stampOf(copy.key) ?? formatStamp(copy.startedAt);
}

/**
 * Order copies from old to new. A timed copy is as old as its *name* says: names only grow, while the clock may have gone back
 * between two copies. Binlogs go by their first event, then by their number.
 */
export function compareCopies(left: Copy, right: Copy): number {
  if (left.media === "binlog" || right.media === "binlog") {
    if (left.media === "binlog" && right.media === "binlog") return compareBinlogs(left, right);
    return compareText(left.media, right.media);
  }
  return compareText(ageOf(left), ageOf(right)) || compareText(left.key, right.key);
}

type Aged<C extends Copy> = { readonly copy: C; readonly age: string | undefined };

/** As `compareCopies()`, with the ages read from the names beforehand. */
function compareAged<C extends Copy>(left: Aged<C>, right: Aged<C>): number {
  if (left.age === undefined || right.age === undefined) return compareCopies(left.copy, right.copy);
  return compareText(left.age, right.age) || compareText(left.copy.key, right.copy.key);
}

/** A status of these copies, in any order; of two with the same key the later one counts. */
export function statusOf<C extends Copy>(copies: Iterable<C>): Status<C> {
  const byKey = new Map<Key, C>();
  for (const copy of copies) byKey.set(copy.key, copy);
  const aged = [...byKey.values()].map((copy) => ({ copy, age: copy.media === "binlog" ? undefined : ageOf(copy) }));
  return { copies: aged.sort(compareAged).map(({ copy }) => copy) };
}

/** The status with `copy` in it, in place of one with the same key. */
export function withCopy<C extends Copy>(status: Status<C>, copy: C): Status<C> {
  return statusOf([...status.copies, copy]);
}

/** The status without the copy under `key`; the same when there is none. */
export function withoutCopy<C extends Copy>(status: Status<C>, key: Key): Status<C> {
  return { copies: status.copies.filter((copy) => copy.key !== key) };
}

/** The status with what a verify found about one copy; the same when the copy is gone meanwhile. */
export function withVerification<C extends Copy>(status: Status<C>, key: Key, verified: Verification): Status<C> {
  return { copies: status.copies.map((copy) => (copy.key === key ? { ...copy, verified } : copy)) };
}

/** The newest copy that `wanted` accepts. */
export function latest<C extends Copy>(status: Status<C>, wanted: (copy: C) => boolean = () => true): C | undefined {
  return status.copies.findLast(wanted);
}
