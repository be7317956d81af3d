import { untilAborted } from "./abortable.ts";

/** Lets a number of callers in at the same time; the others wait, first come, first served. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#free = width;
  }

  /** Wait for a place; disposing it gives it to the next. @throws {Error} the reason of a signal that is aborted. */
  async enter(signals: readonly AbortSignal[]): Promise<Disposable> {
    const entering = this.#wait();
    const place = { [Symbol.dispose]: () => this.#leave() };
    try {
      await untilAborted(signals, entering);
      return place;
    } catch (error) {
      void entering.then(() => this.#leave());
      throw error;
    }
  }

  async #wait(): Promise<void> {
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free -= 1;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
