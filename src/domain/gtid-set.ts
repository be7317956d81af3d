import { BackupError } from "./errors.ts";

/** Consecutive numbers, both ends included. */
export type GtidRange = { readonly from: bigint; readonly to: bigint };

/**
 * A GTID set of MySQL: by source, `UUID` or `UUID:TAG` in lower case, ranges in order that neither overlap nor touch. Empty sources are left
 * out, so that equal sets print the same.
 */
export type GtidSet = ReadonlyMap<string, readonly GtidRange[]>;

const NO_GTIDS: GtidSet = new Map();

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const RANGE = /^(\d{1,19})(?:-(\d{1,19}))?$/;
const LARGEST = 2n ** 63n - 1n;

function unreadable(text: string): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot read "${text.slice(0, 200)}" as a GTID set of MySQL`, {
    hint: "Write it as the server does: 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7.",
  });
}

function parseRange(text: string, whole: string): GtidRange {
  const [, from, to = from] = RANGE.exec(text) ?? [];
  if (from === undefined || to === undefined) throw unreadable(whole);
  const range = { from: BigInt(from), to: BigInt(to) };
  if (range.from < 1n || range.to > LARGEST) throw unreadable(whole);
  return range;
}

/**
 * Read a set as MySQL prints it: `uuid:1-3:5:tag:1-2,uuid:…`, in any case, with or without white space. A range that ends before
 * it begins is empty, as it is to the server.
 * @throws {BackupError} DATA_DAMAGED when it is none.
 */
export function parseGtidSet(text: string): GtidSet {
  const ranges = new Map<string, GtidRange[]>();
  for (const part of text.replaceAll(/\s+/g, "").toLowerCase().split(",")) {
    if (part === "") continue;
    const [uuid = "", ...rest] = part.split(":");
    if (!UUID.test(uuid) || rest.length === 0) throw unreadable(text);
    let source = uuid;
    for (const word of rest) {
      if (TAG.test(word)) source = `${uuid}:${word}`;
      else ranges.set(source, [...(ranges.get(source) ?? []), parseRange(word, text)]);
    }
  }
  return normalized(ranges);
}

/** Print a set as MySQL does: sources in order, the tags of one UUID behind it. Empty is the empty text. */
export function formatGtidSet(set: GtidSet): string {
  const texts = new Map<string, string>();
  for (const source of [...set.keys()].sort()) {
    const [uuid = "", tag] = source.split(":");
    const ranges = (set.get(source) ?? []).map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(":");
    const before = texts.get(uuid) ?? uuid;
    texts.set(uuid, `${before}:${tag === undefined ? "" : `${tag}:`}${ranges}`);
  }
  return [...texts.values()].join(",");
}

/** A set of these ranges, in any order. */
export function normalized(ranges: ReadonlyMap<string, readonly GtidRange[]>): GtidSet {
  const joined = [...ranges].map(([source, each]) => [source, joinRanges(each)] as const);
  return new Map(joined.filter(([, each]) => each.length > 0));
}

function joinRanges(ranges: readonly GtidRange[]): GtidRange[] {
  const sorted = ranges
    .filter(({ from, to }) => from <= to)
    .sort((left, right) => (left.from < right.from ? -1 : left.from > right.from ? 1 : 0));
  const joined: { readonly from: bigint; to: bigint }[] = [];
  for (const { from, to } of sorted) {
    const last = joined.at(-1);
    if (last === undefined || from > last.to + 1n) joined.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return joined;
}

/** What is in either. */
export function unionGtids(...sets: readonly GtidSet[]): GtidSet {
  const [first = NO_GTIDS, ...others] = sets.filter(({ size }) => size > 0);
  if (others.length === 0) return first;
  const ranges = new Map<string, GtidRange[]>();
  for (const set of [first, ...others]) {
    for (const [source, each] of set) ranges.set(source, [...(ranges.get(source) ?? []), ...each]);
  }
  return normalized(ranges);
}

/** What is in `whole` and not in `part`. */
export function subtractGtids(whole: GtidSet, part: GtidSet): GtidSet {
  return normalized(
    new Map([...whole].map(([source, ranges]) => [source, subtractRanges(ranges, part.get(source) ?? [])])),
  );
}

/** What is in both. */
export function intersectGtids(left: GtidSet, right: GtidSet): GtidSet {
  return subtractGtids(left, subtractGtids(left, right));
}

function subtractRanges(ranges: readonly GtidRange[], holes: readonly GtidRange[]): GtidRange[] {
  return holes.reduce<readonly GtidRange[]>(
    (left, hole) =>
      left.flatMap((range) => {
        if (hole.to < range.from || hole.from > range.to) return [range];
        return [
          { from: range.from, to: hole.from - 1n },
          { from: hole.to + 1n, to: range.to },
        ].filter(({ from, to }) => from <= to);
      }),
    ranges,
  ) as GtidRange[];
}

/** Whether everything in `part` is in `whole`. */
export function containsGtids(whole: GtidSet, part: GtidSet): boolean {
  return [...part].every(([source, ranges]) => {
    const own = whole.get(source) ?? [];
    return ranges.every(({ from, to }) => own.some((each) => each.from <= from && to <= each.to));
  });
}

/** A set that grows one transaction at a time; adding the next number of a source takes no search. */
export class GtidCollector {
  readonly #ranges = new Map<string, { from: bigint; to: bigint }[]>();

  add(source: string, number: bigint): void {
    const ranges = this.#ranges.get(source);
    const last = ranges?.at(-1);
    if (ranges === undefined) this.#ranges.set(source, [{ from: number, to: number }]);
    else if (last?.to === number - 1n) last.to = number;
    else ranges.push({ from: number, to: number });
    // Parallel commits leave many small ranges out of order; joining them now and then keeps the list short.
    if (ranges !== undefined && ranges.length > JOIN_AT) this.#ranges.set(source, joinRanges(ranges));
  }

  set(): GtidSet {
    return normalized(this.#ranges);
  }
}

const JOIN_AT = 4096;
