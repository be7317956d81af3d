import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BinlogFlavour } from "../../src/domain/binlog.ts";
import { catalogueOf } from "../../src/domain/binlog-catalogue.ts";
import type { BinlogCopy, MysqlCopy } from "../../src/domain/copy.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { LogCutter, type LoggedTransaction } from "../../src/domain/log-cut.ts";
import { planRecovery, type RecoveryPlan, requireReach } from "../../src/domain/recovery-plan.ts";
import { gtidFilter, type RecoveryTarget } from "../../src/domain/recovery-target.ts";
import { binlogCopy, fullCopy } from "../support/copies.ts";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const START = Date.UTC(2026, 10, 21, 2, 0, 0) * 1000;
const FIRST_OFFSET = 200;
const LENGTH = 100;

type Log = { readonly copy: BinlogCopy; readonly transactions: readonly LoggedTransaction[]; readonly end: number };

const NO_LOG = { transactions: [], end: 0 };

/** A server's history, copies of it, and what of its logs is archived. */
type World = {
  readonly flavour: BinlogFlavour;
  /** Microseconds of each commit, as the logs tell it; transaction n has the GTID n + 1. */
  readonly times: readonly number[];
  /** How many transactions each copy holds, oldest first. */
  readonly copies: readonly { readonly copy: MysqlCopy; readonly holds: number }[];
  readonly logs: readonly Log[];
  readonly lost: ReadonlySet<string>;
};

const DRAWN = fc.record({
  isMariadb: fc.boolean(),
  steps: fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 30 }),
  rotations: fc.uniqueArray(fc.nat(30), { maxLength: 6 }),
  copies: fc.uniqueArray(fc.nat(30), { minLength: 1, maxLength: 4 }),
  knowsPlace: fc.boolean(),
  lost: fc.option(fc.nat(6), { nil: undefined, freq: 3 }),
});

function gtidOf(flavour: BinlogFlavour, number: number): string {
  return flavour === "mariadb" ? `0-1-${number}` : `${UUID}:${number}`;
}

function setOf(flavour: BinlogFlavour, count: number): string {
  if (count === 0) return "";
  return flavour === "mariadb" ? gtidOf(flavour, count) : `${UUID}:1-${count}`;
}

function worldOf(drawn: typeof DRAWN extends fc.Arbitrary<infer T> ? T : never): World {
  const flavour: BinlogFlavour = drawn.isMariadb ? "mariadb" : "mysql";
  let now = START;
  const exact = drawn.steps.map((step) => (now += step));
  const times = exact.map((at) => (drawn.isMariadb ? at - (at % 1_000_000) : at));
  const borders = [0, ...drawn.rotations.filter((each) => each < times.length && each > 0).sort((a, b) => a - b)];
  const serverVersion = drawn.isMariadb ? "10.11.14-MariaDB" : "9.7.4";
  const logs = [...new Set(borders)].map((from, index, all): Log => {
    const to = all[index + 1] ?? times.length;
    const transactions = times.slice(from, to).map((at, place) => {
      const start = FIRST_OFFSET + place * LENGTH;
      return { start, end: start + LENGTH, gtid: gtidOf(flavour, from + place + 1), at };
    });
    const began = from === 0 ? START : (exact[from - 1] ?? START);
    const end = FIRST_OFFSET + transactions.length * LENGTH;
    const wholeSecond = (at: number) => new Date(Math.floor(at / 1_000_000) * 1000);
    const lastAt = wholeSecond(exact[to - 1] ?? began);
    const millisecond = (at: number) => new Date(Math.floor(at / 1000));
    return {
      transactions,
      end,
      copy: binlogCopy(index + 1, wholeSecond(began), {
        serverVersion,
        rawBytes: end + 44,
        gtid: flavour === "mariadb" ? gtidOf(flavour, to) : `${UUID}:${from + 1}-${to}`,
        log: {
          flavour,
          serverId: 1,
          head: String(index),
          checksums: true,
          firstOffset: FIRST_OFFSET,
          endOffset: end,
          end: "rotated",
          inUse: false,
          transactions: transactions.length,
          lastAt,
          firstCommitAt: millisecond(times[from] ?? began),
          lastCommitAt: millisecond(times[to - 1] ?? began),
          previousGtid: setOf(flavour, from),
        },
      }),
    };
  });
  const copies = [...new Set(drawn.copies.filter((each) => each <= times.length))].sort((a, b) => a - b);
  return {
    flavour,
    times,
    logs,
    lost: new Set(drawn.lost === undefined ? [] : [logs[drawn.lost]?.copy.key ?? ""]),
    copies: withoutTwins(
      copies.map((holds) => {
        const taken = new Date(Math.floor((exact[holds - 1] ?? START) / 1000));
        const log = logs.findLast(({ transactions: [first] }) => numberOf(first?.gtid) <= holds + 1);
        const offset = FIRST_OFFSET + (holds + 1 - numberOf(log?.transactions[0]?.gtid)) * LENGTH;
        const copy = fullCopy(taken, {
          vendor: drawn.isMariadb ? "mariadb" : "oracle",
          finishedAt: new Date(taken.getTime() + 1),
          serverVersion,
          gtid: setOf(flavour, holds) || undefined,
          binlog: drawn.knowsPlace && log !== undefined ? { file: log.copy.name, offset } : undefined,
        });
        return { holds, copy };
      }),
    ),
  };
}

function numberOf(gtid = ""): number {
  return Number(/\d+$/.exec(gtid)?.[0]);
}

/** Names of copies differ by the second. */
function withoutTwins(copies: World["copies"]): World["copies"] {
  return copies.filter(({ copy }, index) => copies.findIndex((each) => each.copy.key === copy.key) === index);
}

const WORLD = DRAWN.map(worldOf).filter(({ copies }) => copies.length > 0);

function planFor(world: World, target: RecoveryTarget, exclude: readonly string[] = []): RecoveryPlan {
  const archived = world.logs.map(({ copy }) => copy).filter(({ key }) => !world.lost.has(key));
  return planRecovery({
    copy: undefined,
    host: "db7",
    candidates: world.copies.map(({ copy }) => ({ copy, doubt: undefined })),
    catalogue: catalogueOf(archived),
    target,
    excluded: gtidFilter(exclude, world.flavour === "mariadb" ? "mariadb" : "oracle"),
    atGap: "refuse",
  });
}

/** The numbers of the transactions a plan leads to, as a replay would apply them. */
function replayed(world: World, plan: RecoveryPlan): number[] {
  const held = world.copies.find(({ copy }) => copy.key === plan.base.copy.key)?.holds ?? 0;
  const numbers = Array.from({ length: held }, (_, index) => index + 1);
  requireReach(plan, setOf(world.flavour, held));
  for (const [index, copy] of plan.logs.entries()) {
    const { transactions, ...log } = world.logs.find((each) => each.copy.key === copy.key) ?? NO_LOG;
    const from = index === 0 && plan.start.kind === "position" ? plan.start.offset : 0;
    const cutter = new LogCutter({
      ...plan,
      name: copy.name,
      from,
      isExact: world.flavour === "mysql",
      isHeld: (gtid: string) => plan.start.kind === "gtid" && numberOf(gtid) <= held,
    });
    for (const transaction of transactions) cutter.add(transaction);
    const { segments, stop } = cutter.finish(log.end);
    const isIn = ({ start, end }: LoggedTransaction) => segments.some(({ from, to }) => start >= from && end <= to);
    numbers.push(...transactions.filter(isIn).map(({ gtid }) => numberOf(gtid)));
    if (stop !== undefined) break;
  }
  return numbers;
}

/** The numbers that should be there: all that the copy holds, which was complete before, and all before the first one that may be late. */
function expected({ times, flavour, copies }: World, at: number): number[] {
  const late = times.findIndex((time) => (flavour === "mysql" ? time : time + 999_999) >= at);
  const held = copies.findLast(({ copy }) => (copy.finishedAt?.getTime() ?? 0) * 1000 <= at)?.holds ?? 0;
  return Array.from({ length: Math.max(held, late === -1 ? times.length : late) }, (_, index) => index + 1);
}

function refusal(work: () => unknown): BackupError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof BackupError) return error;
    throw error;
  }
}

/** Without a gap only what lies before all copies, or behind all logs, may be refused. */
function isCovered({ times, copies, lost }: World, at: number): boolean {
  const last = times.at(-1) ?? 0;
  const lastAt = last - (last % 1000);
  const firstAt = (copies[0]?.copy.finishedAt?.getTime() ?? 0) * 1000;
  return lost.size === 0 && at >= firstAt && at <= lastAt && copies.every(({ copy }) => isPlaced(copy));
}

describe("planRecovery()", () => {
  test("leads to exactly what was committed before a moment, or refuses", () => {
    let reached = 0;
    fc.assert(
      fc.property(WORLD, fc.nat(100_000_000), (world, offset) => {
        const end = world.times.at(-1) ?? START;
        const at = START + (offset % (end - START + 2_000_000));
        const target: RecoveryTarget = { kind: "time", at };
        let numbers: number[] = [];
        const refused = refusal(() => {
          numbers = replayed(world, planFor(world, target));
        });
        if (refused === undefined) {
          reached += 1;
          expect(numbers).toEqual(expected(world, at));
          return;
        }
        expect(refused.code).toBe("NOT_FOUND");
        if (isCovered(world, at)) throw refused;
      }),
      { numRuns: 2000 },
    );
    expect(reached).toBeGreaterThan(200);
  });

  test("stops behind the GTID that was named, and leaves out those that were", () => {
    fc.assert(
      fc.property(WORLD, fc.nat(30), fc.nat(30), (world, pick, other) => {
        const number = (pick % world.times.length) + 1;
        const excluded = (other % number) + 1;
        const target: RecoveryTarget = { kind: "gtid", gtid: gtidOf(world.flavour, number) };
        let numbers: number[] = [];
        const refused = refusal(() => {
          numbers = replayed(world, planFor(world, target, [gtidOf(world.flavour, excluded)]));
        });
        const wanted = Array.from({ length: number }, (_, index) => index + 1).filter((each) => each !== excluded);
        if (refused === undefined) expect(numbers).toEqual(wanted);
        else if (world.lost.size === 0 && world.copies.some(({ holds, copy }) => holds < excluded && isPlaced(copy)))
          throw refused;
      }),
      { numRuns: 1000 },
    );
  });

  test("stops at the place that was named", () => {
    fc.assert(
      fc.property(WORLD, fc.nat(30), (world, pick) => {
        const log = world.logs[pick % world.logs.length];
        const transaction = log?.transactions[pick % log.transactions.length];
        if (log === undefined || transaction === undefined) return;
        const target: RecoveryTarget = { kind: "position", file: log.copy.name, offset: transaction.start };
        let numbers: number[] = [];
        const refused = refusal(() => {
          numbers = replayed(world, planFor(world, target));
        });
        const before = numberOf(transaction.gtid) - 1;
        if (refused === undefined) expect(numbers).toEqual(Array.from({ length: before }, (_, index) => index + 1));
        else if (
          world.lost.size === 0 &&
          world.copies.some(({ holds, copy }) => holds <= before && copy.binlog !== undefined)
        )
          throw refused;
      }),
      { numRuns: 1000 },
    );
  });
});

function isPlaced({ binlog, gtid }: MysqlCopy): boolean {
  return binlog !== undefined || gtid !== undefined;
}
