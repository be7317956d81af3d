import { BackupError } from "./errors.ts";
import type { GtidFilter, Micros, RecoveryTarget } from "./recovery-target.ts";

/** One transaction of a binary log. Offsets are bytes in the file; the end is that of its last event. */
export type LoggedTransaction = {
  readonly start: number;
  readonly end: number;
  /** As the server prints it; `undefined` for one without. */
  readonly gtid: string | undefined;
  /** Of the commit, as the log tells it. */
  readonly at: Micros;
};

/** A part of a log to replay, from one boundary of transactions to another. */
export type Segment = { readonly from: number; readonly to: number };

/** What of one log is replayed. */
export type Cut = {
  readonly segments: readonly Segment[];
  /** Where the replay ends for good, and the first transaction it leaves out, if there is one in this log; `undefined` goes on to the next log. */
  readonly stop: { readonly offset: number; readonly next: LoggedTransaction | undefined } | undefined;
  /** The last transaction that is replayed. */
  readonly last: LoggedTransaction | undefined;
  readonly transactions: number;
  readonly excluded: readonly string[];
  /** The last GTID of each domain of MariaDB, up to the stop, with those the copy holds and those that are left out. */
  readonly domains: ReadonlyMap<string, string>;
  /** How many transactions behind the stop say that they were committed before it: clocks went back, or are set by statements. */
  readonly stragglers: number;
  /** Whether a transaction follows on one that is replayed, and was replayed itself from the logs of an earlier server. */
  readonly isOvertaken: boolean;
};

/** What is wanted of one log. */
export type CutRequest = {
  /** Name of the log. */
  readonly name: string;
  /** Where the replay begins in it; what ends before is in the copy. 0 for all of it. */
  readonly from: number;
  readonly target: RecoveryTarget;
  readonly excluded: GtidFilter;
  /** Whether the log tells the microsecond of a commit, as MySQL 8 does; else it was at some time in the second that begins then. */
  readonly isExact: boolean;
  /** What the copy holds already, where no offset tells. */
  readonly isHeld?: (gtid: string) => boolean;
  /** What the server that took over later never got. */
  readonly isLost?: (gtid: string) => boolean;
  /** What was replayed from the logs of an earlier server, or is in the copy. */
  readonly isReplayed?: (gtid: string) => boolean;
};

function unfit(message: string, hint: string): BackupError {
  return new BackupError("NOT_FOUND", message, { hint });
}

/** Decides, one transaction after the other, which parts of a log are replayed, and where the replay ends. */
export class LogCutter {
  readonly #request: CutRequest;
  readonly #segments: Segment[] = [];
  readonly #excluded: string[] = [];
  readonly #domains = new Map<string, string>();
  #open: { from: number; to: number } | undefined;
  #stop: Cut["stop"];
  #last: LoggedTransaction | undefined;
  #transactions = 0;
  #stragglers = 0;
  #isOvertaken = false;

  /** @throws {BackupError} NOT_FOUND when the place to stop at lies before the copy. */
  constructor(request: CutRequest) {
    this.#request = request;
    const { name, from, target } = request;
    if (target.kind === "position" && target.file === name && target.offset < from) throw this.#tooEarly();
  }

  /**
   * Take the next transaction.
   * @throws {BackupError} NOT_FOUND when the target lies before the copy or within a transaction, DATA_DAMAGED when the copy ends within one.
   */
  add(transaction: LoggedTransaction): void {
    const { from } = this.#request;
    if (this.#isSkipped(transaction)) {
      this.#close();
    } else if (this.#stop !== undefined) {
      if (!this.#isLate(transaction)) this.#stragglers += 1;
    } else if (transaction.end <= from || this.#isHeld(transaction)) {
      this.#checkHeld(transaction);
      this.#note(transaction);
      this.#close();
    } else if (transaction.start < from) {
      throw this.#torn(transaction);
    } else if (this.#isBeyond(transaction)) {
      this.#end(transaction.start, transaction);
    } else {
      this.#take(transaction);
    }
  }

  /** All transactions were taken. @param end offset behind the last one. @throws {BackupError} NOT_FOUND when the place to stop at is behind it. */
  finish(end: number): Cut {
    const { name, target } = this.#request;
    if (this.#stop === undefined && target.kind === "position" && target.file === name) {
      if (target.offset > end) throw this.#missing(`it ends at ${end}`);
      this.#end(target.offset, undefined);
    }
    this.#close();
    return {
      segments: this.#segments,
      stop: this.#stop,
      last: this.#last,
      transactions: this.#transactions,
      excluded: this.#excluded,
      domains: this.#domains,
      stragglers: this.#stragglers,
      isOvertaken: this.#isOvertaken,
    };
  }

  /** Whether it may have been committed at the moment that is wanted, or later. */
  #isLate({ at }: LoggedTransaction): boolean {
    const { target, isExact } = this.#request;
    return target.kind !== "time" || (isExact ? at : at + 999_999) >= target.at;
  }

  /** What another server's logs decide about: neither is it replayed here, nor does a replay end there. */
  #isSkipped(transaction: LoggedTransaction): boolean {
    const { gtid } = transaction;
    if (gtid === undefined) return false;
    if (this.#request.isLost?.(gtid) === true) return true;
    if (this.#request.isReplayed?.(gtid) !== true) return false;
    if (this.#stop === undefined) this.#note(transaction);
    this.#isOvertaken ||= this.#transactions > 0;
    return true;
  }

  #isHeld({ gtid }: LoggedTransaction): boolean {
    return gtid !== undefined && this.#request.isHeld?.(gtid) === true;
  }

  #take(transaction: LoggedTransaction): void {
    const { target, excluded } = this.#request;
    const { start, end, gtid } = transaction;
    this.#note(transaction);
    if (gtid !== undefined && excluded.has(gtid)) {
      this.#excluded.push(gtid);
      this.#close();
    } else {
      if (this.#open === undefined) this.#open = { from: start, to: end };
      else this.#open.to = end;
      this.#transactions += 1;
      this.#last = transaction;
    }
    if (target.kind === "gtid" && gtid === target.gtid) this.#end(end, undefined);
  }

  #note({ gtid }: LoggedTransaction): void {
    const [, domain] = /^(\d+)-\d+-\d+$/.exec(gtid ?? "") ?? [];
    if (domain !== undefined && gtid !== undefined) this.#domains.set(domain, gtid);
  }

  /** Whether the replay has to end before this one. */
  #isBeyond(transaction: LoggedTransaction): boolean {
    const { name, target } = this.#request;
    if (target.kind === "time") return this.#isLate(transaction);
    if (target.kind !== "position" || target.file !== name || transaction.end <= target.offset) return false;
    if (transaction.start >= target.offset) return true;
    const { start, end } = transaction;
    throw this.#missing(`a transaction goes from ${start} to ${end}`);
  }

  /** What the copy holds cannot be left out any more. */
  #checkHeld({ gtid, at, end }: LoggedTransaction): void {
    const { name, target, excluded } = this.#request;
    if (gtid !== undefined && excluded.has(gtid))
      throw unfit(`Cannot leave out "${gtid}": the copy holds it already`, "Name a copy that was taken before it.");
    // A copy that was complete before the moment holds nothing of later, whatever else is in the same second.
    const isTooMuch =
      (target.kind === "time" && at >= target.at) ||
      (target.kind === "gtid" && target.gtid === gtid) ||
      (target.kind === "position" && target.file === name && end > target.offset);
    if (isTooMuch) throw this.#tooEarly();
  }

  #tooEarly(): BackupError {
    return unfit("Cannot go back to that moment: the copy holds more already", "Name a copy that was taken before it.");
  }

  #missing(what: string): BackupError {
    const { name, target } = this.#request;
    const offset = target.kind === "position" ? target.offset : 0;
    return unfit(`Cannot stop at "${name}:${offset}": ${what}`, "Name the place where a transaction begins or ends.");
  }

  #torn({ start, end }: LoggedTransaction): BackupError {
    const { name, from } = this.#request;
    const message = `Cannot replay "${name}" from ${from}, where the copy ends: a transaction goes from ${start} to ${end}`;
    return new BackupError("DATA_DAMAGED", message, {
      hint: "Use another copy: the log and this one do not belong together.",
    });
  }

  #end(offset: number, next: LoggedTransaction | undefined): void {
    this.#stop = { offset, next };
    this.#close();
  }

  #close(): void {
    if (this.#open !== undefined) this.#segments.push(this.#open);
    this.#open = undefined;
  }
}
