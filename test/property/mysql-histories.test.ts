import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { MysqlCopy } from "../../src/domain/copy.ts";
import type { Interval } from "../../src/domain/interval.ts";
import type { Key } from "../../src/domain/key.ts";
import { ancestorsOf, type RetentionPolicy } from "../../src/domain/retention.ts";
import { withVerification } from "../../src/domain/status.ts";
import { recordFindings } from "../../src/job/record-findings.ts";
import { MysqlWorld, type StoreFault, type ToolFault } from "../support/mysql-world.ts";

const { signal } = new AbortController();

/** What happens before a run, and what befalls it. */
type Step = {
  readonly interval: Interval;
  readonly hours: number;
  readonly tool: ToolFault;
  readonly fault: StoreFault | undefined;
  /** What hits one of the copies, or the status, or the server. */
  readonly blow: "vanish" | "broken" | "torn" | "replaced" | undefined;
  readonly victim: number;
};

type Settings = {
  /** Used in turn: a policy may change at any time. */
  readonly policies: readonly RetentionPolicy[];
  readonly fullBackup: Interval;
  readonly incrementalFrom: "full" | "last";
};

/** Copies that something was done to from outside, which no backup is to blame for. */
type Injuries = Set<Key>;

const USUAL: RetentionPolicy = { hourly: 12, daily: 5, weekly: 3, monthly: 2, yearly: 1 };

const rarely = <T>(value: fc.Arbitrary<T>, weight = 1) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight, arbitrary: value });

const steps: fc.Arbitrary<Step> = fc.record({
  interval: fc.constantFrom("hourly", "hourly", "hourly", "daily", "weekly"),
  hours: fc.constantFrom(1, 1, 1, 5, 24, 0, -1, -30),
  tool: rarely(fc.constantFrom("open", "content")),
  fault: rarely(fc.record({ change: fc.nat(14), isFatal: fc.boolean() }), 2),
  blow: rarely(fc.constantFrom("vanish", "broken", "torn", "replaced"), 2),
  victim: fc.nat(20),
});

const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  hourly: fc.nat(3),
  daily: fc.nat(2),
  weekly: fc.nat(1),
  monthly: fc.constant(1),
  yearly: fc.constant(0),
});

const settings: fc.Arbitrary<Settings> = fc.record({
  policies: fc.array(policy, { minLength: 1, maxLength: 3 }),
  fullBackup: fc.constantFrom("daily", "weekly"),
  incrementalFrom: fc.constantFrom("full", "last"),
});

async function strike(world: MysqlWorld, { blow, victim }: Step, injuries: Injuries): Promise<void> {
  if (blow === undefined) return;
  const copies = await world.copies();
  const copy = copies[victim % Math.max(1, copies.length)];
  if (blow === "torn") await world.tearStatus();
  if (blow === "replaced") world.server = { ...world.server, datadirId: `64:2:${victim}` };
  if (copy === undefined || (blow !== "vanish" && blow !== "broken")) return;
  injuries.add(copy.key);
  if (blow === "vanish") await world.destination.remove(copy.key, { signal });
  const verified = { at: world.now, ok: false, level: "boot" };
  if (blow === "broken")
    await recordFindings(world.shelf, {
      keys: [copy.key],
      change: (now) => withVerification(now, copy.key, verified),
      signal,
    });
}

/** What a restore of a copy needs: itself and its ancestors, whose streams follow each other without a gap. */
async function expectRestorable(world: MysqlWorld, copy: MysqlCopy, ancestors: readonly MysqlCopy[]): Promise<void> {
  const chain = [...ancestors.toReversed(), copy];
  let place = "0";
  for (const { key } of chain) {
    const delta = await world.delta(key);
    expect(delta, `${key}, needed by ${copy.key}`).toBeDefined();
    expect(delta?.from).toBe(place);
    place = delta?.to ?? "";
  }
}

/** The nearest copy that `copy` needs and nobody knows any more. */
function lostAncestor(copy: MysqlCopy, byKey: ReadonlyMap<Key, MysqlCopy>): Key {
  if (copy.kind === "full") throw new Error(`${copy.key} needs no other copy`);
  const parent = byKey.get(copy.parent);
  return parent === undefined ? copy.parent : lostAncestor(parent, byKey);
}

async function expectLaws(world: MysqlWorld, injuries: Injuries): Promise<void> {
  const copies = await world.copies();
  const byKey = new Map(copies.map((copy) => [copy.key, copy]));
  for (const copy of copies) {
    const ancestors = ancestorsOf(copy, byKey);
    if (ancestors === undefined) {
      // Only a copy whose object was taken away may be forgotten before those that need it.
      const lost = lostAncestor(copy, byKey);
      expect(injuries.has(lost), `${lost}, needed by ${copy.key}, is not listed`).toBe(true);
    } else if (![copy, ...ancestors].some(({ key }) => injuries.has(key))) {
      await expectRestorable(world, copy, ancestors);
    }
  }
}

type Run = Omit<Settings, "policies"> & { readonly retention: RetentionPolicy; readonly injuries: Injuries };

/** One run of a history, and what it must have done. */
async function live(world: MysqlWorld, step: Step, { injuries, ...options }: Run): Promise<void> {
  world.pass(step.hours);
  await strike(world, step, injuries);
  const before = await world.copies();
  const went = await world.runThrough(step.fault, step.interval, { ...options, fault: step.tool });

  const after = await world.copies();
  // Not what an earlier run had stored, and this one took up.
  const added = after.filter(({ toLsn }) => toLsn === world.lsn);
  if (went) expect(added).toHaveLength(1);
  if (step.tool !== undefined) expect(went).toBe(false);
  for (const copy of added) expectSoundParent(copy, after, injuries);
  if (step.blow !== "torn" || before.length === 0) return;
  expect(went).toBe(false);
  for (const { kind } of added) expect(kind).toBe("full");
  const objects = new Set(await world.objects());
  for (const { key } of before) expect(objects.has(key) || injuries.has(key), `${key} is there`).toBe(true);
}

/** A new increment stands on what was sound, and comes from the server as it is. */
function expectSoundParent(copy: MysqlCopy, copies: readonly MysqlCopy[], injuries: Injuries): void {
  if (copy.kind === "full") return;
  const byKey = new Map(copies.map((each) => [each.key, each]));
  const ancestors = ancestorsOf(copy, byKey) ?? [];
  expect(ancestors.length).toBeGreaterThan(0);
  for (const { key } of ancestors) expect(injuries.has(key), `${copy.key} was taken on ${key}`).toBe(false);
  expect(ancestors[0]).toMatchObject({ datadirId: copy.datadirId, toLsn: copy.fromLsn });
}

test("backupMysql() keeps every listed copy restorable, through any history of runs and faults", async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(steps, { minLength: 2, maxLength: 9 }), async (chosen, history) => {
      const { policies, ...options } = chosen;
      const world = new MysqlWorld();
      const injuries: Injuries = new Set();
      for (const [index, step] of history.entries()) {
        const retention = policies[index % policies.length] ?? USUAL;
        await live(world, step, { ...options, retention, injuries });
        await expectLaws(world, injuries);
      }
    }),
    { numRuns: 1000 },
  );
}, 60_000);

/** The run types that cron starts in one hour, the longest last. */
function runsOf(hour: number): Interval[] {
  const at = new Date(2026, 4, 1, hour);
  if (at.getHours() !== 0) return ["hourly"];
  const runs: Interval[] = ["hourly", "daily"];
  if (at.getDay() === 0) runs.push("weekly");
  if (at.getDate() === 1) runs.push("monthly");
  return runs;
}

test.each(["full", "last"] as const)(
  "backupMysql() lives through 40 days of cron, on increments from the %s copy",
  async (incrementalFrom) => {
    const world = new MysqlWorld();
    const injuries: Injuries = new Set();
    const [faults] = fc.sample(fc.array(rarely(steps, 1), { minLength: 1100, maxLength: 1100 }), 1);
    const taken = new Set<Key>();
    let runs = 0;
    for (let hour = 0; hour < 40 * 24; hour++) {
      for (const [minute, interval] of runsOf(hour).entries()) {
        const step = faults?.[runs++];
        const calm = { tool: undefined, fault: undefined, blow: undefined, victim: 0 };
        await live(
          world,
          { ...calm, ...step, interval, hours: minute === 0 ? 1 : 0 },
          { fullBackup: "daily", incrementalFrom, retention: USUAL, injuries },
        );
      }
      if (hour % 8 !== 7) continue;
      await expectLaws(world, injuries);
      for (const { interval, key } of await world.copies()) if (interval === "daily") taken.add(key);
    }
    expect(runs).toBeGreaterThan(1000);
    const kept = new Set((await world.copies()).map(({ key }) => key));
    expect(taken.size).toBeGreaterThan(20);
    const newest = [...taken].sort().slice(-5);
    expect(newest.filter((key) => !kept.has(key) && !injuries.has(key))).toEqual([]);
  },
  60_000,
);
