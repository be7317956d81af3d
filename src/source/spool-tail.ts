import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { SpooledLog } from "../domain/binlog-stream.ts";
import { BinlogScanner } from "../mysql/binlog-events.ts";

/** The newest log of a spool, ready to be gone on with. */
export type SpoolTail = SpooledLog & {
  /** Its first and its last event; `undefined` where it has none yet. */
  readonly first: Buffer | undefined;
  readonly last: Buffer | undefined;
  /** Whether it holds a transaction. */
  readonly isBegun: boolean;
};

/** What each binary log begins with. */
export const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);

const CHUNK_BYTES = 1024 * 1024;

/** The end of a log that may be cut off anywhere. */
export async function readTail(path: string, name: string): Promise<SpoolTail> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const scanner = new BinlogScanner(name);
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    scanner.push(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  const { start, end } = scanner.lastEvent;
  if (end === 0) {
    return { name, bytes: MAGIC.length, isClosed: false, first: undefined, last: undefined, isBegun: false };
  }
  const first = await readAt(file, MAGIC.length, await lengthAt(file, MAGIC.length));
  const last = await readAt(file, start, end - start);
  const type = last.readUInt8(4);
  const isClosed = type === 3 || type === 4;
  return { name, bytes: end, isClosed, first, last, isBegun: scanner.isBegun };
}

async function lengthAt(file: FileHandle, at: number): Promise<number> {
  return (await readAt(file, at + 9, 4)).readUInt32LE(0);
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}
