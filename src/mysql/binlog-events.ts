import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { BinlogEnd, BinlogFacts } from "../domain/binlog.ts";
import { BackupError } from "../domain/errors.ts";
import { type DomainGtid, formatDomainGtid, formatGtidPosition, positionOf } from "../domain/gtid-position.ts";
import { formatLogged } from "../domain/logged.ts";
import type { ByteStream } from "../lib/bytes.ts";
import {
  EVENT,
  isFormatChecked,
  type LogFormat,
  readFormat,
  readGtidList,
  readPreviousGtids,
} from "./binlog-bodies.ts";
import { endWith, isAboutLog, isEncryption, isOfHead, isOfLoad, keptOf, mismatch } from "./binlog-kinds.ts";
import { type BinlogEvent, Transactions } from "./binlog-transactions.ts";

/** A complete transaction of a log; DDL is one as well. */
export type BinlogTransaction = {
  /** Such as `3e11fa47-…:5`, `3e11fa47-…:tag:5` or `0-1-5`; `undefined` where the server writes none. */
  readonly gtid: string | undefined;
  /** Microseconds since 1970: of the commit where the event tells it (MySQL 8), else the second of its last event. */
  readonly at: number;
  /** Offset of its first event, and the one behind its last. */
  readonly start: number;
  readonly end: number;
};

/** Why a log cannot be read on from a place. */
export type BinlogDamage = {
  /** Where the first event that is not whole begins. */
  readonly offset: number;
  /** What is wrong, such as `an event does not match its checksum`. */
  readonly what: string;
};

/** What a log holds. */
export type BinlogScan = {
  readonly log: BinlogFacts;
  /** Time of the first event: when the server began to write the log. */
  readonly createdAt: Date;
  readonly serverVersion: string;
  /** See `BinlogCopy`. */
  readonly gtid: string | undefined;
  /** All bytes, also those behind the damage. */
  readonly bytes: number;
  /** `undefined` when each event is there, follows the one before it and matches its checksum. */
  readonly damage: BinlogDamage | undefined;
};

export type ScanOptions = {
  /** Told each transaction, in order. */
  readonly onTransaction?: (transaction: BinlogTransaction) => void;
};

/** A log that only its own server can read: fetch it from there, which sends it plain. */
export class EncryptedLogError extends BackupError {
  override readonly name: string = "EncryptedLogError";

  constructor(log: string) {
    super("DATA_DAMAGED", `Cannot read "${log}" as a binary log: the server has encrypted it`);
  }
}

const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const ENCRYPTED_MAGIC = Buffer.from([0xfd, 0x62, 0x69, 0x6e]);
const HEADER = 19;
const IN_USE = 1;

const NOTHING = Buffer.alloc(0);

/** The header of the event that is being read, and what was seen of its body. */
type Current = {
  readonly start: number;
  readonly type: number;
  readonly at: number;
  readonly server: number;
  readonly length: number;
  readonly flags: number;
  /** Bytes of the body still to come; the checksum is part of it. */
  left: number;
  crc: number;
  /** The last four bytes seen. */
  tail: Buffer;
  /** As much of the body as is wanted. */
  readonly kept: Buffer[];
  keep: number;
};

/**
 * Reads a binary log as it passes, and proves it whole: every event is there, follows the one before it and matches its checksum.
 * Memory does not grow with the log. Bytes behind the first damage are counted and not looked at.
 * @throws {BackupError} DATA_DAMAGED when these bytes are no binary log that can be read, from `push()` or `finish()`.
 */
export class BinlogScanner {
  readonly #name: string;
  readonly #transactions: Transactions;
  readonly #head = createHash("sha256");
  #pending = Buffer.alloc(0);
  #bytes = 0;
  #offset = 0;
  #last = 0;
  #current: Current | undefined;
  #format: LogFormat | undefined;
  #createdAt = 0;
  #lastAt = 0;
  #serverId = 0;
  #inUse = false;
  #previousGtid: string | undefined;
  #previousLogged: string | undefined;
  #loadsFiles = false;
  #firstOffset = 0;
  #end: BinlogEnd = "open";
  #damage: BinlogDamage | undefined;

  /** @param name of the log, for errors. */
  constructor(name: string, { onTransaction }: ScanOptions = {}) {
    this.#name = name;
    this.#transactions = new Transactions(({ gtid, number, source, ...rest }) => {
      const text = gtid === undefined ? source && `${source}:${number}` : formatDomainGtid(gtid);
      onTransaction?.({ ...rest, gtid: text });
    }, onTransaction !== undefined);
  }

  /** Whether the first transaction was seen, so that all that tells the log from others was read. */
  get isBegun(): boolean {
    return this.#transactions.isBegun;
  }

  /** Where the last whole event begins, and where it ends; both 0 before the first one. */
  get lastEvent(): { readonly start: number; readonly end: number } {
    return { start: this.#last, end: this.#last === 0 ? 0 : this.#offset };
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let at = 0; at < bytes.length && this.#damage === undefined; ) {
      at += this.#readWhole(bytes, at) || this.#readPart(bytes, at);
    }
  }

  /** All bytes were pushed. */
  finish(): BinlogScan {
    const format = this.#format;
    if (this.#damage === undefined) this.#findCut();
    if (format === undefined) throw this.#refused(this.#damage?.what ?? "it is empty");
    const { endOffset, count, gtid, logged, firstAt, lastAt, isInside } = this.#transactions.finish();
    const isTorn = this.#damage !== undefined || isInside;
    return {
      log: {
        flavour: format.flavour,
        serverId: this.#serverId,
        head: this.#head.digest("hex").slice(0, 32),
        checksums: format.checksums,
        firstOffset: this.#firstOffset,
        endOffset: Math.max(endOffset, this.#firstOffset),
        end: isTorn ? "torn" : this.#end,
        inUse: this.#inUse,
        transactions: count,
        lastAt: new Date(Math.max(this.#lastAt, this.#createdAt) * 1000),
        firstCommitAt: dateOf(firstAt),
        lastCommitAt: dateOf(lastAt),
        previousGtid: this.#previousGtid,
        ...(logged !== undefined && { logged }),
        ...(this.#previousLogged !== undefined && { previousLogged: this.#previousLogged }),
        ...(format.flavour === "mariadb" && { loadsFiles: this.#loadsFiles }),
      },
      createdAt: new Date(this.#createdAt * 1000),
      serverVersion: format.serverVersion,
      gtid,
      bytes: this.#bytes,
      damage: this.#damage,
    };
  }

  #takeGtidList(gtids: readonly DomainGtid[]): void {
    this.#previousGtid = formatGtidPosition(positionOf(gtids));
    const logged = gtids.map(
      ({ domain, server, sequence: to }) => [`${domain}-${server}`, [{ from: to, to }]] as const,
    );
    this.#previousLogged = formatLogged(new Map(logged));
  }

  #findCut(): void {
    const isInside = this.#current !== undefined || this.#pending.length > 0;
    if (isInside) this.#damage = { offset: this.#offset, what: "it ends in the middle of an event" };
  }

  #refused(what: string): BackupError {
    return new BackupError("DATA_DAMAGED", `Cannot read "${this.#name}" as a binary log: ${what}`);
  }

  /**
   * Take an event that lies in one chunk, as nearly all do, where it lies.
   * @returns how many bytes were taken; 0 when it has to be put together.
   */
  #readWhole(chunk: Buffer, at: number): number {
    const left = chunk.length - at;
    const format = this.#format;
    if (format === undefined || this.#current !== undefined || this.#pending.length > 0 || left < HEADER) return 0;
    const length = chunk.readUInt32LE(at + 9);
    const type = chunk.readUInt8(at + 4);
    if (length > left || length < HEADER + 4 || type === EVENT.format) return 0;
    const event = chunk.subarray(at, at + length);
    const what = this.#misplaced(length, event.readUInt32LE(13)) ?? mismatch(event, format);
    if (what === undefined) this.#takeWhole(type, event, format);
    else this.#damage = { offset: this.#offset, what };
    return length;
  }

  #takeWhole(type: number, event: Buffer, { checksums }: LogFormat): void {
    const start = this.#offset;
    const isKept = keptOf(type) > 0;
    const body = isKept ? event.subarray(HEADER, checksums ? event.length - 4 : event.length) : NOTHING;
    const [at, server, flags] = [event.readUInt32LE(0), event.readUInt32LE(5), event.readUInt16LE(17)];
    if (isEncryption({ type, flags })) throw new EncryptedLogError(this.#name);
    this.#guarded(start, event.length, () => {
      this.#look({ type, at, server, start, end: start + event.length, body }, event);
    });
  }

  /** Go on behind an event that could be taken; one that does not hold what it should is damage. */
  #guarded(start: number, length: number, take: () => void): void {
    try {
      take();
    } catch (error) {
      if (error instanceof BackupError) throw error;
      this.#damage = { offset: start, what: "an event does not hold what it should" };
    }
    if (this.#damage !== undefined) return;
    this.#offset = start + length;
    this.#last = start;
  }

  /** @returns how many bytes were taken. */
  #readPart(chunk: Buffer, at: number): number {
    return this.#current === undefined ? this.#readHeader(chunk, at) : this.#readBody(this.#current, chunk, at);
  }

  /** Collect the magic bytes or the header of an event. @returns how many bytes were taken. */
  #readHeader(chunk: Uint8Array, at: number): number {
    const wanted = this.#offset === 0 ? MAGIC.length : HEADER;
    const taken = Math.min(wanted - this.#pending.length, chunk.length - at);
    this.#pending = Buffer.concat([this.#pending, chunk.subarray(at, at + taken)]);
    if (this.#pending.length < wanted) return taken;
    const header = this.#pending;
    this.#pending = Buffer.alloc(0);
    if (this.#offset === 0) this.#checkMagic(header);
    else this.#begin(header);
    return taken;
  }

  #checkMagic(magic: Buffer): void {
    if (magic.equals(ENCRYPTED_MAGIC)) throw new EncryptedLogError(this.#name);
    if (!magic.equals(MAGIC)) throw this.#refused("it does not begin like one");
    this.#head.update(magic);
    this.#offset = MAGIC.length;
  }

  #begin(header: Buffer): void {
    const type = header.readUInt8(4);
    if (this.#format === undefined && type !== EVENT.format) throw this.#refused("its first event describes no format");
    const length = header.readUInt32LE(9);
    const what = this.#misplaced(length, header.readUInt32LE(13));
    if (what !== undefined) {
      this.#damage = { offset: this.#offset, what };
      return;
    }
    const flags = header.readUInt16LE(17);
    // A server computes the checksum before it marks the log as open.
    if (type === EVENT.format) header.writeUInt16LE(flags & ~IN_USE, 17);
    this.#current = {
      start: this.#offset,
      type,
      at: header.readUInt32LE(0),
      server: header.readUInt32LE(5),
      length,
      flags,
      left: length - HEADER,
      crc: crc32(header),
      tail: Buffer.alloc(0),
      kept: isOfHead(type) ? [header] : [],
      keep: keptOf(type),
    };
    if (length === HEADER) this.#complete(this.#current);
  }

  /** What is wrong with the place or length of an event; `undefined` when nothing is. */
  #misplaced(length: number, next: number): string | undefined {
    if (length < HEADER + (this.#format?.checksums === true ? 4 : 0)) return "an event is too short";
    // The place is 32 bits wide, and a log may be longer.
    if (next === 0 || next === (this.#offset + length) % 2 ** 32) return undefined;
    return "an event is not where the server wrote it";
  }

  /** @returns how many bytes were taken. */
  #readBody(current: Current, chunk: Uint8Array, at: number): number {
    const taken = Math.min(current.left, chunk.length - at);
    const part = chunk.subarray(at, at + taken);
    // All but the last four bytes of an event are what its checksum is of.
    const plain = Math.max(0, Math.min(taken, current.left - 4));
    if (this.#isChecked(current)) current.crc = crc32(part.subarray(0, plain), current.crc);
    if (plain < taken) current.tail = Buffer.concat([current.tail, part.subarray(plain)]);
    const kept = Math.min(current.keep, taken);
    if (kept > 0) current.kept.push(Buffer.from(part.subarray(0, kept)));
    current.keep -= kept;
    current.left -= taken;
    if (current.left === 0) this.#complete(current);
    return taken;
  }

  #isChecked({ type }: Current): boolean {
    return type === EVENT.format || this.#format?.checksums === true;
  }

  #complete(current: Current): void {
    this.#current = undefined;
    this.#guarded(current.start, current.length, () => this.#take(current));
  }

  #take(current: Current): void {
    const kept = Buffer.concat(current.kept);
    const header = isOfHead(current.type) ? HEADER : 0;
    const isChecked = this.#endsWithChecksum(current, kept.subarray(header));
    if (isChecked && current.tail.readUInt32LE(0) !== current.crc) {
      this.#damage = { offset: current.start, what: "an event does not match its checksum" };
      return;
    }
    if (current.type === EVENT.format) this.#takeFormat(current, kept.subarray(header));
    if (isEncryption(current)) throw new EncryptedLogError(this.#name);
    const isWhole = kept.length === header + current.length - HEADER;
    const body = kept.subarray(header, isChecked && isWhole ? kept.length - 4 : kept.length);
    this.#look({ ...current, end: current.start + current.length, body }, kept);
  }

  #endsWithChecksum({ type }: Current, body: Buffer): boolean {
    return type === EVENT.format ? isFormatChecked(body) : this.#format?.checksums === true;
  }

  #takeFormat(current: Current, body: Buffer): void {
    if (this.#format !== undefined) throw new RangeError("a log describes its format once");
    this.#format = readFormat(body);
    this.#createdAt = current.at;
    this.#serverId = current.server;
    this.#inUse = (current.flags & IN_USE) !== 0;
  }

  #look(event: BinlogEvent, bytes: Buffer): void {
    if (event.at > this.#lastAt) this.#lastAt = event.at;
    if (isOfHead(event.type)) this.#head.update(bytes);
    if (event.type === EVENT.previousGtids) this.#previousGtid = readPreviousGtids(event.body);
    if (event.type === EVENT.mariadbGtidList) this.#takeGtidList(readGtidList(event.body));
    if (isOfLoad(event.type)) this.#loadsFiles = true;
    if (isAboutLog(event.type) && !this.#transactions.isBegun) this.#firstOffset = event.end;
    this.#end = endWith(event.type);
    this.#transactions.take(event);
  }
}

function dateOf(microseconds: number | undefined): Date | undefined {
  return microseconds === undefined ? undefined : new Date(Math.floor(microseconds / 1000));
}

/** Read a binary log to its end. @throws {BackupError} as `BinlogScanner`, and what `content` throws. */
export async function scanBinlog(content: ByteStream, name: string, options: ScanOptions = {}): Promise<BinlogScan> {
  const scanner = new BinlogScanner(name, options);
  for await (const chunk of content) scanner.push(chunk);
  return scanner.finish();
}
