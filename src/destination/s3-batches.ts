import type { IncomingMessage } from "node:http";

/** Pieces of TLS have 16 KiB: to hand over each of them would cost more than to copy them together. */
const BATCH_BYTES = 512 * 1024;

/** The bytes of a body in larger pieces. */
export class Batches {
  readonly #body: IncomingMessage;
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #filled = 0;
  /** Came with the end of the last batch, and belongs to the next one. */
  #rest: Buffer = Buffer.alloc(0);
  #end: "ended" | Error | undefined;
  #wake: () => void = () => {};

  constructor(body: IncomingMessage) {
    this.#body = body;
    body.on("data", (chunk: Buffer) => this.#take(chunk));
    body.once("end", () => this.#finish("ended"));
    body.once("error", (error) => this.#finish(error));
    body.once("close", () => this.#finish(new Error("the connection was closed")));
    body.pause();
  }

  /**
   * The next piece, valid until the next call; `undefined` at the end.
   * @throws {Error} when the body breaks off, after what had come before.
   */
  async next(): Promise<Uint8Array | undefined> {
    this.#filled = 0;
    this.#take(this.#rest);
    while (this.#filled < BATCH_BYTES && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#body.resume();
      });
    }
    if (this.#filled > 0) return this.#batch.subarray(0, this.#filled);
    if (this.#end instanceof Error) throw this.#end;
    return undefined;
  }

  #take(chunk: Buffer): void {
    const taken = chunk.copy(this.#batch, this.#filled);
    this.#filled += taken;
    this.#rest = chunk.subarray(taken);
    if (this.#filled < BATCH_BYTES) return;
    this.#body.pause();
    this.#wake();
  }

  #finish(end: "ended" | Error): void {
    this.#end ??= end;
    this.#wake();
  }
}
