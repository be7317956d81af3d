import { crc32 } from "node:zlib";
import type { BinlogEnd } from "../domain/binlog.ts";
import { EVENT, type LogFormat } from "./binlog-bodies.ts";

const LOADS = new Set<number>([EVENT.createFile, EVENT.appendBlock, EVENT.newLoad, EVENT.beginLoad, EVENT.executeLoad]);

const IGNORABLE = 0x80;

/** Longest event that is kept whole: GTIDs of many servers. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** As much of a statement as tells a COMMIT from others, behind the variables it is run with. */
const STATEMENT_BYTES = 16 * 1024;

const WHOLE = new Set<number>([
  EVENT.format,
  EVENT.gtid,
  EVENT.anonymous,
  EVENT.taggedGtid,
  EVENT.previousGtids,
  EVENT.mariadbGtid,
  EVENT.mariadbGtidList,
]);

const ABOUT_LOG = new Set<number>([
  EVENT.format,
  EVENT.previousGtids,
  EVENT.mariadbGtidList,
  EVENT.mariadbCheckpoint,
  EVENT.mariadbEncryption,
]);

const LAST: ReadonlyMap<number, BinlogEnd> = new Map([
  [EVENT.rotate, "rotated"],
  [EVENT.stop, "stopped"],
]);

/** Whether an event is part of what tells logs of one name apart. */
export function isOfHead(type: number): boolean {
  return type === EVENT.format || type === EVENT.previousGtids || type === EVENT.mariadbGtidList;
}

/** Whether what follows is encrypted. What a server sends is not: it tells its clients to ignore that the log was. */
export function isEncryption({ type, flags }: { readonly type: number; readonly flags: number }): boolean {
  return type === EVENT.mariadbEncryption && (flags & IGNORABLE) === 0;
}

/** What a whole event says by its checksum; `undefined` when it matches, or has none. */
export function mismatch(event: Buffer, { checksums }: LogFormat): string | undefined {
  const end = event.length - 4;
  if (!checksums || crc32(event.subarray(0, end)) === event.readUInt32LE(end)) return undefined;
  return "an event does not match its checksum";
}

/** How much of the body is wanted. */
export function keptOf(type: number): number {
  if (type === EVENT.query) return STATEMENT_BYTES;
  return WHOLE.has(type) ? LIMIT_BYTES : 0;
}

/** Whether an event is about the log itself, not about what was written. */
export function isAboutLog(type: number): boolean {
  return ABOUT_LOG.has(type);
}

/** How a log ends whose last event this is. */
export function endWith(type: number): BinlogEnd {
  return LAST.get(type) ?? "open";
}

/** Whether an event is a part of a LOAD DATA that was logged as a statement: its file, a block of that, or the statement. */
export function isOfLoad(type: number): boolean {
  return LOADS.has(type);
}
