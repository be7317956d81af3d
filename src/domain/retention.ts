import type { FilesCopy, MysqlCopy } from "./copy.ts";
import type { Interval } from "./interval.ts";
import type { Key } from "./key.ts";
import { directoryCode, nameOf, parseCopyKey, parseFilesName, parseMysqlName, stampOf } from "./names.ts";
import { isPreserved } from "./preservation.ts";
import { isBroken } from "./soundness.ts";
import { compareCopies } from "./status.ts";
import { parseStamp } from "./timestamp.ts";

/** How many copies of each interval stay. */
export type RetentionPolicy = Readonly<Record<Interval, number>>;

/** Copies that retention counts. Binlogs go by age and need instead. */
export type TimedCopy = FilesCopy | MysqlCopy;

/**
 * Why a copy stays: one of the newest good ones; preserved by the user; the newest good one of all; damaged, with not enough good
 * ones after it to do without; a copy needed to restore a staying one; or the clock cannot be trusted.
 */
type KeepReason = "newest" | "preserved" | "last-good" | "damaged" | "parent" | "clock";

/** What retention says about one copy. */
export type Decision<C extends TimedCopy> =
  | { readonly copy: C; readonly keep: true; readonly reason: KeepReason }
  | { readonly copy: C; readonly keep: false };

/** What retention goes by besides the copies. */
export type RetentionFacts = {
  /** Copies known not to be good, such as those `reconcile()` found. */
  readonly doubts?: { has(key: Key): boolean };
  /** The clock; when a copy is from over a day after it, everything stays. Without it, whatever was ever preserved stays. */
  readonly now?: Date;
};

const DAY_MS = 24 * 60 * 60 * 1000;

/** The copy that must be there to restore this one. */
export function parentOf(copy: TimedCopy): Key | undefined {
  return copy.media === "mysql" && copy.kind === "incremental" ? copy.parent : undefined;
}

/** All copies needed to restore `copy`, nearest first; `undefined` when one is not there or they form a circle. */
export function ancestorsOf<C extends TimedCopy>(copy: C, byKey: ReadonlyMap<Key, C>): readonly C[] | undefined {
  const found: C[] = [];
  for (let key = parentOf(copy); key !== undefined; ) {
    const parent = byKey.get(key);
    if (parent === undefined || parent === copy || found.includes(parent)) return undefined;
    found.push(parent);
    key = parentOf(parent);
  }
  return found;
}

/** Every copy that `copy` leads to, however the chain ends. */
function reachableFrom<C extends TimedCopy>(copy: C, byKey: ReadonlyMap<Key, C>): ReadonlySet<C> {
  const found = new Set<C>();
  let next = byKey.get(parentOf(copy) ?? copy.key);
  while (next !== undefined && next !== copy && !found.has(next)) {
    found.add(next);
    next = byKey.get(parentOf(next) ?? next.key);
  }
  return found;
}

/**
 * Name what each copy is of: the server, or a directory. A copy whose directory is unknown belongs to the one directory with
 * its code; when several directories share the code it belongs to none of them.
 */
function subjects<C extends TimedCopy>(copies: readonly C[]): ReadonlyMap<C, string> {
  const directories = new Map<string, Set<string>>();
  for (const copy of copies) {
    if (copy.media !== "files" || copy.directory === undefined) continue;
    const code = directoryCode(copy.directory);
    directories.set(code, (directories.get(code) ?? new Set()).add(copy.directory.replace(/\/+$/, "")));
  }
  return new Map(
    copies.map((copy) => {
      if (copy.media === "mysql") return [copy, `mysql ${copy.host}`];
      const code = parseFilesName(nameOf(copy.key))?.code ?? copy.key;
      const known = copy.directory?.replace(/\/+$/, "");
      const [only, ...others] = directories.get(code) ?? [];
      const directory = known ?? (others.length === 0 ? only : undefined);
      return [copy, directory === undefined ? `code ${copy.host} ${code}` : `directory ${copy.host} ${directory}`];
    }),
  );
}

/** Whether a copy restores, as far as is known: itself and everything it needs. */
function goodCopies<C extends TimedCopy>(copies: readonly C[], doubts: RetentionFacts["doubts"]): ReadonlySet<C> {
  const byKey = new Map(copies.map((copy) => [copy.key, copy]));
  const isSound = (copy: C): boolean => !isBroken(copy) && doubts?.has(copy.key) !== true;
  return new Set(copies.filter((copy) => isSound(copy) && (ancestorsOf(copy, byKey)?.every(isSound) ?? false)));
}

function isFromTheFuture(copy: TimedCopy, now: Date): boolean {
  const takenAt = parseStamp(stampOf(copy.key) ?? "") ?? copy.startedAt;
  return takenAt.getTime() - now.getTime() > DAY_MS;
}

/** What was seen of newer good copies when a copy's turn comes. */
type Standing = {
  readonly good: boolean;
  readonly preserved: boolean;
  readonly newerInGroup: number;
  readonly newerOfSubject: number;
};

function ownReason(standing: Standing, allowed: number): KeepReason | undefined {
  if (standing.preserved) return "preserved";
  if (standing.newerInGroup < allowed) return standing.good ? "newest" : "damaged";
  if (standing.newerOfSubject === 0) return standing.good ? "last-good" : "damaged";
  return undefined;
}

/**
 * Why each copy stays by itself; copies that may go are absent. `copies` come newest first. A preserved copy is none of the counted ones: if it
 * were, preserving one would shorten the history of the others, and seven of them would leave `daily_copies = 7` without a daily copy.
 */
function ownReasons<C extends TimedCopy>(
  copies: readonly C[],
  policy: RetentionPolicy,
  { good, now }: { readonly good: ReadonlySet<C>; readonly now: Date | undefined },
): Map<C, KeepReason> {
  const reasons = new Map<C, KeepReason>();
  const subjectOf = subjects(copies);
  const goodSoFar = new Map<string, number>();
  const seen = (name: string): number => goodSoFar.get(name) ?? 0;
  for (const copy of copies) {
    const subject = subjectOf.get(copy) ?? "";
    const group = `${copy.interval} ${subject}`;
    const preserved = isPreserved(copy, now);
    const standing = { good: good.has(copy), preserved, newerInGroup: seen(group), newerOfSubject: seen(subject) };
    const reason = ownReason(standing, policy[copy.interval]);
    if (reason !== undefined) reasons.set(copy, reason);
    if (!standing.good) continue;
    if (!preserved) goodSoFar.set(group, seen(group) + 1);
    goodSoFar.set(subject, seen(subject) + 1);
  }
  return reasons;
}

/**
 * Decide which copies stay. Per interval and directory (or server) the newest `policy[interval]` good copies stay, counting good
 * ones that are not preserved only; besides them, whatever the policy says: the newest good copy of each directory or server, what the
 * user preserved, every copy that a staying one needs, and damaged copies until enough good ones came after them.
 * @returns one decision per copy, newest first.
 */
export function decide<C extends TimedCopy>(
  copies: readonly C[],
  policy: RetentionPolicy,
  facts: RetentionFacts = {},
): Decision<C>[] {
  const newestFirst = copies.toSorted((left, right) => compareCopies(right, left));
  const { now } = facts;
  if (now !== undefined && copies.some((copy) => isFromTheFuture(copy, now))) {
    return newestFirst.map((copy) => ({ copy, keep: true, reason: "clock" }));
  }
  const reasons = ownReasons(newestFirst, policy, { good: goodCopies(newestFirst, facts.doubts), now });
  const byKey = new Map(copies.map((copy) => [copy.key, copy]));
  for (const copy of reasons.keys()) {
    for (const needed of reachableFrom(copy, byKey)) if (!reasons.has(needed)) reasons.set(needed, "parent");
  }
  return newestFirst.map((copy) => {
    const reason = reasons.get(copy);
    return reason === undefined ? { copy, keep: false } : { copy, keep: true, reason };
  });
}

/** The copies that go, in the order to remove them: what needs another goes before it, then newest first. */
export function expired<C extends TimedCopy>(decisions: readonly Decision<C>[]): C[] {
  const byKey = new Map(decisions.map(({ copy }) => [copy.key, copy]));
  const depth = new Map(decisions.map(({ copy }) => [copy, reachableFrom(copy, byKey).size]));
  return decisions
    .filter(({ keep }) => !keep)
    .map(({ copy }) => copy)
    .sort((left, right) => (depth.get(right) ?? 0) - (depth.get(left) ?? 0) || compareCopies(right, left));
}

/**
 * As `expired()`, for a run that removes copies of its own type only: what a copy needs that stays for a run of its own type waits
 * with it.
 */
export function expiredOf<C extends TimedCopy>(decisions: readonly Decision<C>[], interval: Interval): C[] {
  const goners = expired(decisions).filter((copy) => copy.interval === interval);
  const isLeaving = new Set(goners);
  const byKey = new Map(decisions.map(({ copy }) => [copy.key, copy]));
  const left = decisions.map(({ copy }) => copy).filter((copy) => !isLeaving.has(copy));
  const needed = new Set(left.flatMap((copy) => [...reachableFrom(copy, byKey)]));
  return goners.filter((copy) => !needed.has(copy));
}

/**
 * Decide which of the copies kept on this host may go: the newest `policy[interval]` of each directory, and of MySQL, stay; 0 keeps
 * none, for the destination has them all. A name that is none of a copy is left alone.
 * @returns the keys that go, oldest first.
 */
export function decideLocal(keys: readonly Key[], policy: RetentionPolicy): Key[] {
  const timed = keys.flatMap((key) => {
    const parts = parseCopyKey(key);
    if (parts === undefined || parts.media === "binlog") return [];
    const name = parts.media === "files" ? parseFilesName(parts.name) : parseMysqlName(parts.name);
    if (name === undefined) return [];
    const code = "code" in name ? name.code : "";
    return [
      {
        key,
        stamp: name.stamp,
        interval: parts.interval,
        group: [parts.host, parts.interval, parts.media, code].join("/"),
      },
    ];
  });
  timed.sort((left, right) =>
    left.stamp < right.stamp ? -1 : left.stamp > right.stamp ? 1 : left.key < right.key ? -1 : 1,
  );
  const groups = Map.groupBy(timed, ({ group }) => group);
  return [...groups.values()].flatMap((group) => {
    const keep = Math.max(0, policy[group[0]?.interval ?? "hourly"]);
    return group.slice(0, Math.max(0, group.length - keep)).map(({ key }) => key);
  });
}
