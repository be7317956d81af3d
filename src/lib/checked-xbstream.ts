import type { ByteStream } from "./bytes.ts";
import { inspectXbstream } from "./xbstream.ts";

/** Passes chunks on to a reader of its own pace: `give()` waits until the reader is done with what it got. */
class Handover implements AsyncIterableIterator<Uint8Array> {
  #chunk: Uint8Array | undefined;
  #ended = false;
  #abandoned = false;
  #wakeReader: () => void = () => {};
  #wakeGiver: () => void = () => {};

  /** @returns whether the reader wants more. */
  async give(chunk: Uint8Array): Promise<boolean> {
    if (this.#abandoned) return false;
    this.#chunk = chunk;
    const done = new Promise<void>((resolve) => {
      this.#wakeGiver = resolve;
    });
    this.#wakeReader();
    await done;
    return !this.#abandoned;
  }

  /** The reader has ended. */
  abandon(): void {
    this.#abandoned = true;
    this.#wakeGiver();
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** Asking for the next chunk says that the last one is done with. */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#chunk === undefined) this.#wakeGiver();
    while (this.#chunk === undefined && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const value = this.#chunk;
    this.#chunk = undefined;
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/**
 * The same bytes, looked through as they pass: the stream ends only when it is an intact one. See `inspectXbstream()`.
 * @throws {BackupError} DATA_DAMAGED on a pull.
 */
export async function* checkedXbstream(content: ByteStream): AsyncGenerator<Uint8Array, void> {
  const handover = new Handover();
  const inspection = inspectXbstream(handover);
  const abandon = () => handover.abandon();
  // Awaited below wherever the bytes go on; a reader that leaves early does not want to know.
  inspection.then(abandon, abandon);
  for await (const chunk of content) {
    if (!(await handover.give(chunk))) await inspection;
    yield chunk;
  }
  handover.end();
  await inspection;
}
