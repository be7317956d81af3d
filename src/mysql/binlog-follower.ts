import { crc32 } from "node:zlib";
import { BackupError } from "../domain/errors.ts";
import { parseBinlogName } from "../domain/names.ts";
import { EVENT, type LogFormat, readFormat } from "./binlog-bodies.ts";
import { mismatch } from "./binlog-kinds.ts";

/** What an event that a server sends means to who writes its log down. */
export type FollowStep =
  /** The next bytes of the log. */
  | { readonly kind: "bytes"; readonly bytes: Buffer; readonly at: number }
  /** The log is complete; the server goes on in another one. */
  | { readonly kind: "next"; readonly name: string };

/** Where to go on, and what the server has to have there for it to be the same log. */
export type FollowFrom = {
  readonly name: string;
  /** Bytes that are known; 4 for nothing but the magic ones. */
  readonly bytes: number;
  /** The first and the last event that are known. */
  readonly first: Buffer | undefined;
  readonly last: Buffer | undefined;
};

/** The server has another log of that name. */
export class DivergedError extends BackupError {
  override readonly name: string = "DivergedError";

  constructor(log: string) {
    super("CONFLICT", `Cannot go on in the binary log "${log}": the server has another one of that name`);
  }
}

const HEADER = 19;
const ARTIFICIAL = 0x20;
const HEARTBEATS = new Set([27, 41]);

/** Of an event that describes a format: when, by whom, which version. The rest differs when it is sent for the middle of a log. */
function identityOf(event: Buffer): Buffer {
  return Buffer.concat([event.subarray(0, 9), event.subarray(HEADER, HEADER + 52)]);
}

/** The place to ask a server for: the last event that is known comes again, so that it can be compared. A place has 32 bits. */
export function placeOf({ bytes, last }: FollowFrom): number {
  const place = bytes - (last?.length ?? 0);
  return place > 0xffff_ffff ? 4 : place;
}

/** Puts the logs of a server together from the events it sends: each follows the one before it and matches its checksum. */
export class BinlogFollower {
  #name: string;
  #offset: number;
  /** Up to here all is known. */
  #known: number;
  #first: Buffer | undefined;
  #last: Buffer | undefined;
  #format: LogFormat | undefined;

  constructor(from: FollowFrom) {
    this.#name = from.name;
    this.#offset = placeOf(from);
    this.#known = from.bytes;
    this.#first = from.first;
    this.#last = from.last;
  }

  /**
   * @returns `undefined` for what is no part of a log, or known.
   * @throws {DivergedError}; {BackupError} DATA_DAMAGED for an event that cannot be the next one.
   */
  take(event: Buffer): FollowStep | undefined {
    if (event.length < HEADER || event.readUInt32LE(9) !== event.length) throw this.#damaged("an event is cut off");
    const type = event.readUInt8(4);
    const next = event.readUInt32LE(13);
    if (HEARTBEATS.has(type)) return undefined;
    if (type === EVENT.rotate && isMadeUp(event)) return this.#goOn(logNameIn(event));
    if (type === EVENT.format) this.#look(event);
    return isMadeUp(event) || this.#isAgain(type, next) ? undefined : this.#append(event, next);
  }

  /** An encrypted log says so again to whoever reads it from the middle. */
  #isAgain(type: number, next: number): boolean {
    return type === EVENT.mariadbEncryption && next <= this.#offset;
  }

  #goOn(name: string): FollowStep | undefined {
    if (name === this.#name) return undefined;
    if (this.#offset < this.#known) throw new DivergedError(this.#name);
    this.#name = name;
    this.#offset = 4;
    this.#known = 4;
    this.#first = undefined;
    this.#last = undefined;
    return { kind: "next", name };
  }

  #look(event: Buffer): void {
    if (this.#first !== undefined && !identityOf(event).equals(identityOf(this.#first))) {
      throw new DivergedError(this.#name);
    }
    this.#format = readFormat(event.subarray(HEADER));
  }

  #append(event: Buffer, next: number): FollowStep | undefined {
    const end = this.#offset + event.length;
    if (next !== end % 2 ** 32) throw this.#damaged("an event does not follow the one before it");
    if (this.#format === undefined) throw this.#damaged("no event describes its format");
    const what = event.readUInt8(4) === EVENT.format ? undefined : mismatch(event, this.#format);
    if (what !== undefined) throw this.#damaged(what);
    this.#offset = end;
    if (end > this.#known) return { kind: "bytes", bytes: event, at: event.readUInt32LE(0) };
    if (end === this.#known && this.#last !== undefined && !this.#last.equals(event)) {
      throw new DivergedError(this.#name);
    }
    return undefined;
  }

  #damaged(what: string): BackupError {
    const place = `"${this.#name}" at byte ${this.#offset}`;
    return new BackupError("DATA_DAMAGED", `Cannot follow the binary log ${place}: ${what}`, { retryable: true });
  }
}

/** Events that the server makes up for its clients have no place in a log. */
function isMadeUp(event: Buffer): boolean {
  return (event.readUInt16LE(17) & ARTIFICIAL) !== 0 || event.readUInt32LE(13) === 0;
}

/** A made-up event ends with a checksum or not, whatever the log does. */
function logNameIn(event: Buffer): string {
  const end = event.length - 4;
  const isChecked = end > HEADER + 8 && crc32(event.subarray(0, end)) === event.readUInt32LE(end);
  const name = event.toString("utf8", HEADER + 8, isChecked ? end : event.length);
  if (!/[/\0]/.test(name) && parseBinlogName(name)?.name === name) return name;
  throw new BackupError("DATA_DAMAGED", `Cannot follow the binary log ${JSON.stringify(name)}: that is no name of one`);
}
