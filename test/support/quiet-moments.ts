import { formatMoment } from "../../src/domain/recovery-target.ts";
import { type Commit, isDoubtful } from "./steady-writer.ts";

/** Milliseconds since 1970. */
export type Span = { readonly from: number; readonly to: number };

/** A moment as `--to-time` takes it, at which nothing was being written, and the last row that was committed before it. */
export type QuietMoment = { readonly at: string; readonly last: number };

/** Gaps between two commits that are shorter are none: clocks tell whole milliseconds. */
const GAP_MS = 3;

/** All whole seconds of a time at which nothing was being written, for MariaDB's logs tell no more; else a random moment in each gap. */
export function quietMoments({ from, to }: Span, commits: readonly Commit[], isMariadb: boolean): QuietMoment[] {
  if (isMariadb) {
    const [first, count] = [Math.floor(from / 1000) + 1, Math.floor(to / 1000) - Math.floor(from / 1000)];
    return Array.from({ length: count }, (_, index) => (first + index) * 1000)
      .filter((moment) => !isDoubtful(moment, commits))
      .map((moment) => {
        const last = commits.findLast(({ acknowledged }) => acknowledged < moment)?.id ?? 0;
        return { at: formatMoment(moment * 1000), last };
      });
  }
  return commits.flatMap(({ id, sent, acknowledged }, index) => {
    const gap = (commits[index + 1]?.sent ?? 0) - acknowledged;
    if (sent <= from || acknowledged >= to || gap < GAP_MS) return [];
    return [{ at: formatMoment(Math.floor((acknowledged + 1 + Math.random() * (gap - 2)) * 1000)), last: id }];
  });
}

export function anyOf<T>(all: readonly T[]): T {
  const one = all[Math.floor(Math.random() * all.length)];
  if (one === undefined) throw new Error("there is none to choose from");
  return one;
}

export function shuffled<T>(all: readonly T[]): T[] {
  return all
    .map((each) => ({ each, place: Math.random() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ each }) => each);
}
