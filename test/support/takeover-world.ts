import * as fc from "fast-check";
import { type BinlogFlavour, parseGtidState } from "../../src/domain/binlog.ts";
import type { BinlogCopy, MysqlCopy } from "../../src/domain/copy.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { formatGtidPosition, parseGtidPosition } from "../../src/domain/gtid-position.ts";
import { formatGtidSet, GtidCollector, parseGtidSet, unionGtids } from "../../src/domain/gtid-set.ts";
import { toKey } from "../../src/domain/key.ts";
import type { LoggedTransaction } from "../../src/domain/log-cut.ts";
import { formatLogged } from "../../src/domain/logged.ts";
import { type Takeover, withTakeover } from "../../src/domain/takeover.ts";
import { binlogCopy, fullCopy } from "./copies.ts";

const A = { id: 1, uuid: "aaaaaaaa-71ca-11e1-9e33-c80aa9429562" };
const B = { id: 2, uuid: "bbbbbbbb-71ca-11e1-9e33-c80aa9429562" };
export const START = Date.UTC(2026, 10, 21, 2, 0, 0) * 1000;
const FIRST_OFFSET = 200;
const LENGTH = 100;

/** What one server logged: a transaction, and when it says it was committed. */
export type Entry = { readonly gtid: string; readonly at: number };
type Log = { readonly copy: BinlogCopy; readonly transactions: readonly LoggedTransaction[] };
export type World = {
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
  /** Of MariaDB: in a domain of its own, or in the one of the old primary, with a number that this one gives again. */
  errantDomain: fc.constantFrom(0, 1),
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

  /** A moment as the logs tell it: those of MariaDB to the second. */
  shown(at: number): number {
    return this.flavour === "mariadb" ? at - (at % 1_000_000) : at;
  }

  /** What a server has of these: a set, or the last ones. */
  state(gtids: readonly string[]): string {
    if (this.flavour === "mariadb") return formatGtidPosition(parseGtidPosition(gtids.join(",")));
    return formatGtidSet(unionGtids(...gtids.map(parseGtidSet)));
  }

  loggedBefore(gtids: readonly string[]): { previousLogged?: string } {
    if (this.flavour !== "mariadb") return {};
    const last = new Map(gtids.map((gtid) => [gtid.slice(0, gtid.lastIndexOf("-")), BigInt(gtid.split("-")[2] ?? 0)]));
    return {
      previousLogged: formatLogged(new Map([...last].map(([source, to]) => [source, [{ from: to, to }]]))) ?? "",
    };
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
  readonly incarnation: string | undefined;
  readonly began: number;
  /** Before which entries it went on to another log. */
  readonly rotations: readonly number[];
};

const second = (at: number) => new Date(Math.floor(at / 1_000_000) * 1000);
const gtidsOf = (entries: readonly Entry[]) => entries.map(({ gtid }) => gtid);

/** Where a log of so many transactions ends. */
export function endOf(transactions: readonly unknown[]): number {
  return FIRST_OFFSET + transactions.length * LENGTH;
}

/** What a server wrote, as its logs. */
function logsOf(entries: readonly Entry[], spell: Spelling, writing: Writing): Log[] {
  const borders = [0, ...writing.rotations.filter((each) => each > 0 && each < entries.length).sort((a, b) => a - b)];
  return [...new Set(borders)].map((from, index, all) => {
    const parts = { before: entries.slice(0, from), own: entries.slice(from, all[index + 1]), number: index + 1 };
    return logOf(parts, spell, writing);
  });
}

type Parts = { readonly before: readonly Entry[]; readonly own: readonly Entry[]; readonly number: number };

function logOf({ before, own, number }: Parts, spell: Spelling, { server, host, incarnation, began }: Writing): Log {
  const transactions = own.map((entry, place) => {
    const start = FIRST_OFFSET + place * LENGTH;
    return { ...entry, start, end: start + LENGTH };
  });
  const [created] = [before.at(-1) ?? { at: began }];
  const lastAt = second(Math.max(created.at, ...own.map(({ at }) => at)));
  const { name } = binlogCopy(number, lastAt);
  const isMariadb = spell.flavour === "mariadb";
  const copy = binlogCopy(number, second(created.at), {
    host,
    incarnation,
    key: toKey([host, "binlog", ...(incarnation === undefined ? [] : [incarnation]), `${name}.gz`].join("/")),
    serverVersion: isMariadb ? "10.11.14-MariaDB" : "9.7.4",
    serverUuid: isMariadb ? undefined : server.uuid,
    rawBytes: endOf(own) + 44,
    gtid: spell.state(gtidsOf(own)) || undefined,
    log: {
      flavour: spell.flavour,
      serverId: server.id,
      head: `${server.id}-${number}`,
      checksums: true,
      firstOffset: FIRST_OFFSET,
      endOffset: endOf(own),
      end: "rotated",
      inUse: false,
      transactions: own.length,
      lastAt,
      firstCommitAt: own[0] && second(own[0].at),
      lastCommitAt: own[0] && lastAt,
      previousGtid: spell.state(gtidsOf(before)),
      ...spell.logged(gtidsOf(own)),
      ...spell.loggedBefore(gtidsOf(before)),
    },
  });
  return { copy, transactions };
}

/** The old primary's life, of which the new one got the beginning. */
type Past = {
  readonly spell: Spelling;
  readonly old: readonly Entry[];
  /** Microseconds of each, whatever the logs tell. */
  readonly exact: readonly number[];
  readonly got: number;
  readonly cloned: number;
};

function pastOf(drawn: Drawn): Past {
  const spell = new Spelling(drawn.isMariadb ? "mariadb" : "mysql");
  let now = START;
  const exact = drawn.steps.map((step) => (now += step));
  const old = exact.map((at, index) => ({ gtid: spell.gtid(A, index + 1), at: spell.shown(at) }));
  const got = drawn.got % (old.length + 1);
  return { spell, old, exact, got, cloned: Math.min(drawn.cloned, got) };
}

/** What the new primary applied while it followed, with what it wrote by itself. MariaDB keeps the times, MySQL tells when it was committed here. */
function followedOf(drawn: Drawn, { spell, old, got, cloned }: Past): Entry[] {
  let errant = 0;
  return old.slice(0, got).flatMap((entry, index) => {
    const at = drawn.isMariadb ? entry.at : entry.at + 300_000;
    if (!drawn.errant.includes(index) || index < cloned) return [{ ...entry, at }];
    errant += 1;
    const number = drawn.isMariadb && drawn.errantDomain === 0 ? index + 1 : errant;
    return [
      { gtid: spell.gtid(B, number, drawn.errantDomain), at: at - 1 },
      { ...entry, at },
    ];
  });
}

/** What the new primary wrote once it was promoted. */
function writtenOf(drawn: Drawn, { spell, old, got }: Past, followed: readonly Entry[]): Entry[] {
  let now = settledAt(drawn, followed);
  const first = drawn.isMariadb ? got : followed.filter(({ gtid }) => !gtidsOf(old).includes(gtid)).length;
  return drawn.own.map((step, index) => ({ gtid: spell.gtid(B, first + index + 1), at: spell.shown((now += step)) }));
}

function settledAt({ steps }: Drawn, followed: readonly Entry[]): number {
  const died = steps.reduce((sum, step) => sum + step, START);
  return Math.max(died, ...followed.map(({ at }) => at)) + 1_000_000;
}

function worldOf(drawn: Drawn): World {
  const past = pastOf(drawn);
  const { spell, old, exact, got, cloned } = past;
  const followed = followedOf(drawn, past);
  const written = writtenOf(drawn, past, followed);
  const settled = settledAt(drawn, followed);
  const held = followed.slice(0, gtidsOf(followed).indexOf(old[cloned - 1]?.gtid ?? "") + 1);
  const ofOld = new Set(gtidsOf(old));
  const replicated = followed.slice(held.length).filter(({ gtid }) => drawn.logsReplicated || !ofOld.has(gtid));
  const host = drawn.isShared ? "db7" : "db8";
  const logsOfA = logsOf(old, spell, { ...drawn, server: A, host: "db7", incarnation: undefined, began: START });
  const logsOfB = logsOf([...replicated, ...written], spell, {
    server: B,
    host,
    incarnation: drawn.isShared ? "i2" : undefined,
    began: exact[cloned - 1] ?? START,
    rotations: [
      ...drawn.followed.filter((each) => each < replicated.length),
      ...drawn.ownRotations.map((each) => replicated.length + each),
    ],
  });
  const archived = logsOfA.slice(0, Math.max(1, logsOfA.length - drawn.unarchived));
  const takeover = takeoverOf({ spell, host, settled }, [...old.slice(0, got), ...followed]);
  return {
    flavour: spell.flavour,
    logs: [...takenOver(archived, takeover), ...logsOfB.slice(Math.min(drawn.purged, logsOfB.length - 1))],
    truth: [...followed, ...written],
    settled,
    got,
    archived: archived.flatMap(({ transactions }) => transactions).length,
    times: old.map(({ gtid, at }) => ({ here: at, there: followed.find((each) => each.gtid === gtid)?.at ?? at })),
    isWhole: isWhole(drawn, past, followed.length - got),
    hasErrant: followed.length > got,
    copies: copiesOf(drawn, past, logsOfA),
  };
}

function isWhole(drawn: Drawn, { got, cloned }: Past, errant: number): boolean {
  // Both wrote to one domain of MariaDB at a time.
  if (drawn.isMariadb && drawn.errantDomain === 0 && errant > 0) return false;
  return drawn.purged === 0 && drawn.logsReplicated && got > cloned && drawn.unarchived === 0;
}

type Taking = { readonly spell: Spelling; readonly host: string; readonly settled: number };

/** A position of MariaDB as a replica leaves out what the server wrote by itself. */
function takeoverOf({ spell, host, settled }: Taking, had: readonly Entry[]): Takeover {
  const isMariadb = spell.flavour === "mariadb";
  const gtid = spell.state(gtidsOf(had).filter((each) => !isMariadb || each.startsWith("0-1-")));
  const to = { uuid: isMariadb ? undefined : B.uuid, serverId: B.id, host };
  return { applied: parseGtidState(spell.flavour, gtid), gtid, at: second(settled), by: "root@db8", to };
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

/** Copies of the old primary, the last ones perhaps with what the new one never got. */
function copiesOf(drawn: Drawn, past: Past, logs: readonly Log[]): World["copies"] {
  const counts = [...new Set(drawn.copies.filter((each) => each <= past.old.length))].sort((a, b) => a - b);
  const copies = counts.map((count) => {
    const holds = gtidsOf(past.old.slice(0, count));
    const taken = new Date(Math.floor((past.exact[count - 1] ?? START) / 1000));
    const copy = fullCopy(taken, {
      vendor: drawn.isMariadb ? "mariadb" : "oracle",
      serverUuid: drawn.isMariadb ? undefined : A.uuid,
      finishedAt: new Date(taken.getTime() + 1),
      gtid: past.spell.state(holds) || undefined,
      binlog: drawn.knowsPlace ? placeOf(past.old[count]?.gtid, logs) : undefined,
    });
    return { holds, copy };
  });
  return copies.filter(({ copy }, index) => copies.findIndex((each) => each.copy.key === copy.key) === index);
}

/** Where a transaction begins, or the last log ends. */
function placeOf(gtid: string | undefined, logs: readonly Log[]): MysqlCopy["binlog"] {
  const places = logs.flatMap(({ copy, transactions }) => [
    ...transactions.map((each) => ({ file: copy.name, offset: each.start, gtid: each.gtid })),
    { file: copy.name, offset: endOf(transactions), gtid: undefined },
  ]);
  const { file, offset } = places.find((each) => each.gtid === gtid && gtid !== undefined) ?? places.at(-1) ?? {};
  return file === undefined ? undefined : { file, offset };
}

export const WORLD = DRAWN.map(worldOf).filter(({ copies }) => copies.length > 0);
