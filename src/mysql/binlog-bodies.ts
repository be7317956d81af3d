import type { BinlogFlavour } from "../domain/binlog.ts";
import type { DomainGtid } from "../domain/gtid-position.ts";
import { formatGtidSet, type GtidRange, normalized } from "../domain/gtid-set.ts";

/** Types of events that say something about the log or its transactions. */
export const EVENT = {
  query: 2,
  stop: 3,
  rotate: 4,
  createFile: 8,
  appendBlock: 9,
  newLoad: 12,
  format: 15,
  xid: 16,
  beginLoad: 17,
  executeLoad: 18,
  gtid: 33,
  anonymous: 34,
  previousGtids: 35,
  xaPrepare: 38,
  payload: 40,
  taggedGtid: 42,
  mariadbCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  mariadbEncryption: 164,
  mariadbQuery: 165,
} as const;

/** What the first event of a log says. */
export type LogFormat = {
  readonly flavour: BinlogFlavour;
  readonly serverVersion: string;
  /** Whether this event and all that follow end with a CRC32. */
  readonly checksums: boolean;
};

/** Servers older than MySQL 5.6 and MariaDB 5.3 write a shorter one, without checksums. */
const FORMAT_BYTES = 110 - 19;

/** Kinds of checksums: none, and CRC32. */
const [NO_CHECKSUM, CRC32] = [0, 1];

/** Whether a format description event ends with a checksum of its own, also where others do not. */
export function isFormatChecked(body: Buffer): boolean {
  return body.length >= FORMAT_BYTES;
}

/**
 * @param body of the format description event, with all that follows its header.
 * @throws {RangeError} when it is none that a server writes.
 */
export function readFormat(body: Buffer): LogFormat {
  const version = body.subarray(2, 52);
  const end = version.indexOf(0);
  const serverVersion = version.subarray(0, end === -1 ? 50 : end).toString("latin1");
  const kind = isFormatChecked(body) ? body[body.length - 5] : NO_CHECKSUM;
  if (body.length < 57 || body.readUInt16LE(0) !== 4 || (kind !== NO_CHECKSUM && kind !== CRC32)) {
    throw new RangeError("a log has another format than is known");
  }
  return { flavour: /mariadb/i.test(serverVersion) ? "mariadb" : "mysql", serverVersion, checksums: kind === CRC32 };
}

/** The GTID of a transaction, and what its event tells besides. */
export type GtidEvent = {
  /** `UUID`, `UUID:TAG` or, of MariaDB, undefined. */
  readonly source: string | undefined;
  readonly number: bigint;
  readonly gtid: DomainGtid | undefined;
  /** Microseconds since 1970; `undefined` when the event does not say. */
  readonly committedAt: number | undefined;
  /** The next statement is all of it: no COMMIT follows. */
  readonly standalone: boolean;
};

/** Read an event that begins a transaction. @throws {RangeError} when it is too short. */
export function readGtidEvent(type: number, server: number, body: Buffer): GtidEvent {
  switch (type) {
    case EVENT.mariadbGtid:
      return readMariadbGtid(server, body);
    case EVENT.taggedGtid:
      return readTaggedGtid(body);
    default:
      return readMysqlGtid(body, type === EVENT.anonymous);
  }
}

function readMariadbGtid(server: number, body: Buffer): GtidEvent {
  const sequence = body.readBigUInt64LE(0);
  const gtid = { domain: body.readUInt32LE(8), server, sequence };
  return {
    source: undefined,
    number: sequence,
    gtid,
    committedAt: undefined,
    standalone: ((body[12] ?? 0) & 1) === 1,
  };
}

/** Behind flags, UUID, number, a byte 2 and two numbers for parallel appliers, a MySQL 8 writes when it was committed here. */
const COMMITTED_AT = 1 + 16 + 8 + 1 + 8 + 8;

function readMysqlGtid(body: Buffer, isAnonymous: boolean): GtidEvent {
  const hasTime = body.length >= COMMITTED_AT + 7 && body[25] === 2;
  return {
    source: isAnonymous ? undefined : uuidText(body.subarray(1, 17)),
    number: body.readBigInt64LE(17),
    gtid: undefined,
    // The highest bit says that the time of the first commit, on another server, follows.
    committedAt: hasTime
      ? body.readUIntLE(COMMITTED_AT, 6) + ((body[COMMITTED_AT + 6] ?? 0) & 0x7f) * 2 ** 48
      : undefined,
    standalone: false,
  };
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Numbers of the fields of a tagged GTID event; a number without a name here ends what is read. */
const FIELD = { flags: 0n, uuid: 1n, number: 2n, tag: 3n, lastCommitted: 4n, sequence: 5n, committedAt: 6n } as const;

function readTaggedGtid(body: Buffer): GtidEvent {
  const words = new VariableWords(body);
  // Version of the encoding, size of the message, last field that must be understood.
  for (let skipped = 0; skipped < 3; skipped++) words.unsigned();
  words.expect(FIELD.flags);
  words.unsigned();
  words.expect(FIELD.uuid);
  const uuid = uuidText(Uint8Array.from({ length: 16 }, () => Number(words.unsigned())));
  words.expect(FIELD.number);
  const number = words.signed();
  words.expect(FIELD.tag);
  const tag = words.text();
  words.expect(FIELD.lastCommitted);
  words.signed();
  words.expect(FIELD.sequence);
  words.signed();
  words.expect(FIELD.committedAt);
  const committedAt = Number(words.unsigned());
  return { source: tag === "" ? uuid : `${uuid}:${tag}`, number, gtid: undefined, committedAt, standalone: false };
}

/** Numbers of one to nine bytes: as many more as the first one ends with ones, the value in the bits above. */
class VariableWords {
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  unsigned(): bigint {
    const first = this.#body.readUInt8(this.#at);
    let more = 0;
    while (((first >> more) & 1) === 1) more += 1;
    if (more === 8) {
      this.#at += 9;
      return this.#body.readBigUInt64LE(this.#at - 8);
    }
    let value = 0n;
    for (let byte = more; byte >= 0; byte--) value = (value << 8n) | BigInt(this.#body.readUInt8(this.#at + byte));
    this.#at += more + 1;
    return value >> BigInt(more + 1);
  }

  signed(): bigint {
    const value = this.unsigned();
    return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n;
  }

  text(): string {
    const length = Number(this.unsigned());
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#body.length) throw new RangeError("a text is longer than its event");
    return this.#body.toString("latin1", start, this.#at);
  }

  expect(field: bigint): void {
    if (this.unsigned() !== field) throw new RangeError("an event holds another field than expected");
  }
}

/** Read the GTID set that a log of MySQL begins with, as text. @throws {RangeError} when it is too short. */
export function readPreviousGtids(body: Buffer): string {
  // Where a set may hold tags, the first and the last byte of the count are 1.
  const isTagged = body[7] === 1;
  const count = isTagged ? body.readUIntLE(1, 6) : Number(body.readBigUInt64LE(0));
  const ranges = new Map<string, GtidRange[]>();
  let at = 8;
  for (let index = 0; index < count; index++) {
    const uuid = uuidText(body.subarray(at, at + 16));
    at += 16;
    // One byte counts the letters, twice.
    const letters = isTagged ? body.readUInt8(at) / 2 : 0;
    const tag = isTagged ? body.toString("latin1", at + 1, at + 1 + letters) : "";
    if (isTagged) at += 1 + letters;
    const own = readRanges(body, at);
    at += 8 + own.length * 16;
    const source = tag === "" ? uuid : `${uuid}:${tag}`;
    ranges.set(source, [...(ranges.get(source) ?? []), ...own]);
  }
  return formatGtidSet(normalized(ranges));
}

function readRanges(body: Buffer, at: number): GtidRange[] {
  const count = Number(body.readBigUInt64LE(at));
  if (at + 8 + count * 16 > body.length) throw new RangeError("a GTID set is longer than its event");
  return Array.from({ length: count }, (_, index) => {
    const place = at + 8 + index * 16;
    return { from: body.readBigInt64LE(place), to: body.readBigInt64LE(place + 8) - 1n };
  });
}

/** Read the list of GTIDs that a log of MariaDB begins with: the last one of each domain and server. @throws {RangeError} when it is too short. */
export function readGtidList(body: Buffer): DomainGtid[] {
  const count = body.readUInt32LE(0) & 0x0fffffff;
  if (4 + count * 16 > body.length) throw new RangeError("a GTID list is longer than its event");
  return Array.from({ length: count }, (_, index) => {
    const at = 4 + index * 16;
    return { domain: body.readUInt32LE(at), server: body.readUInt32LE(at + 4), sequence: body.readBigUInt64LE(at + 8) };
  });
}

/** Enough of a statement to tell one that ends a transaction. */
const STATEMENT_BYTES = 32;

/** The beginning of the statement of a query event. */
export function readStatement(body: Buffer): string {
  if (body.length < 13) return "";
  const start = 13 + body.readUInt16LE(11) + (body[8] ?? 0) + 1;
  return body.toString("latin1", start, start + STATEMENT_BYTES);
}
