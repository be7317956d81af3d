import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { type ByteStream, type Digest, Measured } from "../lib/bytes.ts";
import { Scavenger } from "../lib/scavenger.ts";
import { abortable } from "./abortable.ts";
import { type CallOptions, ObjectNotFoundError } from "./destination.ts";
import type { DriverCalls } from "./driven-calls.ts";
import { exhausted, hasCode } from "./driven-error.ts";
import type { DriverRange, StoredObject } from "./driver.ts";
import { POOL_BYTES } from "./part-plan.ts";
import { PartPool } from "./part-pool.ts";

/** What is asked for at once. */
const RANGE_BYTES = 6 * 1024 * 1024;

/** Ranges in memory, the one that is being delivered included. */
const MOST_READS = Math.floor(POOL_BYTES / RANGE_BYTES);

type Read = { readonly range: DriverRange; readonly buffer: Buffer; readonly done: Promise<void> };

/**
 * The bytes of one version of an object: in order, while ranges further on are read ahead. A range that was cut is gone on with from where
 * it stopped. Leaving early ends what is under way.
 * @throws {ObjectNotFoundError} when the object is gone. @throws {BackupError} DATA_DAMAGED when it was replaced meanwhile.
 */
export async function* drivenBytes(
  calls: DriverCalls,
  object: StoredObject,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void> {
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  using reader = new RangeReader(calls, object, stop.signal);
  try {
    signal.throwIfAborted();
    for (let read = await reader.next(); read !== undefined; read = await reader.next()) {
      await read.done;
      yield read.buffer.subarray(0, read.range.bytes);
      signal.throwIfAborted();
      reader.delivered(read);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : exhausted(error);
  } finally {
    signal.removeEventListener("abort", onAbort);
    stop.abort();
    await reader.settled();
  }
}

/** Reads ranges ahead: one at first, since many want no more than the beginning, then as many as the store is good for. */
class RangeReader {
  readonly #calls: DriverCalls;
  readonly #object: StoredObject;
  readonly #signal: AbortSignal;
  readonly #pool: PartPool;
  readonly #most: number;
  readonly #scavenger = new Scavenger("pieces");
  readonly #reads: Read[] = [];
  #width = 1;
  #offset = 0;

  constructor(calls: DriverCalls, object: StoredObject, signal: AbortSignal) {
    this.#calls = calls;
    this.#object = object;
    this.#signal = signal;
    const { parallelReads, parallelParts } = calls.driver.limits;
    this.#most = Math.min(parallelReads ?? parallelParts, MOST_READS);
    this.#pool = new PartPool(this.#most);
  }

  /** The next range in order; it may be under way still. `undefined` behind the last. */
  async next(): Promise<Read | undefined> {
    const { bytes: size, version } = this.#object;
    while (this.#reads.length < this.#width && this.#offset < size) {
      const range = { offset: this.#offset, bytes: Math.min(RANGE_BYTES, size - this.#offset), version };
      const buffer = await this.#pool.take(Math.min(RANGE_BYTES, size), this.#signal);
      const done = this.#fill(buffer, range);
      done.catch(() => {
        // It is seen when its turn comes.
      });
      this.#reads.push({ range, buffer, done });
      this.#offset += range.bytes;
    }
    this.#width = this.#most;
    return this.#reads[0];
  }

  /** The first range was delivered; its buffer is used again. */
  delivered(read: Read): void {
    this.#reads.shift();
    this.#pool.give(read.buffer);
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#reads.map(({ done }) => done));
  }

  async #fill(buffer: Buffer, range: DriverRange): Promise<void> {
    const attempts = this.#calls.attempts(this.#signal);
    for (let filled = 0; filled < range.bytes; ) {
      try {
        const rest = { ...range, offset: range.offset + filled, bytes: range.bytes - filled };
        for await (const chunk of this.#read(rest)) {
          buffer.set(chunk, filled);
          filled += chunk.length;
          this.#scavenger.dropped(chunk.length);
          attempts.progressed();
        }
        if (filled < range.bytes) throw this.#short();
      } catch (error) {
        await attempts.after(this.#explained(error));
      }
    }
  }

  /** One attempt. It may end early, but delivers no more than was asked for. */
  async *#read(range: DriverRange): AsyncGenerator<Uint8Array, void> {
    const { driver } = this.#calls;
    const signal = this.#signal;
    let left = range.bytes;
    for await (const chunk of abortable(driver.read(this.#object.key, range, { signal }), signal)) {
      left -= chunk.length;
      if (left < 0) throw this.#damaged("the store sends more than was asked for");
      yield chunk;
    }
  }

  #short(): BackupError {
    const { key } = this.#object;
    return new BackupError("UNREACHABLE", `Cannot read "${key}" on ${this.#calls.driver.url}: the answer ended early`, {
      retryable: true,
    });
  }

  #damaged(what: string, cause?: unknown): BackupError {
    const { key } = this.#object;
    return new BackupError("DATA_DAMAGED", `Cannot read "${key}" on ${this.#calls.driver.url}: ${what}`, { cause });
  }

  #explained(error: unknown): unknown {
    if (hasCode(error, "CHANGED")) return this.#damaged("it was replaced while it was read", error);
    if (hasCode(error, "NOT_FOUND") && !this.#signal.aborted) {
      return new ObjectNotFoundError(this.#object.key as Key, this.#calls.driver.url, error);
    }
    return this.#calls.explained(error, this.#signal);
  }
}

type Comparison = CallOptions & { readonly found: StoredObject; readonly digest: Digest };

/** Whether an object holds what was sent. Reads all of it. */
export async function isSameContent(calls: DriverCalls, { found, digest, signal }: Comparison): Promise<boolean> {
  const measured = new Measured(drivenBytes(calls, found, { signal }), found.key);
  await drain(measured);
  return measured.digest().sha256 === digest.sha256;
}

async function drain(content: ByteStream): Promise<void> {
  for await (const _ of content);
}
