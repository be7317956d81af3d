import { untilAborted } from "../lib/abortable.ts";
import { Scavenger } from "../lib/scavenger.ts";
import { POOL_BYTES } from "./part-plan.ts";

/**
 * The buffers of one upload or download: used again, and never more than `count`, or more than `POOL_BYTES` together unless it is
 * two. Sizes that are asked for do not fall. Dispose it at the end, or the next copy has its own beside it.
 */
export class PartPool {
  readonly #count: number;
  readonly #free: Buffer[] = [];
  readonly #scavenger = new Scavenger("buffers");
  #lent = 0;
  /** Of all buffers, lent or free. */
  #bytes = 0;
  #wake: () => void = () => {};

  constructor(count: number) {
    this.#count = count;
  }

  /** Borrow a buffer of at least `bytes`; waits until there is one. One caller at a time. @throws the signal's reason. */
  async take(bytes: number, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      const buffer = this.#find(bytes) ?? this.#make(bytes);
      if (buffer !== undefined) {
        this.#lent += 1;
        return buffer;
      }
      const given = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await untilAborted([signal], given);
    }
  }

  /** Give a buffer back. */
  give(buffer: Buffer): void {
    this.#lent -= 1;
    this.#free.push(buffer);
    this.#wake();
  }

  /** Forget all buffers. */
  [Symbol.dispose](): void {
    this.#free.length = 0;
    this.#forget(this.#bytes);
  }

  /** A free one; those that became too small are forgotten. */
  #find(bytes: number): Buffer | undefined {
    for (let buffer = this.#free.pop(); buffer !== undefined; buffer = this.#free.pop()) {
      if (buffer.length >= bytes) return buffer;
      this.#forget(buffer.length);
    }
    return undefined;
  }

  #forget(bytes: number): void {
    this.#bytes -= bytes;
    this.#scavenger.dropped(bytes);
  }

  #make(bytes: number): Buffer | undefined {
    const isRoom = this.#bytes + bytes <= Math.max(POOL_BYTES, 2 * bytes);
    if (this.#lent >= this.#count || !isRoom) return undefined;
    this.#bytes += bytes;
    return Buffer.allocUnsafeSlow(bytes);
  }
}
