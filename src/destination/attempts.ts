import { BackupError } from "../domain/errors.ts";
import { pause } from "./pause.ts";

/** How often and how long a call is tried. */
export type RetryPolicy = {
  /** Attempts in all, at least 1. */
  readonly tries: number;
  /** Upper end of the first wait; it doubles each time. The wait is drawn between half of it and all of it. */
  readonly firstWaitMilliseconds: number;
  readonly longestWaitMilliseconds: number;
  /** No attempt starts later than this after the first one. */
  readonly withinMilliseconds: number;
};

/** About two minutes of a network that is down. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  tries: 8,
  firstWaitMilliseconds: 500,
  longestWaitMilliseconds: 30_000,
  withinMilliseconds: 180_000,
};

/** A store that asks for a longer wait is asked again after this. */
const MOST_ASKED_MILLISECONDS = 120_000;

/** Time and chance, so that tests need not wait. `pause` throws `signal.reason` when aborted. */
export type RetryClock = {
  readonly now: () => number;
  readonly pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
};

export const SYSTEM_CLOCK: RetryClock = { now: () => performance.now(), pause, random: Math.random };

/** Whether the call that failed may succeed when tried again. */
export function isRetryable(error: unknown): boolean {
  return error instanceof BackupError && error.retryable;
}

/** The wait before attempt number `attempt` + 1. */
function waitMilliseconds(policy: RetryPolicy, attempt: number, random: number): number {
  const longest = Math.min(policy.firstWaitMilliseconds * 2 ** (attempt - 1), policy.longestWaitMilliseconds);
  return longest * (0.5 + random / 2);
}

/** What the other side asked for, within reason. */
function askedMilliseconds(error: unknown): number {
  const asked = error instanceof BackupError ? (error.retryAfterMilliseconds ?? 0) : 0;
  return Math.min(asked, MOST_ASKED_MILLISECONDS);
}

/** Counts the failures of one call, and waits between its attempts. */
export class Attempts {
  readonly #policy: RetryPolicy;
  readonly #clock: RetryClock;
  readonly #signal: AbortSignal;
  /** `undefined` from progress to the next failure. */
  #startedAt: number | undefined;
  #failed = 0;

  constructor(policy: RetryPolicy, clock: RetryClock, signal: AbortSignal) {
    this.#policy = policy;
    this.#clock = clock;
    this.#signal = signal;
    this.#startedAt = clock.now();
  }

  /** Wait before the next attempt. @throws `error` when there is none. */
  async after(error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    this.#failed += 1;
    if (!isRetryable(error) || this.#failed >= this.#policy.tries) throw error;
    const ours = waitMilliseconds(this.#policy, this.#failed, this.#clock.random());
    const wait = Math.max(ours, askedMilliseconds(error));
    this.#startedAt ??= this.#clock.now();
    if (this.#clock.now() - this.#startedAt + wait > this.#policy.withinMilliseconds) throw error;
    await this.#clock.pause(wait, this.#signal);
  }

  /** The call got on: what failed before does not count any more. */
  progressed(): void {
    this.#failed = 0;
    this.#startedAt = undefined;
  }
}
