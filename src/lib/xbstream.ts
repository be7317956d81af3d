import { crc32 } from "node:zlib";
import { BackupError } from "../domain/errors.ts";
import type { ByteStream } from "./bytes.ts";

/** What an intact stream holds. */
export type XbstreamReport = {
  /** Number of files. */
  readonly files: number;
  /** Bytes of the files' contents; holes are not counted. */
  readonly payloadBytes: number;
  /** Path of the file that ended last, as it was stored, such as `xtrabackup_info`. */
  readonly lastFile: string;
};

const MAGIC = Buffer.from("XBSTCK01");
/** Magic, flags, type, length of the path. */
const FIXED_BYTES = 14;
/** The tools refuse longer paths. */
const MAX_PATH_BYTES = 511;
/** XtraBackup writes only its list of tablespaces behind this file, mariadb-backup nothing. */
const INFO_FILE = /^(?:\.\/)?(?:xtrabackup|mariadb_backup)_info(?:\.(?:qp|lz4|zst))?(?:\.xbcrypt)?$/;

/** Bytes in order, pulled as they are needed; nothing is kept but the chunk at hand. */
class Bytes implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  /** How many bytes were taken. */
  offset = 0;

  constructor(content: ByteStream) {
    this.#iterator = content[Symbol.asyncIterator]();
  }

  /** At most `limit` bytes, at least one; none at the end. Valid until the next call. */
  async some(limit: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0 && !this.#ended) {
      const next: IteratorResult<Uint8Array, unknown> = await this.#iterator.next();
      if (next.done === true) this.#ended = true;
      else this.#chunk = next.value;
    }
    const taken = this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.offset += taken.length;
    return taken;
  }

  /** Exactly `count` bytes, fewer at the end. For headers. */
  async exactly(count: number): Promise<Buffer> {
    const taken = Buffer.alloc(count);
    let length = 0;
    while (length < count) {
      const more = await this.some(count - length);
      if (more.length === 0) break;
      taken.set(more, length);
      length += more.length;
    }
    return taken.subarray(0, length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.();
  }
}

type Chunk = { readonly type: string; readonly path: string; readonly start: number };

function damaged(what: string, { start, path }: Pick<Chunk, "start" | "path">): BackupError {
  const place = path === "" ? "stream" : path;
  return new BackupError("DATA_DAMAGED", `Cannot read "${place}" at byte ${start} of the stream: ${what}`, {
    hint: "Take another copy, and find out what changed this one.",
  });
}

function isSafe(path: string): boolean {
  if (path === "" || path.startsWith("/") || path.includes("\0")) return false;
  return !path.split("/").includes("..");
}

/** The files of one stream as its chunks pass by. */
class Inspection {
  readonly #bytes: Bytes;
  /** Where the next chunk of each file that has not ended belongs. */
  readonly #open = new Map<string, number>();
  readonly #ended = new Set<string>();
  #payloadBytes = 0;
  #lastFile = "";
  #hasInfo = false;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** Check one chunk. @returns whether there was one. */
  async step(): Promise<boolean> {
    const chunk = await this.#header();
    if (chunk === undefined) return false;
    if (this.#ended.has(chunk.path)) throw damaged("this file had ended before", chunk);
    if (chunk.type === "E") this.#end(chunk);
    else await this.#content(chunk);
    return true;
  }

  report(): XbstreamReport {
    const end = { start: this.#bytes.offset, path: "" };
    const unfinished = this.#open.keys().next().value;
    if (unfinished !== undefined) throw damaged("the stream ends before this file does", { ...end, path: unfinished });
    if (!this.#hasInfo) throw damaged("it ends before the tool's summary, which is written at its end", end);
    return { files: this.#ended.size, payloadBytes: this.#payloadBytes, lastFile: this.#lastFile };
  }

  async #header(): Promise<Chunk | undefined> {
    const start = this.#bytes.offset;
    const fixed = await this.#bytes.exactly(FIXED_BYTES);
    if (fixed.length === 0) return undefined;
    if (fixed.length < FIXED_BYTES) throw damaged("it is cut in the middle of a header", { start, path: "" });
    if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw damaged("no chunk begins here", { start, path: "" });
    }
    // Flags may mark a chunk as one to be ignored; no tool has ever written such a chunk.
    const type = fixed.readUInt8(8) === 0 ? fixed.toString("latin1", 9, 10) : "";
    if (!"PSE".includes(type) || type === "") throw damaged("its chunk is of an unknown kind", { start, path: "" });
    return { type, path: await this.#path(fixed.readUInt32LE(10), start), start };
  }

  async #path(length: number, start: number): Promise<string> {
    if (length > MAX_PATH_BYTES) throw damaged(`a path of ${length} bytes is too long`, { start, path: "" });
    const bytes = await this.#bytes.exactly(length);
    if (bytes.length < length) throw damaged("it is cut in the middle of a path", { start, path: "" });
    // One character for each byte, so that different paths stay different.
    const path = bytes.toString("latin1");
    if (!isSafe(path)) throw damaged("this path leads out of the directory", { start, path: JSON.stringify(path) });
    return path;
  }

  #end(chunk: Chunk): void {
    this.#open.delete(chunk.path);
    this.#ended.add(chunk.path);
    this.#lastFile = chunk.path;
    if (INFO_FILE.test(chunk.path)) this.#hasInfo = true;
  }

  async #content(chunk: Chunk): Promise<void> {
    const mapped = chunk.type === "S" ? (await this.#field(4, chunk)).readUInt32LE(0) : 0;
    const field = await this.#field(20, chunk);
    const length = field.readBigUInt64LE(0);
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged("its length is impossible", chunk);
    const place = this.#open.get(chunk.path) ?? 0;
    if (field.readBigUInt64LE(8) !== BigInt(place)) {
      throw damaged(`it continues at ${field.readBigUInt64LE(8)}, ${place} bytes came before`, chunk);
    }
    const { crc, holes } = await this.#map(mapped, chunk);
    if ((await this.#payload(Number(length), crc, chunk)) !== field.readUInt32LE(16)) {
      throw damaged("its checksum does not match", chunk);
    }
    this.#payloadBytes += Number(length);
    this.#open.set(chunk.path, place + holes + Number(length));
  }

  async #field(length: number, chunk: Chunk): Promise<Buffer> {
    const bytes = await this.#bytes.exactly(length);
    if (bytes.length < length) throw damaged("it is cut in the middle of a header", chunk);
    return bytes;
  }

  /** The map of a chunk with holes: pairs of how much to leave out and how much to write, 4 bytes each. */
  async #map(pairs: number, chunk: Chunk): Promise<{ readonly crc: number; readonly holes: number }> {
    let crc = 0;
    let holes = 0;
    for (let n = 0; n < pairs; n++) {
      const pair = await this.#field(8, chunk);
      crc = crc32(pair, crc);
      holes += pair.readUInt32LE(0);
    }
    return { crc, holes };
  }

  /** @returns the checksum of what went before and of `length` bytes. */
  async #payload(length: number, crc: number, chunk: Chunk): Promise<number> {
    let sum = crc;
    let left = length;
    while (left > 0) {
      const bytes = await this.#bytes.some(left);
      if (bytes.length === 0) throw damaged(`it is cut, ${left} bytes are missing`, chunk);
      sum = crc32(bytes, sum);
      left -= bytes.length;
    }
    return sum;
  }
}

/**
 * Read a stream of xtrabackup or mariadb-backup to its end and check every chunk: order, paths, checksums, and that every file
 * ended. Memory grows with the number of files only.
 * @throws {BackupError} DATA_DAMAGED naming the place and the file, also when the stream was cut between two chunks.
 */
export async function inspectXbstream(content: ByteStream): Promise<XbstreamReport> {
  await using bytes = new Bytes(content);
  const inspection = new Inspection(bytes);
  while (await inspection.step());
  return inspection.report();
}
