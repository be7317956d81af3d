import { untilAborted } from "../lib/abortable.ts";
import { Attempts, type RetryClock, type RetryPolicy } from "./attempts.ts";
import { driverError } from "./driven-error.ts";
import type { Driver } from "./driver.ts";

/** A driver at work on one object, as the parts of the shared layer use it. */
export class DriverCalls {
  readonly driver: Driver;
  readonly #retries: Retries;
  readonly #doing: { readonly verb: string; readonly object: string; readonly url: string };

  constructor(driver: Driver, retries: Retries, doing: { readonly verb: string; readonly object: string }) {
    this.driver = driver;
    this.#retries = retries;
    this.#doing = { ...doing, url: driver.url };
  }

  /** Call the driver once. @throws {BackupError} what it throws, explained; the signal's reason once that is aborted, whatever the driver does. */
  async once<T>(signal: AbortSignal, call: (driver: Driver) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      const answer = await untilAborted([signal], call(this.driver));
      signal.throwIfAborted();
      return answer;
    } catch (error) {
      throw this.explained(error, signal);
    }
  }

  /** Call the driver until it succeeds, as long as that can help. @throws {BackupError} its last error. */
  async often<T>(signal: AbortSignal, call: (driver: Driver) => Promise<T>): Promise<T> {
    const attempts = this.attempts(signal);
    for (;;) {
      try {
        return await this.once(signal, call);
      } catch (error) {
        await attempts.after(error);
      }
    }
  }

  attempts(signal: AbortSignal): Attempts {
    return new Attempts(this.#retries.policy, this.#retries.clock, signal);
  }

  explained(error: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : driverError(error, this.#doing);
  }
}

/** How the shared layer tries again. */
export type Retries = { readonly policy: RetryPolicy; readonly clock: RetryClock };
