import type { BinlogCopy } from "./copy.ts";
import { BackupError } from "./errors.ts";
import {
  formatGtidPosition,
  type GtidPosition,
  parseGtidPosition,
  positionOf,
  reachesPosition,
} from "./gtid-position.ts";
import { containsGtids, formatGtidSet, type GtidSet, parseGtidSet, subtractGtids, unionGtids } from "./gtid-set.ts";
import { parseBinlogName } from "./names.ts";

/** Whose format and GTIDs a binary log has; Percona's are MySQL's. */
export type BinlogFlavour = "mysql" | "mariadb";

/**
 * How a log ends: the server went on in the next one; it was shut down; the last transaction is complete and nothing says more, as after a crash
 * or in a log still written to; or the last event or transaction is cut.
 */
export type BinlogEnd = "rotated" | "stopped" | "open" | "torn";

export const BINLOG_ENDS = ["rotated", "stopped", "open", "torn"] as const satisfies readonly BinlogEnd[];

/** What reading a binary log through found out. A copy of the predecessor has none of it. */
export type BinlogFacts = {
  readonly flavour: BinlogFlavour;
  /** `@@server_id` of the server that wrote the log. */
  readonly serverId: number;
  /**
   * What tells this log from another one of the same name: hex of the SHA-256 of everything before the first event that can differ between two
   * reads of it, without the flag that says that it is open.
   */
  readonly head: string;
  /** Whether every event carries a CRC32. */
  readonly checksums: boolean;
  /** Offset of the first event that is not about the log itself. */
  readonly firstOffset: number;
  /** Offset behind the last complete transaction: a replay goes up to here, whatever follows. */
  readonly endOffset: number;
  readonly end: BinlogEnd;
  /** Whether the server has marked the log as being written to. After a crash MariaDB leaves the mark for good. */
  readonly inUse: boolean;
  /** Transactions that are complete. */
  readonly transactions: number;
  /** Latest time of an event, to the second: everything the server wrote up to then is in this log or an earlier one. */
  readonly lastAt: Date;
  /** When the first and the last transaction were committed; to the millisecond on MySQL 8 and newer, else to the second. */
  readonly firstCommitAt: Date | undefined;
  readonly lastCommitAt: Date | undefined;
  /**
   * What was logged before this log: a GTID set (MySQL), or the last GTID of each domain (MariaDB). Empty where there was nothing;
   * `undefined` when the log does not say.
   */
  readonly previousGtid: string | undefined;
  /**
   * Of MariaDB, all its transactions by domain and server: `0-1:1-40,0-2:41-45`. Absent where there are none, or too many ranges to note down.
   */
  readonly logged?: string;
  /** Of MariaDB, the last transaction of each domain and server that was logged before this log, in the same form: `0-1:40,0-2:45`. */
  readonly previousLogged?: string;
  /** Of MariaDB, whether it holds files for statements to load. Absent where nobody has looked. */
  readonly loadsFiles?: boolean;
};

/** The number in the name of a binary log: `mysql-bin.000012` → 12. Names compare by it, for 1000000 follows 999999. */
export function binlogNumber(name: string): number {
  return parseBinlogName(name)?.number ?? 0;
}

/** Order logs of one incarnation. */
export function compareBinlogNames(left: { readonly name: string }, right: { readonly name: string }): number {
  return binlogNumber(left.name) - binlogNumber(right.name);
}

/**
 * When an archived log ends, as far as its own record tells: at the least when it began. Events tell whole seconds, and commits of MySQL
 * microseconds: whoever names a moment between the last second and the last commit is within the log.
 */
export function binlogEndsAt({ createdAt, log }: BinlogCopy): Date {
  const ends = [createdAt, log?.lastAt, log?.lastCommitAt].filter((each) => each !== undefined);
  return ends.reduce((latest, at) => (at > latest ? at : latest));
}

/** A GTID state of either vendor. */
export type GtidState =
  | { readonly flavour: "mysql"; readonly set: GtidSet }
  | { readonly flavour: "mariadb"; readonly position: GtidPosition };

/** Read a GTID set or position. @throws {BackupError} DATA_DAMAGED when it is none. */
export function parseGtidState(flavour: BinlogFlavour, text: string): GtidState {
  if (flavour === "mysql") return { flavour, set: parseGtidSet(text) };
  return { flavour, position: parseGtidPosition(text) };
}

/** As `parseGtidState()`; `undefined` for what cannot be read, which says no more than nothing at all. */
export function readGtidState(flavour: BinlogFlavour, text: string | undefined): GtidState | undefined {
  if (text === undefined) return undefined;
  try {
    return parseGtidState(flavour, text);
  } catch (error) {
    if (error instanceof BackupError) return undefined;
    throw error;
  }
}

export function formatGtidState(state: GtidState): string {
  return state.flavour === "mysql" ? formatGtidSet(state.set) : formatGtidPosition(state.position);
}

/** Whether everything of `part` is in `whole`; never of different vendors. */
export function includesGtids(whole: GtidState, part: GtidState): boolean {
  if (whole.flavour === "mysql") return part.flavour === "mysql" && containsGtids(whole.set, part.set);
  return part.flavour === "mariadb" && reachesPosition(whole.position, part.position);
}

/** Everything of both. @throws {TypeError} for different vendors. */
export function joinGtids(left: GtidState, right: GtidState): GtidState {
  if (left.flavour === "mysql" && right.flavour === "mysql") {
    return { flavour: "mysql", set: unionGtids(left.set, right.set) };
  }
  if (left.flavour === "mariadb" && right.flavour === "mariadb") {
    return { flavour: "mariadb", position: positionOf([...left.position.values(), ...right.position.values()]) };
  }
  throw new TypeError("GTIDs of different vendors cannot be joined");
}

/** What of `whole` is missing in `part`, as text for people; empty when nothing is. */
export function missingGtids(whole: GtidState, part: GtidState): string {
  if (whole.flavour === "mysql" && part.flavour === "mysql") return formatGtidSet(subtractGtids(whole.set, part.set));
  return includesGtids(part, whole) ? "" : formatGtidState(whole);
}

/** What was logged before an archived log; `undefined` when nobody knows. */
export function gtidsBefore({ log }: BinlogCopy): GtidState | undefined {
  return log && readGtidState(log.flavour, log.previousGtid);
}

/** What was logged at the end of an archived log: what the next one begins with. `undefined` when nobody knows. */
export function gtidsAfter(copy: BinlogCopy): GtidState | undefined {
  const before = gtidsBefore(copy);
  const own = copy.log && readGtidState(copy.log.flavour, copy.gtid);
  return before === undefined || own === undefined ? before : joinGtids(before, own);
}
