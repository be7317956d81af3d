import * as fc from "fast-check";
import { expect, test } from "vitest";
import { catalogueOf } from "../../src/domain/binlog-catalogue.ts";
import { expiredBinlogs } from "../../src/domain/binlog-retention.ts";
import type { BinlogCopy, MysqlCopy } from "../../src/domain/copy.ts";
import { recoverableWindow } from "../../src/domain/recoverable-window.ts";
import { decide, expired } from "../../src/domain/retention.ts";
import { binlogCopy, fullCopy, increment } from "../support/copies.ts";

const HOUR_MS = 3_600_000;
const DAYS = 60;

type World = {
  readonly flavour: "mysql" | "mariadb";
  readonly days: number;
  readonly daily: number;
  readonly weekly: number;
  /** Hours between two logs. */
  readonly step: number;
  /** On which days the server is reset, or no copy is taken, or logs are lost before they are archived. */
  readonly resets: ReadonlySet<number>;
  readonly idle: ReadonlySet<number>;
  readonly lossy: ReadonlySet<number>;
};

const dayset = fc.uniqueArray(fc.integer({ min: 0, max: DAYS - 1 }), { maxLength: 4 }).map((days) => new Set(days));

const worlds: fc.Arbitrary<World> = fc.record({
  flavour: fc.constantFrom("mysql" as const, "mariadb" as const),
  days: fc.integer({ min: 0, max: 12 }),
  daily: fc.integer({ min: 1, max: 6 }),
  weekly: fc.integer({ min: 1, max: 4 }),
  step: fc.constantFrom(5, 6, 12),
  resets: dayset,
  idle: dayset,
  lossy: dayset,
});

/** What really happened, besides what the archive knows of it. */
type Truth = { readonly life: number; readonly number: number };

class Server {
  readonly world: World;
  life = 0;
  number = 1;
  transactions = 0;
  begunAt: Date;

  constructor(world: World, begunAt: Date) {
    this.world = world;
    this.begunAt = begunAt;
  }

  gtid(from = 1): string {
    if (this.transactions < from) return "";
    const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    return this.world.flavour === "mysql" ? `${uuid}:${from}-${this.transactions}` : `0-1-${this.transactions}`;
  }

  /** Write for some hours, and go on to the next log. */
  close(now: Date): BinlogCopy {
    const [previousGtid, first] = [this.gtid(), this.transactions + 1];
    this.transactions += 7;
    const incarnation = this.life === 0 ? undefined : `life-${this.life}`;
    const copy = binlogCopy(this.number, this.begunAt, {
      incarnation,
      rawBytes: 1000,
      gtid: this.gtid(first),
      log: {
        flavour: this.world.flavour,
        serverId: 1,
        head: `${this.life}-${this.number}`,
        checksums: true,
        firstOffset: 200,
        endOffset: 956,
        end: "rotated",
        inUse: false,
        transactions: 7,
        lastAt: now,
        firstCommitAt: undefined,
        lastCommitAt: undefined,
        previousGtid,
      },
    });
    this.number += 1;
    this.begunAt = now;
    return { ...copy, key: `${copy.key}-${incarnation ?? ""}` as BinlogCopy["key"] };
  }

  reset(now: Date): void {
    this.life += 1;
    this.number = 1;
    this.transactions = 0;
    this.begunAt = now;
  }
}

function simulate(world: World, look: (seen: Seen) => void): void {
  const start = new Date(2026, 4, 1).getTime();
  const server = new Server(world, new Date(start));
  let archive: BinlogCopy[] = [];
  let copies: MysqlCopy[] = [];
  const ever: BinlogCopy[] = [];
  const truth = new Map<string, Truth>();
  for (let hour = world.step; hour <= DAYS * 24; hour += world.step) {
    const now = new Date(start + hour * HOUR_MS);
    const day = Math.floor(hour / 24);
    const taken = takeCopy(server, new Date(now.getTime() - HOUR_MS), { day, isFirst: hour % 24 < world.step, copies });
    if (taken !== undefined) {
      copies.push(taken);
      truth.set(taken.key, { life: server.life, number: server.number });
    }
    const log = server.close(now);
    if (!world.lossy.has(day)) {
      archive.push(log);
      ever.push(log);
    }
    if (world.resets.has(day) && hour % 24 < world.step) server.reset(now);
    const policy = { hourly: 2, daily: world.daily, weekly: world.weekly, monthly: 1, yearly: 1 };
    const goners = new Set(expired(decide(copies, policy)).map(({ key }) => key));
    copies = copies.filter(({ key }) => !goners.has(key));
    const going = new Set(
      expiredBinlogs(catalogueOf(archive), { host: "db7", copies, days: world.days, now }).map(({ key }) => key),
    );
    archive = archive.filter(({ key }) => !going.has(key));
    look({ world, now, archive, copies, ever, truth });
  }
}

type Seen = {
  readonly world: World;
  readonly now: Date;
  readonly archive: readonly BinlogCopy[];
  readonly copies: readonly MysqlCopy[];
  readonly ever: readonly BinlogCopy[];
  readonly truth: ReadonlyMap<string, Truth>;
};

type Taking = { readonly day: number; readonly isFirst: boolean; readonly copies: readonly MysqlCopy[] };

/** A full copy in the first hours of a day, increments later on. */
function takeCopy(server: Server, at: Date, { day, isFirst, copies }: Taking): MysqlCopy | undefined {
  if (server.world.idle.has(day)) return undefined;
  const facts = {
    vendor: server.world.flavour === "mysql" ? ("oracle" as const) : ("mariadb" as const),
    finishedAt: new Date(at.getTime() + 60_000),
    binlog: { file: `mysql-bin.${String(server.number).padStart(6, "0")}`, offset: 500 },
    gtid: server.gtid() || undefined,
  };
  const parent = copies.findLast(({ kind }) => kind === "full");
  if (!isFirst) return parent && increment(at, parent.key, { ...facts, interval: "hourly" });
  return fullCopy(at, { ...facts, interval: day % 7 === 0 ? "weekly" : "daily" });
}

function lifeOf({ incarnation }: BinlogCopy): number {
  return incarnation === undefined ? 0 : Number(incarnation.slice("life-".length));
}

function isNeeded(log: BinlogCopy, { copies, truth }: Seen): boolean {
  return copies.some(({ key }) => {
    const end = truth.get(key);
    return end?.life === lifeOf(log) && Number(log.name.slice(-6)) >= end.number;
  });
}

test("in 60 days no kept copy loses a log that it needs", () => {
  fc.assert(
    fc.property(worlds, (world) => {
      simulate(world, (seen) => {
        const kept = new Set(seen.archive.map(({ key }) => key));
        const lost = seen.ever.filter((log) => isNeeded(log, seen) && !kept.has(log.key));
        expect(lost.map(({ key }) => key)).toEqual([]);
      });
    }),
    { numRuns: 25 },
  );
});

test("in 60 days no log stays that nothing needs", () => {
  fc.assert(
    // Where a log that a copy needs first of all is lost, all that were written since are kept in doubt.
    fc.property(worlds, (given) => {
      simulate({ ...given, lossy: new Set() }, (seen) => {
        const oldest = seen.now.getTime() - seen.world.days * 24 * HOUR_MS;
        const needless = seen.archive.filter((log) => log.createdAt.getTime() < oldest && !isNeeded(log, seen));
        const newest = seen.archive.at(-1)?.key;
        expect(needless.map(({ key }) => key).filter((key) => key !== newest)).toEqual([]);
      });
    }),
    { numRuns: 25 },
  );
});

test("in 60 days every copy reaches exactly as far as its timeline is whole", () => {
  fc.assert(
    fc.property(worlds, (world) => {
      simulate(world, (seen) => {
        const catalogue = catalogueOf(seen.archive);
        for (const copy of seen.copies) {
          const end = seen.truth.get(copy.key);
          const window = recoverableWindow(copy, catalogue);
          const own = seen.ever.filter((log) => lifeOf(log) === end?.life);
          const numbers = new Set(own.map(({ name }) => Number(name.slice(-6))));
          let whole = 0;
          while (numbers.has((end?.number ?? 0) + whole)) whole++;
          expect(window?.logs.length).toBe(whole);
          expect(window?.logs.every((log) => lifeOf(log) === end?.life)).toBe(true);
        }
      });
    }),
    { numRuns: 10 },
  );
});
