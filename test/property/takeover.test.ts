import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BinlogFlavour, parseGtidState } from "../../src/domain/binlog.ts";
import { catalogueOf } from "../../src/domain/binlog-catalogue.ts";
import { isLost, isReplayed } from "../../src/domain/binlog-join.ts";
import { expiredBinlogs } from "../../src/domain/binlog-retention.ts";
import type { BinlogCopy, MysqlCopy } from "../../src/domain/copy.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { formatGtidPosition, parseGtidPosition } from "../../src/domain/gtid-position.ts";
import { formatGtidSet, GtidCollector, parseGtidSet, unionGtids } from "../../src/domain/gtid-set.ts";
import { toKey } from "../../src/domain/key.ts";
import { LogCutter, type LoggedTransaction } from "../../src/domain/log-cut.ts";
import { formatLogged } from "../../src/domain/logged.ts";
import { planRecovery, type RecoveryPlan, requireReach } from "../../src/domain/recovery-plan.ts";
import { gtidFilter, type RecoveryTarget } from "../../src/domain/recovery-target.ts";
import { type Takeover, withTakeover } from "../../src/domain/takeover.ts";
import { binlogCopy, fullCopy } from "../support/copies.ts";

const A = { id: 1, uuid: "aaaaaaaa-71ca-11e1-9e33-c80aa9429562" };
const B = { id: 2, uuid: "bbbbbbbb-71ca-11e1-9e33-c80aa9429562" };
const START = Date.UTC(2026, 10, 21, 2, 0, 0) * 1000;
const FIRST_OFFSET = 200;
const LENGTH = 100;

/** What one server logged: a transaction, and when it says it was committed. */
type Entry = { readonly gtid: string; readonly at: number };
type Log = { readonly copy: BinlogCopy; readonly transactions: readonly LoggedTransaction[] };
type World = {
  readonly flavour: BinlogFlavour;
  readonly copies: readonly { readonly copy: MysqlCopy; readonly holds: readonly string[] }[];
  readonly logs: readonly Log[];
  /** All that the new primary committed, in its order. */
  readonly truth: readonly Entry[];
  /** From when on the new primary had all that it ever got from the old one. */
  readonly settled: number;
  /** How many transactions of the old primary the new one got, and how many of these are in the old one's archive. */
  readonly got: number;
  readonly archived: number;
  /** When the old primary had committed each of its transactions, and the new one had, as their logs tell it. */
  readonly times: readonly { readonly here: number; readonly there: number }[];
  /** Whether all is archived from where the new primary's logs begin, and something of the old one leads there. */
  readonly isWhole: boolean;
  readonly hasErrant: boolean;
};

const DRAWN = fc.record({
  isMariadb: fc.boolean(),
  /** One archive for both servers, or one for each. */
  isShared: fc.boolean(),
  steps: fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 2, maxLength: 25 }),
  /** How many of these the new primary got, how many it holds before its first log, and how many logs of it were purged. */
  got: fc.nat(25),
  cloned: fc.nat(5),
  purged: fc.constantFrom(0, 0, 0, 1, 2),
  /** Which transactions of the old primary begin a new log, and in how many of these the archive ends early. */
  rotations: fc.uniqueArray(fc.nat(25), { maxLength: 6 }),
  unarchived: fc.constantFrom(0, 0, 1, 2),
  followed: fc.uniqueArray(fc.nat(25), { maxLength: 6 }),
  own: fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 12 }),
  ownRotations: fc.uniqueArray(fc.nat(12), { maxLength: 4 }),
  /** Before which of the old primary's transactions the new one wrote something by itself. */
  errant: fc.uniqueArray(fc.nat(25), { maxLength: 2 }),
  logsReplicated: fc.constantFrom(true, true, true, false),
  copies: fc.uniqueArray(fc.nat(25), { minLength: 1, maxLength: 4 }),
  knowsPlace: fc.boolean(),
});

type Drawn = typeof DRAWN extends fc.Arbitrary<infer T> ? T : never;
type Server = typeof A;

/** As the servers of a make spell things. */
class Spelling {
  readonly flavour: BinlogFlavour;

  constructor(flavour: BinlogFlavour) {
    this.flavour = flavour;
  }

  gtid(server: Server, number: number, domain = 0): string {
    return this.flavour === "mariadb" ? `${domain}-${server.id}-${number}` : `${server.uuid}:${number}`;
  }

  /** What a server has of these: a set, or the last ones. */
  state(gtids: readonly string[]): string {
    if (this.flavour === "mariadb") return formatGtidPosition(parseGtidPosition(gtids.join(",")));
    return formatGtidSet(unionGtids(...gtids.map(parseGtidSet)));
  }

  logged(gtids: readonly string[]): { logged?: string } {
    if (this.flavour !== "mariadb" || gtids.length === 0) return {};
    const all = new GtidCollector();
    for (const gtid of gtids) all.add(gtid.slice(0, gtid.lastIndexOf("-")), BigInt(gtid.split("-")[2] ?? 0));
    return { logged: formatLogged(all.set()) ?? "" };
  }
}

type Writing = {
  readonly server: Server;
  readonly host: string;
  readonly incarnation?: string;
  readonly began: number;
  /** Before which entries it went on to another log. */
  readonly rotations: readonly number[];
};

const second = (at: number) => new Date(Math.floor(at / 1_000_000) * 1000);

function logsOf(
  entries: readonly Entry[],
  spell: Spelling,
  { server, host, incarnation, began, rotations }: Writing,
): Log[] {
  const borders = [0, ...rotations.filter((each) => each > 0 && each < entries.length).sort((a, b) => a - b)];
  return [...new Set(borders)].map((from, index, all): Log => {
    const own = entries.slice(from, all[index + 1] ?? entries.length);
    const gtids = own.map(({ gtid }) => gtid);
    const transactions = own.map((entry, place) => {
      const start = FIRST_OFFSET + place * LENGTH;
      return { ...entry, start, end: start + LENGTH };
    });
    const createdAt = second(from === 0 ? began : (entries[from - 1]?.at ?? began));
    const end = FIRST_OFFSET + own.length * LENGTH;
    const lastAt = second(Math.max(...own.map(({ at }) => at), createdAt.getTime() * 1000));
    const { name } = binlogCopy(index + 1, createdAt);
    const copy = binlogCopy(index + 1, createdAt, {
      host,
      incarnation,
      key: toKey(`${host}/binlog/${incarnation === undefined ? "" : `${incarnation}/`}${name}.gz`),
      serverVersion: spell.flavour === "mariadb" ? "10.11.14-MariaDB" : "9.7.4",
      serverUuid: spell.flavour === "mariadb" ? undefined : server.uuid,
      rawBytes: end + 44,
      gtid: spell.state(gtids) || undefined,
      log: {
        flavour: spell.flavour,
        serverId: server.id,
        head: `${server.id}-${index}`,
        checksums: true,
        firstOffset: FIRST_OFFSET,
        endOffset: end,
        end: "rotated",
        inUse: false,
        transactions: own.length,
        lastAt,
        firstCommitAt: own[0] && second(own[0].at),
        lastCommitAt: own.at(-1) && lastAt,
        previousGtid: spell.state(entries.slice(0, from).map(({ gtid }) => gtid)),
        ...spell.logged(gtids),
      },
    });
    return { copy, transactions };
  });
}

function worldOf(drawn: Drawn): World {
  const flavour: BinlogFlavour = drawn.isMariadb ? "mariadb" : "mysql";
  const spell = new Spelling(flavour);
  const shown = (at: number) => (drawn.isMariadb ? at - (at % 1_000_000) : at);
  let now = START;
  const exact = drawn.steps.map((step) => (now += step));
  const old = exact.map((at, index): Entry => ({ gtid: spell.gtid(A, index + 1), at: shown(at) }));
  const got = drawn.got % (old.length + 1);
  const cloned = Math.min(drawn.cloned, got);
  const died = now;

  // MariaDB keeps the time of the old primary; MySQL tells when it was committed here.
  const followed: Entry[] = [];
  let errant = 0;
  for (const [index, entry] of old.slice(0, got).entries()) {
    const lagging = drawn.isMariadb ? entry.at : entry.at + 300_000;
    if (drawn.errant.includes(index) && index >= cloned) {
      followed.push({ gtid: spell.gtid(B, (errant += 1), 1), at: lagging - 1 });
    }
    followed.push({ ...entry, at: lagging });
  }
  now = Math.max(died, ...followed.map(({ at }) => at)) + 1_000_000;
  const settled = now;
  const written = drawn.own.map((step, index): Entry => {
    now += step;
    return { gtid: spell.gtid(B, drawn.isMariadb ? got + index + 1 : errant + index + 1), at: shown(now) };
  });
  const held = followed.slice(0, followed.findIndex(({ gtid }) => gtid === old[cloned - 1]?.gtid) + 1);
  const replicated = followed
    .slice(held.length)
    .filter(({ gtid }) => drawn.logsReplicated || !old.some((each) => each.gtid === gtid));
  const both = [...replicated, ...written];

  const [hostA, hostB] = drawn.isShared ? ["db7", "db7"] : ["db7", "db8"];
  const logsOfA = logsOf(old, spell, { server: A, host: hostA, began: START, rotations: drawn.rotations });
  const rotations = [
    ...drawn.followed.filter((each) => each < replicated.length),
    ...drawn.ownRotations.map((each) => replicated.length + each),
  ];
  const incarnation = drawn.isShared ? "i2" : undefined;
  const began = cloned === 0 ? START : (exact[cloned - 1] ?? START);
  const logsOfB = logsOf(both, spell, {
    server: B,
    host: hostB,
    began,
    rotations,
    ...(incarnation !== undefined && { incarnation }),
  });
  const archivedA = logsOfA.slice(0, Math.max(1, logsOfA.length - drawn.unarchived));
  const archivedB = logsOfB.slice(Math.min(drawn.purged, logsOfB.length - 1));

  const applied = [...old.slice(0, got), ...followed]
    .map(({ gtid }) => gtid)
    .filter((gtid) => flavour === "mysql" || gtid.startsWith("0-1-"));
  const gtid = spell.state(applied);
  const takeover: Takeover = {
    applied: parseGtidState(flavour, gtid),
    gtid,
    at: second(settled),
    by: "root@db8",
    to: { uuid: drawn.isMariadb ? undefined : B.uuid, serverId: B.id, host: hostB },
  };
  const ended = takenOver(archivedA, takeover);
  return {
    flavour,
    logs: [...ended, ...archivedB],
    truth: [...held, ...followed.slice(held.length), ...written],
    settled,
    got,
    archived: archivedA.reduce((sum, { transactions }) => sum + transactions.length, 0),
    times: old.map(({ at }, index) => ({
      here: at,
      there: followed.find(({ gtid }) => gtid === old[index]?.gtid)?.at ?? at,
    })),
    isWhole: drawn.purged === 0 && drawn.logsReplicated && got > cloned && drawn.unarchived === 0,
    hasErrant: errant > 0,
    copies: copiesOf(drawn, { spell, old, exact, logs: logsOfA, got }),
  };
}

function takenOver(logs: readonly Log[], takeover: Takeover): readonly Log[] {
  try {
    const copies = withTakeover(
      logs.map(({ copy }) => copy),
      takeover,
      "db7",
    );
    return logs.map((log, index) => ({ ...log, copy: copies[index] ?? log.copy }));
  } catch (error) {
    if (error instanceof BackupError) return logs;
    throw error;
  }
}

type Old = {
  readonly spell: Spelling;
  readonly old: readonly Entry[];
  readonly exact: readonly number[];
  readonly logs: readonly Log[];
  readonly got: number;
};

/** Copies of the old primary, the last ones perhaps with what the new one never got. */
function copiesOf(drawn: Drawn, { spell, old, exact, logs }: Old): World["copies"] {
  const counts = [...new Set(drawn.copies.filter((each) => each <= old.length))].sort((a, b) => a - b);
  const copies = counts.map((count) => {
    const holds = old.slice(0, count).map(({ gtid }) => gtid);
    const taken = new Date(Math.floor((exact[count - 1] ?? START) / 1000));
    const next = old[count]?.gtid;
    const log = logs.find(({ transactions }) => transactions.some(({ gtid }) => gtid === next)) ?? logs.at(-1);
    const place =
      log?.transactions.find(({ gtid }) => gtid === next)?.start ??
      FIRST_OFFSET + (log?.transactions.length ?? 0) * LENGTH;
    const copy = fullCopy(taken, {
      vendor: drawn.isMariadb ? "mariadb" : "oracle",
      serverUuid: drawn.isMariadb ? undefined : A.uuid,
      finishedAt: new Date(taken.getTime() + 1),
      gtid: spell.state(holds) || undefined,
      binlog: drawn.knowsPlace && log !== undefined ? { file: log.copy.name, offset: place } : undefined,
    });
    return { holds, copy };
  });
  return copies.filter(({ copy }, index) => copies.findIndex((each) => each.copy.key === copy.key) === index);
}

const WORLD = DRAWN.map(worldOf).filter(({ copies }) => copies.length > 0);

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
    const { segments, stop } = cutter.finish(FIRST_OFFSET + transactions.length * LENGTH);
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
      { numRuns: 3000 },
    );
    expect(Math.min(reached, joined, left)).toBeGreaterThan(200);
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
      { numRuns: 4000 },
    );
    expect(checked).toBeGreaterThan(200);
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
      { numRuns: 3000 },
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
    expect(joined).toBeGreaterThan(200);
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
