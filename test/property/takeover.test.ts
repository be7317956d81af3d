import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { catalogueOf } from "../../src/domain/binlog-catalogue.ts";
import { isLost, isReplayed } from "../../src/domain/binlog-join.ts";
import { expiredBinlogs } from "../../src/domain/binlog-retention.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { LogCutter, type LoggedTransaction } from "../../src/domain/log-cut.ts";
import { planRecovery, type RecoveryPlan, requireReach } from "../../src/domain/recovery-plan.ts";
import { gtidFilter, type RecoveryTarget } from "../../src/domain/recovery-target.ts";
import { type Entry, endOf, START, WORLD, type World } from "../support/takeover-world.ts";

function planFor(world: World, target: RecoveryTarget, logs = world.logs): RecoveryPlan {
  return planRecovery({
    copy: undefined,
    host: "db7",
    candidates: world.copies.map(({ copy }) => ({ copy, doubt: undefined })),
    catalogue: catalogueOf(logs.map(({ copy }) => copy)),
    target,
    excluded: gtidFilter([], world.flavour === "mariadb" ? "mariadb" : "oracle"),
    atGap: "refuse",
  });
}

/** The transactions a plan leads to, in the order in which a replay would apply them. */
function replayed(world: World, plan: RecoveryPlan): string[] {
  const { holds = [] } = world.copies.find(({ copy }) => copy.key === plan.base.copy.key) ?? {};
  const done = [...holds];
  requireReach(plan, plan.base.copy.gtid);
  for (const [index, copy] of plan.logs.entries()) {
    const { transactions } = world.logs.find((each) => each.copy.key === copy.key) ?? { transactions: [] };
    const cutter = new LogCutter({
      ...plan,
      name: copy.name,
      from: index === 0 && plan.start.kind === "position" ? plan.start.offset : 0,
      isExact: world.flavour === "mysql",
      isHeld: (gtid) => plan.start.kind === "gtid" && holds.includes(gtid),
      isLost: (gtid) => isLost(gtid, index, plan.joins),
      isReplayed: (gtid) => isReplayed(gtid, index, plan.joins),
    });
    for (const transaction of transactions) cutter.add(transaction);
    const { segments, stop } = cutter.finish(endOf(transactions));
    const isIn = ({ start, end }: LoggedTransaction) => segments.some(({ from, to }) => start >= from && end <= to);
    done.push(...transactions.filter(isIn).map(({ gtid = "" }) => gtid));
    if (stop !== undefined) break;
  }
  return done;
}

/** A plan's outcome; `undefined` when it was refused. */
function outcomeOf(
  world: World,
  target: RecoveryTarget,
): { readonly plan: RecoveryPlan; readonly done: string[] } | BackupError {
  try {
    const plan = planFor(world, target);
    return { plan, done: replayed(world, plan) };
  } catch (error) {
    if (error instanceof BackupError) return error;
    throw error;
  }
}

/** What the new primary had committed before a moment at which it had all of the old one's. */
function expected({ truth, flavour, settled }: World, at: number): string[] {
  const isLate = (entry: Entry) => entry.at >= settled && (flavour === "mysql" ? entry.at : entry.at + 999_999) >= at;
  const late = truth.findIndex(isLate);
  return truth.slice(0, late === -1 ? undefined : late).map(({ gtid }) => gtid);
}

describe("planRecovery() over a takeover", () => {
  test("leads to exactly what the new primary held at a moment, or refuses", () => {
    let [reached, joined, left] = [0, 0, 0];
    fc.assert(
      fc.property(WORLD, fc.nat(100_000_000), (world, offset) => {
        const end = (world.truth.at(-1)?.at ?? 0) + 1_000_000;
        const at = world.settled + 1_000_000 + (offset % Math.max(1, end - world.settled - 1_000_000));
        const outcome = outcomeOf(world, { kind: "time", at });
        if (outcome instanceof BackupError) {
          expect(outcome.code).toBe("NOT_FOUND");
          return;
        }
        const { plan, done } = outcome;
        reached += 1;
        joined += plan.joins.length;
        left += plan.joins.filter(({ lost }) => lost !== "").length;
        expect(new Set(done).size).toBe(done.length);
        expect(done.toSorted()).toEqual(expected(world, at).toSorted());
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(reached, joined, left)).toBeGreaterThan(100);
  });

  test("refuses no moment while all is archived and a copy is older than what was lost", () => {
    let checked = 0;
    fc.assert(
      fc.property(WORLD, (world) => {
        const last = world.logs.at(-1)?.copy.log?.lastAt.getTime() ?? 0;
        const isPossible =
          world.isWhole && world.copies.some(({ holds }) => holds.length > 0 && holds.length <= world.got);
        if (!isPossible || last * 1000 < world.settled) return;
        checked += 1;
        const outcome = outcomeOf(world, { kind: "time", at: last * 1000 });
        if (outcome instanceof BackupError) throw outcome;
        expect(outcome.plan.joins).toHaveLength(1);
      }),
      { numRuns: 3000 },
    );
    expect(checked).toBeGreaterThan(100);
  });

  test("leads to what the old primary had committed, where that was not lost, at a moment before", () => {
    let [reached, joined] = [0, 0];
    fc.assert(
      fc.property(WORLD, fc.nat(100_000_000), (world, offset) => {
        if (world.hasErrant) return;
        const at = START + (offset % (world.settled - START));
        const outcome = outcomeOf(world, { kind: "time", at });
        // A copy may be taken as it is at the very moment when it was complete.
        if (outcome instanceof BackupError || outcome.plan.logs.length === 0) return;
        const { plan, done } = outcome;
        const { holds = [] } = world.copies.find(({ copy }) => copy.key === plan.base.copy.key) ?? {};
        const unit = world.flavour === "mysql" ? 0 : 999_999;
        const late = world.times
          .slice(0, world.got)
          .findIndex(({ here, there }, index) => (index < world.archived ? here : there) + unit >= at);
        const count = Math.max(holds.length, late === -1 ? world.got : late);
        expect(done).toEqual(world.truth.slice(0, count).map(({ gtid }) => gtid));
        reached += 1;
        joined += plan.joins.length;
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(reached, joined)).toBeGreaterThan(50);
  });

  test("leads up to a transaction of the new primary, and to none that it never got", () => {
    let joined = 0;
    fc.assert(
      fc.property(WORLD, fc.nat(40), (world, pick) => {
        const wanted = world.truth[pick % world.truth.length]?.gtid ?? "";
        const outcome = outcomeOf(world, { kind: "gtid", gtid: wanted });
        if (!(outcome instanceof BackupError)) {
          joined += outcome.plan.joins.length;
          expect(outcome.done.at(-1)).toBe(wanted);
        }
        const lost = world.logs
          .flatMap(({ transactions }) => transactions)
          .find(({ gtid }) => !world.truth.some((each) => each.gtid === gtid));
        if (lost?.gtid === undefined) return;
        const refused = outcomeOf(world, { kind: "gtid", gtid: lost.gtid });
        if (!(refused instanceof BackupError)) expect(refused.plan.joins).toEqual([]);
      }),
      { numRuns: 2000 },
    );
    expect(joined).toBeGreaterThan(100);
  });

  test("lacks nothing after logs were expired that no copy needs", () => {
    let expired = 0;
    fc.assert(
      fc.property(WORLD, fc.nat(100_000_000), (world, offset) => {
        const at = world.settled + (offset % 20_000_000);
        const before = outcomeOf(world, { kind: "time", at });
        if (before instanceof BackupError) return;
        const catalogue = catalogueOf(world.logs.map(({ copy }) => copy));
        const retention = { copies: world.copies.map(({ copy }) => copy), days: 0, now: new Date(at / 1000 + 1) };
        const hosts = new Set(world.logs.map(({ copy }) => copy.host));
        const gone = new Set(
          [...hosts].flatMap((host) => expiredBinlogs(catalogue, { ...retention, host }).map(({ key }) => key)),
        );
        expired += gone.size;
        const after = outcomeOf(
          { ...world, logs: world.logs.filter(({ copy }) => !gone.has(copy.key)) },
          { kind: "time", at },
        );
        if (after instanceof BackupError) throw after;
        expect(after.done).toEqual(before.done);
      }),
      { numRuns: 1000 },
    );
    expect(expired).toBeGreaterThan(50);
  });
});
