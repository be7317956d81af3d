import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { type ByteStream, type Digest } from "../lib/bytes.ts";
import {
  type CallOptions,
  type Capabilities,
  ConflictError,
  type Destination,
  type Entry,
  type ListOptions,
  type Small,
  type Version,
} from "./destination.ts";
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
const DEFAULT_RETRY_POLICY: RetryPolicy = {
  tries: 8,
  firstWaitMilliseconds: 500,
  longestWaitMilliseconds: 30_000,
  withinMilliseconds: 180_000,
};

/** Time and chance, so that tests need not wait. `pause` throws `signal.reason` when aborted. */
export type RetryClock = {
  readonly now: () => number;
  readonly pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
};

const SYSTEM_CLOCK: RetryClock = { now: () => performance.now(), pause, random: Math.random };

type ReplaceOptions = CallOptions & { readonly expected: Version | undefined };

function isRetryable(error: unknown): boolean {
  return error instanceof BackupError && error.retryable;
}

/** The wait before attempt number `attempt` + 1. */
function waitMilliseconds(policy: RetryPolicy, attempt: number, random: number): number {
  const longest = Math.min(policy.firstWaitMilliseconds * 2 ** (attempt - 1), policy.longestWaitMilliseconds);
  return longest * (0.5 + random / 2);
}

/** Counts the failures of one call, and waits between its attempts. */
class Attempts {
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
    const wait = waitMilliseconds(this.#policy, this.#failed, this.#clock.random());
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

/**
 * `destination`, whose calls are tried again when an error says that this can help.
 * Not so `put()`, since its content is spent, and `get()` once bytes were delivered.
 * Owns `destination`: disposing one disposes the other.
 */
export function retrying(
  destination: Destination,
  policy: RetryPolicy = DEFAULT_RETRY_POLICY,
  clock: RetryClock = SYSTEM_CLOCK,
): Destination {
  return new RetryingDestination(destination, policy, clock);
}

/** Goes on behind the last entry after a failure. No generator: its steps would cost more than the entries do. */
class RetriedList implements AsyncIterableIterator<Entry, void> {
  readonly #open: () => AsyncIterator<Entry>;
  readonly #attempts: Attempts;
  #entries: AsyncIterator<Entry> | undefined;
  #last: Key | undefined;

  constructor(open: () => AsyncIterator<Entry>, attempts: Attempts) {
    this.#open = open;
    this.#attempts = attempts;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Entry, void>> {
    for (;;) {
      try {
        this.#entries ??= this.#open();
        const found = await this.#entries.next();
        if (found.done === true) return { done: true, value: undefined };
        if (this.#last !== undefined && found.value.key <= this.#last) continue;
        this.#last = found.value.key;
        this.#attempts.progressed();
        return found;
      } catch (error) {
        this.#entries = undefined;
        await this.#attempts.after(error);
      }
    }
  }

  async return(): Promise<IteratorResult<Entry, void>> {
    await this.#entries?.return?.();
    return { done: true, value: undefined };
  }
}

class RetryingDestination implements Destination {
  readonly #inner: Destination;
  readonly #policy: RetryPolicy;
  readonly #clock: RetryClock;

  constructor(inner: Destination, policy: RetryPolicy, clock: RetryClock) {
    this.#inner = inner;
    this.#policy = policy;
    this.#clock = clock;
  }

  get url(): string {
    return this.#inner.url;
  }

  capabilities(options: CallOptions): Promise<Capabilities> {
    return this.#retry(options, () => this.#inner.capabilities(options));
  }

  put(key: Key, content: ByteStream, options: CallOptions): Promise<Digest> {
    return this.#inner.put(key, content, options);
  }

  /** Tried again until the first chunk has been delivered. */
  async *get(key: Key, options: CallOptions): AsyncGenerator<Uint8Array, void> {
    const attempts = this.#attempts(options);
    for (let hasDelivered = false; ; ) {
      try {
        for await (const chunk of this.#inner.get(key, options)) {
          hasDelivered = true;
          yield chunk;
        }
        return;
      } catch (error) {
        if (hasDelivered) throw error;
        await attempts.after(error);
      }
    }
  }

  list(prefix: string, options: ListOptions): AsyncIterable<Entry> {
    const open = () => this.#inner.list(prefix, options)[Symbol.asyncIterator]();
    return new RetriedList(open, this.#attempts(options));
  }

  remove(key: Key, options: CallOptions): Promise<void> {
    return this.#retry(options, () => this.#inner.remove(key, options));
  }

  readSmall(key: Key, options: CallOptions): Promise<Small | undefined> {
    return this.#retry(options, () => this.#inner.readSmall(key, options));
  }

  /**
   * An attempt whose answer was lost may have been carried out. So after a failure the object is read: when it
   * holds `content`, that is success, whoever wrote it.
   */
  async replaceSmall(key: Key, content: Uint8Array, options: ReplaceOptions): Promise<Version> {
    const attempts = this.#attempts(options);
    for (let isFirst = true; ; isFirst = false) {
      try {
        return await this.#inner.replaceSmall(key, content, options);
      } catch (error) {
        const mayBeOurs = isRetryable(error) || (error instanceof ConflictError && !isFirst);
        const version = mayBeOurs ? await this.#versionOf(key, content, options) : undefined;
        if (version !== undefined) return version;
        await attempts.after(error);
      }
    }
  }

  sweep(host: string, options: CallOptions): Promise<number> {
    return this.#retry(options, () => this.#inner.sweep(host, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  #attempts({ signal }: CallOptions): Attempts {
    return new Attempts(this.#policy, this.#clock, signal);
  }

  async #retry<T>(options: CallOptions, call: () => Promise<T>): Promise<T> {
    const attempts = this.#attempts(options);
    for (;;) {
      try {
        return await call();
      } catch (error) {
        await attempts.after(error);
      }
    }
  }

  /** @returns the version stored under `key` when it holds `content`; `undefined` when it does not, or cannot be asked. */
  async #versionOf(key: Key, content: Uint8Array, options: CallOptions): Promise<Version | undefined> {
    try {
      const stored = await this.#inner.readSmall(key, options);
      return stored !== undefined && Buffer.from(stored.content).equals(content) ? stored.version : undefined;
    } catch (error) {
      if (isRetryable(error)) return undefined;
      throw error;
    }
  }
}
