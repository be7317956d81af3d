import {
  binlogEndsAt,
  type GtidState,
  gtidsAfter,
  gtidsBefore,
  includesGtids,
  joinGtids,
  parseGtidState,
  readGtidState,
} from "./binlog.ts";
import type { Timeline } from "./binlog-catalogue.ts";
import type { BinlogCopy, TimelineEnd } from "./copy.ts";
import { type DomainGtid, formatGtidPosition, type GtidPosition } from "./gtid-position.ts";
import { containsGtids, formatGtidSet, type GtidRange, intersectGtids, subtractGtids, unionGtids } from "./gtid-set.ts";
import { knownOf, type Logged, loggedIn } from "./logged.ts";

/** Where a replay goes over from the logs of a server to those of the one that took over. */
export type Join = {
  /** Index of the first log of the new primary among all that are replayed. */
  readonly at: number;
  /** The host in whose archive its logs lie; the same as before where both servers archive under one name. */
  readonly to: string;
  /** What the new primary had applied when it took over: of the logs before, nothing else is a part of what happened. */
  readonly applied: GtidState;
  /** What the data holds by then, so that it is skipped in the logs from there on. */
  readonly held: GtidState;
  /** What the old one logged and the new one never got, as GTIDs for people; empty for nothing. */
  readonly lost: string;
  /** Up to this moment the logs before tell all by themselves. */
  readonly settledAt: Date;
};

/** Logs that follow each other, also from one server to the next, and what they come to. */
export type Chain = {
  readonly logs: readonly BinlogCopy[];
  readonly joins: readonly Join[];
  /** What the copy holds, at the most. */
  readonly base: GtidState;
  readonly baseAt: Date;
  /** What is held and logged at its end. */
  readonly end: GtidState;
  /** Transactions that are known to lead there. */
  readonly known: Logged;
};

/** The server that went on, with what of its logs is archived. `pick` says which of those from one on can be used. */
type Successor = {
  readonly takeover: TimelineEnd;
  readonly timeline: Timeline;
  readonly pick: (logs: readonly BinlogCopy[]) => readonly BinlogCopy[];
};

/** A chain with the logs of the new primary. */
export type Joined = {
  readonly chain: Chain;
  /** Index of the first of these in its timeline. */
  readonly first: number;
  /** Why it is not proven to be without a hole; `undefined` when it is. */
  readonly problem: string | undefined;
  /** Whether the copy holds nothing that the new primary never got. */
  readonly isFit: boolean;
};

/**
 * Go on in the logs of the server that took over. Of those before only what it had applied counts; of its own only what is not held yet. It
 * is proven when the last of its logs that begins with nothing that is not held, and those behind it, have all that it had applied.
 * @returns `undefined` when none of its logs can be used, or nothing has GTIDs.
 */
export function joinTo(chain: Chain, { takeover, timeline, pick }: Successor): Joined | undefined {
  const applied = readGtidState(chain.end.flavour, takeover.gtid);
  if (applied === undefined || timeline.logs.some(({ log }) => log?.flavour !== chain.end.flavour)) return undefined;
  const strange = strangeTo(chain.base, applied, knownIn(timeline));
  const held = strange === "" ? joinGtids(commonOf(chain.end, applied), chain.base) : commonOf(chain.end, applied);
  const found = timeline.logs.findLastIndex((log) => isHeld(log, held));
  const first = Math.max(0, found);
  const logs = pick(timeline.logs.slice(first));
  if (logs.length === 0) return undefined;
  const kept = chain.logs.slice(0, chain.logs.findLastIndex((log) => isHeld(log, applied)) + 1);
  const join: Join = {
    at: kept.length,
    to: timeline.host,
    applied,
    held,
    lost: beyond(chain.end, strange === "" ? joinGtids(applied, chain.base) : applied),
    settledAt: settledAt(chain, kept, applied),
  };
  const told: Told = { join, logs, kept, known: chain.known, theirs: knownIn(timeline) };
  const gap = found === -1 ? missedBefore(told) : problemOf(told);
  const problem = strange === "" ? gap : `the copy holds ${strange}, which it never got`;
  const after = logs.map(gtidsAfter).findLast((state) => state !== undefined);
  return {
    problem,
    first,
    isFit: strange === "",
    chain: {
      ...chain,
      logs: [...kept, ...logs],
      joins: [...chain.joins.filter(({ at }) => at <= kept.length), join],
      end: after === undefined ? held : joinGtids(held, after),
      known: unionGtids(chain.known, told.theirs),
    },
  };
}

/** What a join is proven with. */
type Told = {
  readonly join: Join;
  /** Logs that are replayed before it, and behind it. */
  readonly kept: readonly BinlogCopy[];
  readonly logs: readonly BinlogCopy[];
  /** What the old and the new one are known to have logged, or to have gone on behind. */
  readonly known: Logged;
  readonly theirs: Logged;
};

function isHeld(log: BinlogCopy, held: GtidState): boolean {
  const before = gtidsBefore(log);
  return before !== undefined && includesGtids(held, before);
}

function logsOf(logs: readonly BinlogCopy[]): Logged[] {
  return logs.flatMap((log) => loggedIn(log) ?? []);
}

function missedBefore({ join, logs: [first] }: Told): string {
  const before = first && gtidsBefore(first);
  const missing = before === undefined ? "" : beyond(before, join.held);
  return `${missing === "" ? "what it logged" : missing} before "${first?.name}" is not archived`;
}

function problemOf(told: Told): string | undefined {
  const { join, kept, logs } = told;
  // All transactions of MariaDB have GTIDs; of its old primary it is enough to know the last one.
  const unknown = [...(join.held.flavour === "mysql" ? kept : []), ...logs].find((log) => loggedIn(log) === undefined);
  if (unknown !== undefined) return `nobody knows which transactions are in "${unknown.name}"`;
  const own = unionGtids(...logsOf(logs));
  if (join.held.flavour === "mysql" || join.applied.flavour === "mysql") return hole(missingOf(join, own));
  return strangerIn(told) ?? hole(missingOf(join, own));
}

function hole(missing: string): string | undefined {
  return missing === "" ? undefined : `${missing} is not archived`;
}

/**
 * Positions of MariaDB say nothing of who wrote what came before: the places where the histories meet have to be known to both, and the new
 * one may have written nothing by itself before.
 */
function strangerIn({ join, logs, known, theirs }: Told): string | undefined {
  const [held, applied] = [positionIn(join.held), positionIn(join.applied)];
  const strange = [...held.values()].filter((gtid) => {
    // Who has the next one of the same server has this one too.
    const places = [gtid, { ...gtid, sequence: gtid.sequence + 1n }];
    const isTheirs =
      sameGtid(applied.get(gtid.domain), gtid) || places.some((each) => containsGtids(theirs, setOf(each)));
    return !isTheirs || !containsGtids(known, setOf(gtid));
  });
  if (strange.length > 0)
    return `the two do not meet at ${formatGtidPosition(new Map(strange.map((gtid) => [gtid.domain, gtid])))}`;
  const { serverId = 0 } = logs[0]?.log ?? {};
  const own = [...held.values()].map(({ domain, sequence }): Logged => {
    // Who has one of a server has all before it.
    const first = (lastOf(known.get(`${domain}-${serverId}`)) ?? 0n) + 1n;
    return first > sequence ? new Map() : setOf({ domain, server: serverId, sequence }, first);
  });
  const errant = intersectGtids(theirs, unionGtids(...own));
  return errant.size === 0 ? undefined : `it wrote ${textOf(errant)} by itself before`;
}

function lastOf(ranges: readonly GtidRange[] = []): bigint | undefined {
  return ranges.at(-1)?.to;
}

function sameGtid(one: DomainGtid | undefined, other: DomainGtid): boolean {
  return one?.server === other.server && one.sequence === other.sequence;
}

/** One transaction, or all from a number on up to it. */
function setOf({ domain, server, sequence }: DomainGtid, from = sequence): Logged {
  return new Map([[`${domain}-${server}`, [{ from, to: sequence }]]]);
}

/** What the new primary had applied that is neither held nor in its logs, as text; empty for nothing. Numbers of a domain of MariaDB follow each other. */
function missingOf({ held, applied }: Join, own: Logged): string {
  if (held.flavour === "mysql" && applied.flavour === "mysql") {
    return formatGtidSet(subtractGtids(subtractGtids(applied.set, held.set), own));
  }
  const missing = [...positionIn(applied).values()].map(({ domain, sequence }) => {
    const first = (positionIn(held).get(domain)?.sequence ?? 0n) + 1n;
    const wanted: Logged = first > sequence ? new Map() : new Map([["", [{ from: first, to: sequence }]]]);
    const theirs = [...own]
      .filter(([source]) => source.startsWith(`${domain}-`))
      .map(([, ranges]) => new Map([["", ranges]]));
    return [String(domain), subtractGtids(wanted, unionGtids(...theirs)).get("") ?? []] as const;
  });
  return textOf(new Map(missing.filter(([, ranges]) => ranges.length > 0)));
}

function positionIn(state: GtidState): GtidPosition {
  return state.flavour === "mariadb" ? state.position : new Map();
}

function textOf(logged: Logged): string {
  return [...logged]
    .flatMap(([source, ranges]) =>
      ranges.map(({ from, to }) => (from === to ? `${source}-${from}` : `${source}-${from} to ${to}`)),
    )
    .join(", ");
}

/** What of a copy the new primary had neither applied when it took over, nor logged or followed later on. */
function strangeTo(base: GtidState, applied: GtidState, theirs: Logged): string {
  if (base.flavour === "mysql" && applied.flavour === "mysql") {
    return formatGtidSet(subtractGtids(base.set, unionGtids(applied.set, theirs)));
  }
  const far = positionIn(applied);
  const strange = [...positionIn(base).values()].filter(
    (gtid) => gtid.sequence > (far.get(gtid.domain)?.sequence ?? -1n) && !containsGtids(theirs, setOf(gtid)),
  );
  return formatGtidPosition(new Map(strange.map((gtid) => [gtid.domain, gtid])));
}

/** What is in both; of a domain of MariaDB as far as both got. */
function commonOf(one: GtidState, other: GtidState): GtidState {
  if (one.flavour === "mysql" && other.flavour === "mysql") {
    return { flavour: "mysql", set: intersectGtids(one.set, other.set) };
  }
  const [left, right] = [positionIn(one), positionIn(other)];
  const common = [...left.values()].flatMap((gtid) => {
    const own = right.get(gtid.domain);
    return own === undefined ? [] : [own.sequence < gtid.sequence ? own : gtid];
  });
  return { flavour: "mariadb", position: new Map(common.map((gtid) => [gtid.domain, gtid])) };
}

/** What of one lies behind the other, as GTIDs for people; empty for nothing. */
function beyond(one: GtidState, other: GtidState): string {
  if (one.flavour === "mysql" && other.flavour === "mysql") return formatGtidSet(subtractGtids(one.set, other.set));
  const far = positionIn(other);
  const behind = [...positionIn(one)].filter(([domain, { sequence }]) => sequence > (far.get(domain)?.sequence ?? -1n));
  return formatGtidPosition(new Map(behind));
}

/** The last moment up to which all that was logged is a part of what happened. */
function settledAt({ baseAt }: Chain, logs: readonly BinlogCopy[], applied: GtidState): Date {
  const first = logs.findIndex((log) => {
    const after = gtidsAfter(log);
    return after === undefined || !includesGtids(applied, after);
  });
  const settled = first === -1 ? logs : logs.slice(0, first);
  return settled.map(binlogEndsAt).reduce((latest, at) => (at > latest ? at : latest), baseAt);
}

/** Whether a transaction in a log is left out, for one that took over later never got it. */
export function isLost(gtid: string, index: number, joins: readonly Join[]): boolean {
  return joins.some(({ at, applied }) => index < at && !includesGtids(applied, parseGtidState(applied.flavour, gtid)));
}

/** Whether a transaction in a log was replayed from an earlier server's already, or is in the copy. */
export function isReplayed(gtid: string, index: number, joins: readonly Join[]): boolean {
  const join = joins.findLast(({ at }) => at <= index);
  return join !== undefined && includesGtids(join.held, parseGtidState(join.held.flavour, gtid));
}

/** All that is known of the transactions of a timeline. */
export function knownIn({ logs }: Timeline): Logged {
  return unionGtids(...logs.map(knownOf));
}
