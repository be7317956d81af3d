import { type DomainGtid, formatGtidPosition, positionOf } from "../domain/gtid-position.ts";
import { formatGtidSet, GtidCollector } from "../domain/gtid-set.ts";
import { formatLogged } from "../domain/logged.ts";
import { EVENT, type GtidEvent, readGtidEvent, readStatement } from "./binlog-bodies.ts";

/** One whole event of a log. `body` is what was kept of it, without the checksum. */
export type BinlogEvent = {
  readonly type: number;
  /** Seconds since 1970. */
  readonly at: number;
  readonly server: number;
  readonly start: number;
  readonly end: number;
  readonly body: Buffer;
};

/** A transaction that is being read. */
type Open = GtidEvent & {
  readonly start: number;
  /** Seconds since 1970, of its last event so far; 0 where events bear no time. */
  at: number;
  /** A BEGIN was seen, so that a COMMIT will follow. */
  begun: boolean;
};

/** A transaction that is complete. */
type Complete = Pick<GtidEvent, "source" | "number" | "gtid"> & {
  /** Microseconds since 1970. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
};

/** What the transactions of a log come to. */
type Sum = {
  readonly count: number;
  /** Behind the last complete one; 0 without any. */
  readonly endOffset: number;
  readonly gtid: string | undefined;
  /** See `BinlogFacts.logged`. */
  readonly logged: string | undefined;
  readonly firstAt: number | undefined;
  readonly lastAt: number | undefined;
  /** The log ends within one. */
  readonly isInside: boolean;
};

const STARTS = new Set<number>([EVENT.gtid, EVENT.anonymous, EVENT.taggedGtid, EVENT.mariadbGtid]);

/** Events that follow a complete transaction only. */
const BORDERS = new Set<number>([EVENT.rotate, EVENT.stop, EVENT.mariadbCheckpoint, EVENT.previousGtids]);

const ENDS = new Set<number>([EVENT.xid, EVENT.xaPrepare, EVENT.payload]);

const NOTHING = { source: undefined, number: 0n, gtid: undefined, committedAt: undefined, standalone: false } as const;

/** Finds the transactions of a log: where each begins and ends, and that it is complete. */
export class Transactions {
  readonly #onTransaction: (transaction: Complete) => void;
  readonly #isWatched: boolean;
  readonly #set = new GtidCollector();
  #positions = new Map<number, DomainGtid>();
  #open: Open | undefined;
  #count = 0;
  #endOffset = 0;
  #firstAt: number | undefined;
  #lastAt: number | undefined;

  constructor(onTransaction: (transaction: Complete) => void, isWatched: boolean) {
    this.#onTransaction = onTransaction;
    this.#isWatched = isWatched;
  }

  /** Whether the first transaction was seen. */
  get isBegun(): boolean {
    return this.#open !== undefined || this.#count > 0;
  }

  take(event: BinlogEvent): void {
    if (STARTS.has(event.type) || BORDERS.has(event.type)) {
      // A server goes on behind a whole transaction only.
      if (this.#open !== undefined) this.#complete(this.#open, event.start);
      if (STARTS.has(event.type)) this.#begin(readGtidEvent(event.type, event.server, event.body), event);
      return;
    }
    if (event.type === EVENT.query || event.type === EVENT.mariadbQuery) this.#takeStatement(event);
    else if (this.#open !== undefined) this.#goOn(this.#open, event);
  }

  #begin(gtid: GtidEvent, { start, at }: BinlogEvent): Open {
    this.#open = { ...gtid, start, at, begun: false };
    return this.#open;
  }

  #goOn(open: Open, event: BinlogEvent): void {
    if (event.at > 0) open.at = event.at;
    if (ENDS.has(event.type)) this.#complete(open, event.end);
  }

  #takeStatement(event: BinlogEvent): void {
    const statement = event.type === EVENT.query ? readStatement(event.body) : "";
    const open = this.#open ?? this.#begin(NOTHING, event);
    if (event.at > 0) open.at = event.at;
    if (statement === "BEGIN" || statement.startsWith("XA START ")) open.begun = true;
    else if (isLast(open, statement)) this.#complete(open, event.end);
  }

  #complete(open: Open, end: number): void {
    this.#open = undefined;
    this.#count += 1;
    this.#endOffset = end;
    const at = open.committedAt ?? open.at * 1_000_000;
    this.#firstAt ??= at;
    this.#lastAt = Math.max(at, this.#lastAt ?? at);
    if (open.gtid !== undefined) this.#advance(open.gtid);
    else if (open.source !== undefined) this.#set.add(open.source, open.number);
    if (!this.#isWatched) return;
    const { source, number, gtid, start } = open;
    this.#onTransaction({ source, number, gtid, at, start, end });
  }

  #advance(gtid: DomainGtid): void {
    this.#set.add(`${gtid.domain}-${gtid.server}`, gtid.sequence);
    const known = this.#positions.get(gtid.domain);
    if (known === undefined || known.sequence < gtid.sequence) this.#positions.set(gtid.domain, gtid);
  }

  /** The log has ended. */
  finish(): Sum {
    const position = formatGtidPosition(positionOf(this.#positions.values()));
    return {
      count: this.#count,
      endOffset: this.#endOffset,
      gtid: position || formatGtidSet(this.#set.set()) || undefined,
      logged: position === "" ? undefined : formatLogged(this.#set.set()),
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      isInside: this.#open !== undefined,
    };
  }
}

/** Whether a transaction ends with this statement. */
function isLast({ begun, gtid, standalone }: Open, statement: string): boolean {
  if (statement === "COMMIT" || statement === "ROLLBACK") return true;
  if (/^XA (?:COMMIT|ROLLBACK) /.test(statement)) return true;
  // MariaDB begins all but single statements without a BEGIN.
  return gtid === undefined ? !begun : standalone;
}
