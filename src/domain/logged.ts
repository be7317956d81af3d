import { type GtidState, gtidsAfter, gtidsBefore } from "./binlog.ts";
import type { BinlogCopy } from "./copy.ts";
import { BackupError } from "./errors.ts";
import { type GtidSet, normalized, parseGtidSet, unionGtids } from "./gtid-set.ts";

/**
 * Transactions of either vendor as a set, so that those of two servers can be held against each other: MySQL's by source, MariaDB's by domain and
 * server, `0-1`. A position of MariaDB cannot tell 0-1-41 from 0-2-41.
 */
export type Logged = GtidSet;

/** Of a log with more there is no use in noting them down: numbers that skip this often say nothing about what is missing. */
const LONGEST = 4000;

const SOURCE = /^\d{1,10}-\d{1,10}$/;
const RANGE = /^(\d{1,20})(?:-(\d{1,20}))?$/;

/** Write transactions of MariaDB: `0-1:1-40:42,0-2:43`; `undefined` when that is too long. */
export function formatLogged(logged: Logged): string | undefined {
  const sources = [...logged].map(([source, ranges]) =>
    [source, ...ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`))].join(":"),
  );
  const text = sources.sort().join(",");
  return text.length > LONGEST ? undefined : text;
}

/** Read what `formatLogged()` wrote; `undefined` for anything else, which says no more than nothing at all. */
function parseLogged(text: string): Logged | undefined {
  const logged = new Map<string, { from: bigint; to: bigint }[]>();
  for (const part of text.split(",")) {
    const [source = "", ...words] = part.split(":");
    const ranges = words.map((word) => RANGE.exec(word));
    if (!SOURCE.test(source) || ranges.length === 0 || ranges.includes(null)) return undefined;
    const read = ranges.map((found) => ({ from: BigInt(found?.[1] ?? 0), to: BigInt(found?.[2] ?? found?.[1] ?? 0) }));
    logged.set(source, [...(logged.get(source) ?? []), ...read]);
  }
  return normalized(logged);
}

/** All transactions of an archived log; `undefined` when nobody knows: also when one of them has no GTID. */
export function loggedIn({ gtid, log }: BinlogCopy): Logged | undefined {
  if (log === undefined) return undefined;
  if (log.transactions === 0) return new Map();
  const logged = log.flavour === "mysql" ? readSet(gtid) : log.logged && parseLogged(log.logged);
  return logged !== undefined && logged !== "" && countOf(logged) === BigInt(log.transactions) ? logged : undefined;
}

/** What is known to have been logged before an archived log, and in it, or that it goes on behind. */
export function knownOf(copy: BinlogCopy): Logged {
  const states = [gtidsBefore(copy) ?? [], gtidsAfter(copy) ?? []].flat();
  const before = copy.log?.previousLogged === undefined ? undefined : parseLogged(copy.log.previousLogged);
  const known = [before, loggedIn(copy), ...states.map(namedBy)];
  return unionGtids(...known.flatMap((each) => each ?? []));
}

function readSet(text: string | undefined): Logged | undefined {
  try {
    return text === undefined ? undefined : parseGtidSet(text);
  } catch (error) {
    if (error instanceof BackupError) return undefined;
    throw error;
  }
}

function countOf(logged: Logged): bigint {
  const ranges = [...logged.values()].flat();
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1n, 0n);
}

/** What a GTID state names itself: all of a set, of a position only the last transaction of each domain. */
export function namedBy(state: GtidState): Logged {
  if (state.flavour === "mysql") return state.set;
  const named = [...state.position.values()].map(
    ({ domain, server, sequence }) => [`${domain}-${server}`, [{ from: sequence, to: sequence }]] as const,
  );
  return new Map(named);
}
