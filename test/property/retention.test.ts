import * as fc from "fast-check";
import { expect, test } from "vitest";
import { INTERVALS } from "../../src/domain/interval.ts";
import { nameOf, stampOf, uniqueTimestamp } from "../../src/domain/names.ts";
import {
  type Decision,
  decide,
  expired,
  parentOf,
  type RetentionPolicy,
  type TimedCopy,
} from "../../src/domain/retention.ts";
import { latest, statusOf, withCopy, withoutCopy } from "../../src/domain/status.ts";
import { filesCopy, fullCopy, increment } from "../support/copies.ts";

const START = new Date(2026, 4, 1).getTime();
const HOUR = 3_600_000;

const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  hourly: fc.integer({ min: 0, max: 4 }),
  daily: fc.integer({ min: 0, max: 3 }),
  weekly: fc.integer({ min: 0, max: 2 }),
  monthly: fc.constant(1),
  yearly: fc.constant(0),
});

const step = fc.record({
  kind: fc.constantFrom("files", "full", "increment"),
  interval: fc.constantFrom(...INTERVALS.slice(0, 3)),
  directory: fc.constantFrom("/etc", "/etc/mysql", "/etc_mysql"),
  /** Which of the copies so far an increment is based on. */
  parent: fc.nat(30),
  failed: fc.boolean(),
  preservedUntil: fc
    .constantFrom<readonly number[]>([0], [1, 5], [2, 2000], [9])
    .map(([dice, hours]) =>
      dice === 9 ? "forever" : hours === undefined ? undefined : new Date(START + hours * HOUR),
    ),
});

/** Any copies, an hour apart; an increment is based on any MySQL copy so far. */
const histories: fc.Arbitrary<TimedCopy[]> = fc.array(step, { maxLength: 30 }).map((steps) => {
  const copies: TimedCopy[] = [];
  for (const [index, { kind, interval, directory, parent, failed, preservedUntil }] of steps.entries()) {
    const takenAt = new Date(START + index * HOUR);
    const verified = failed ? { at: takenAt, ok: false, level: "data" } : undefined;
    const parents = copies.filter(({ media }) => media === "mysql");
    const kept = preservedUntil === undefined ? {} : { preservedUntil };
    const base = parents[parent % Math.max(1, parents.length)];
    if (kind === "files") copies.push(filesCopy(takenAt, { interval, directory, verified, ...kept }));
    else if (kind === "full" || base === undefined) copies.push(fullCopy(takenAt, { interval, verified, ...kept }));
    else copies.push(increment(takenAt, base.key, { interval, verified, ...kept }));
  }
  return copies;
});

function isGood(copy: TimedCopy, copies: readonly TimedCopy[]): boolean {
  if (copy.verified?.ok === false) return false;
  const parent = parentOf(copy);
  if (parent === undefined) return true;
  const base = copies.find(({ key }) => key === parent);
  return base !== undefined && isGood(base, copies);
}

function subjectOf(copy: TimedCopy): string {
  return copy.media === "mysql" ? "mysql" : `files ${copy.directory}`;
}

test("decide() keeps what is preserved now, all it needs, and as many others as without it", () => {
  const nows = fc.constantFrom(undefined, new Date(START + 40 * HOUR));
  fc.assert(
    fc.property(histories, policies, nows, (copies, policy, now) => {
      const facts = now === undefined ? {} : { now };
      const keptKeys = new Set(kept(decide(copies, policy, facts)).map(({ key }) => key));
      const isPreserved = ({ preservedUntil: until }: TimedCopy) =>
        until === "forever" || (until !== undefined && (now === undefined || until > now));
      for (let [copy] = copies.filter(isPreserved); copy !== undefined; ) {
        expect(keptKeys.has(copy.key)).toBe(true);
        const parent = parentOf(copy);
        copy = copies.find(({ key }) => key === parent);
      }
      const ordinary = copies.filter((copy) => isGood(copy, copies) && !isPreserved(copy));
      for (const [, group] of Map.groupBy(ordinary, (copy) => `${copy.interval} ${subjectOf(copy)}`)) {
        const count = policy[group[0]!.interval];
        for (const { key } of count === 0 ? [] : group.slice(-count)) expect(keptKeys.has(key)).toBe(true);
      }
    }),
  );
});

test("decide() treats a copy that a person marked as broken like one that a verify found broken", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      const marked = copies.map((copy) => {
        if (copy.verified?.ok !== false) return copy;
        const mark = { broken: true, at: copy.startedAt, by: "root@db7", reason: undefined };
        return { ...copy, verified: undefined, mark };
      });
      const reasonsOf = (all: readonly TimedCopy[]) =>
        decide(all, policy).map((each) => (each.keep ? each.reason : undefined));
      expect(reasonsOf(marked)).toEqual(reasonsOf(copies));
    }),
  );
});

function kept<C extends TimedCopy>(decisions: readonly Decision<C>[]): C[] {
  return decisions.filter(({ keep }) => keep).map(({ copy }) => copy);
}

test("decide() gives one decision per copy, newest first", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      expect(decide(copies, policy).map(({ copy }) => copy)).toEqual(copies.toReversed());
    }),
  );
});

test("decide() keeps no more per group than allowed, parents, preserved, damaged and last good ones aside", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      const newest = decide(copies, policy).filter((decision) => decision.keep && decision.reason === "newest");
      const groups = Map.groupBy(newest, ({ copy }) => `${copy.interval} ${subjectOf(copy)}`);
      for (const group of groups.values()) expect(group.length).toBeLessThanOrEqual(policy[group[0]!.copy.interval]);
    }),
  );
});

test("decide() keeps as many good copies per group as allowed, if there are", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      const good = copies.filter((copy) => isGood(copy, copies));
      const keptKeys = new Set(kept(decide(copies, policy)).map(({ key }) => key));
      for (const [, group] of Map.groupBy(good, (copy) => `${copy.interval} ${subjectOf(copy)}`)) {
        const count = policy[group[0]!.interval];
        for (const { key } of count === 0 ? [] : group.slice(-count)) expect(keptKeys.has(key)).toBe(true);
      }
    }),
  );
});

test("decide() keeps the newest good copy of everything", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      const keptCopies = new Set(kept(decide(copies, policy)));
      for (const [, group] of Map.groupBy(copies, subjectOf)) {
        const newest = group.findLast((copy) => isGood(copy, copies));
        if (newest) expect(keptCopies.has(newest)).toBe(true);
        else for (const copy of group) expect(keptCopies.has(copy)).toBe(true);
      }
    }),
  );
});

test("decide() keeps no increment without its parent", () => {
  fc.assert(
    fc.property(histories, policies, (copies, policy) => {
      const keys = new Set(kept(decide(copies, policy)).map(({ key }) => key));
      for (const copy of copies) {
        const parent = parentOf(copy);
        if (keys.has(copy.key) && parent !== undefined) expect(keys.has(parent)).toBe(true);
      }
    }),
  );
});

test("decide() keeps what it kept: a second time, and with a larger policy", () => {
  fc.assert(
    fc.property(histories, policies, fc.constantFrom(...INTERVALS), (copies, policy, interval) => {
      const first = kept(decide(copies, policy));
      expect(kept(decide(first, policy))).toEqual(first);
      const larger = new Set(kept(decide(copies, { ...policy, [interval]: policy[interval] + 1 })));
      for (const copy of first) expect(larger.has(copy)).toBe(true);
    }),
  );
});

test("expired() can stop anywhere and leaves no copy without its parent that had one", () => {
  fc.assert(
    fc.property(histories, policies, fc.nat(30), (copies, policy, stop) => {
      const goes = expired(decide(copies, policy)).slice(0, stop);
      const left = copies.filter((copy) => !goes.includes(copy));
      for (const copy of left) {
        const parent = parentOf(copy);
        if (parent !== undefined) expect(left.some(({ key }) => key === parent)).toBe(true);
      }
    }),
  );
});

test("decide() never lets go of the last good copy of a directory, through failures and clock jumps", () => {
  const run = fc.record({
    jumpHours: fc.integer({ min: -20, max: 40 }),
    directory: fc.constantFrom("/etc", "/etc_x"),
    fails: fc.boolean(),
    broken: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(run, { maxLength: 40 }), fc.integer({ min: 0, max: 3 }), (runs, daily) => {
      const policy = { hourly: 0, daily, weekly: 0, monthly: 0, yearly: 0 };
      let now = START;
      let status = statusOf<ReturnType<typeof filesCopy>>([]);
      const lastGood = new Map<string, string>();
      for (const { jumpHours, directory, fails, broken } of runs) {
        now += jumpHours * HOUR;
        if (fails) continue;
        const clock = new Date(now);
        const names = status.copies.map(({ key }) => nameOf(key));
        const { takenAt, clockBehind } = uniqueTimestamp(clock, names);
        const verified = broken ? { at: clock, ok: false, level: "data" } : undefined;
        const copy = filesCopy(takenAt, { directory, startedAt: clock, verified });
        expect(status.copies.every(({ key }) => stampOf(key)! < stampOf(copy.key)!)).toBe(true);
        status = withCopy(status, copy);
        if (!broken) lastGood.set(directory, copy.key);
        if (clockBehind) continue;
        for (const gone of expired(decide(status.copies, policy, { now: clock })))
          status = withoutCopy(status, gone.key);
        for (const [kept, key] of lastGood) {
          expect(latest(status, (one) => one.directory === kept && one.verified === undefined)?.key).toBe(key);
        }
      }
    }),
  );
});
