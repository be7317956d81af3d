import { Gate } from "../lib/gate.ts";
import { Scavenger } from "../lib/scavenger.ts";
import type { DriverCalls } from "./driven-calls.ts";
import type { Upload } from "./driver.ts";
import type { Part } from "./part-cut.ts";
import type { PartPool } from "./part-pool.ts";

type Sending = {
  readonly calls: DriverCalls;
  readonly pool: PartPool;
  /** How many at once. */
  readonly width: number;
  /** Ends all of them; aborted with the first failure. */
  readonly stop: AbortController;
};

/** Sends parts in the background, in their order where one is sent at a time. */
export class PartSender {
  readonly #sending: Sending;
  readonly #gate: Gate;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #scavenger = new Scavenger("sent");

  constructor(sending: Sending) {
    this.#sending = sending;
    this.#gate = new Gate(sending.width);
  }

  /** Send a part, again when that can help, and give its buffer back. A failure aborts all. */
  send(upload: Upload, part: Part): void {
    const { stop, pool } = this.#sending;
    const sent = this.#deliver(upload, part).catch((error: unknown) => stop.abort(error));
    void this.#track(sent.then(() => pool.give(part.buffer)));
  }

  /** Wait until no part is under way, whether it was sent or not. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #deliver(upload: Upload, { number, bytes }: Part): Promise<void> {
    const { calls, stop } = this.#sending;
    using _place = await this.#gate.enter([stop.signal]);
    // A driver that does not heed the abort is waited for all the same, in settled().
    await calls.often(stop.signal, () => this.#track(upload.part(number, bytes, { signal: stop.signal })));
    this.#scavenger.dropped(bytes.length);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const ended: Promise<unknown> = Promise.allSettled([work]);
    this.#underWay.add(ended);
    void ended.then(() => this.#underWay.delete(ended));
    return work;
  }
}
