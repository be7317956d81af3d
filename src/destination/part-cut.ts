import { BackupError } from "../domain/errors.ts";
import { humanBytes } from "../domain/human.ts";
import type { Measured } from "../lib/bytes.ts";
import type { DriverLimits } from "./driver.ts";
import { nextPartBytes, type PartPlan } from "./part-plan.ts";
import type { PartPool } from "./part-pool.ts";

/** A piece of content in a buffer of the pool, which whoever has it gives back. Only the last may be empty. */
export type Part = {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
  readonly buffer: Buffer;
  readonly isLast: boolean;
};

type Cutting = {
  readonly plan: PartPlan;
  readonly pool: PartPool;
  readonly limits: Pick<DriverLimits, "mostParts" | "mostObjectBytes">;
  readonly signal: AbortSignal;
};

/**
 * Cut content into parts, copying and measuring it. A part comes when more follows it, or at the end: so the last one is known as such,
 * and content that fits into one part is the last part from the beginning.
 */
export async function* cutParts(measured: Measured, cutting: Cutting): AsyncGenerator<Part, void> {
  const cutter = new Cutter(cutting);
  await cutter.begin();
  for await (const chunk of measured.content) {
    measured.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      if (cutter.isFull) {
        yield cutter.part(false);
        await cutter.begin();
      }
      at += cutter.fill(chunk.subarray(at));
    }
  }
  measured.finish();
  yield cutter.part(true);
}

/** Fills one buffer after the other. */
class Cutter {
  readonly #cutting: Cutting;
  #number = 0;
  /** Bytes in the parts before this one. */
  #sent = 0;
  #size = 0;
  #filled = 0;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(cutting: Cutting) {
    this.#cutting = cutting;
  }

  get isFull(): boolean {
    return this.#filled === this.#size;
  }

  /** Begin the next part. Waits for a buffer. */
  async begin(): Promise<void> {
    const { plan, pool, signal } = this.#cutting;
    this.#number += 1;
    this.#sent += this.#filled;
    this.#refuseBeyond();
    this.#size = nextPartBytes(plan, this.#sent);
    this.#buffer = await pool.take(this.#size, signal);
    this.#filled = 0;
  }

  /** @returns how many bytes found room. */
  fill(bytes: Uint8Array): number {
    const piece = bytes.subarray(0, this.#size - this.#filled);
    this.#buffer.set(piece, this.#filled);
    this.#filled += piece.length;
    this.#refuseBeyond();
    return piece.length;
  }

  part(isLast: boolean): Part {
    return { number: this.#number, bytes: this.#buffer.subarray(0, this.#filled), buffer: this.#buffer, isLast };
  }

  /** More than the store takes would be refused in the end: say so before it is sent. */
  #refuseBeyond(): void {
    const { mostParts, mostObjectBytes } = this.#cutting.limits;
    if (this.#number <= mostParts && this.#sent + this.#filled <= mostObjectBytes) return;
    const most = this.#number > mostParts ? this.#sent : mostObjectBytes;
    throw new BackupError("NO_SPACE", `Cannot store more than ${humanBytes(most)} in one object: the copy is larger`, {
      hint: "Compress it, leave out what need not be copied, or use a destination that takes larger objects.",
    });
  }
}
