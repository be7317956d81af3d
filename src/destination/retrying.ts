import type { Key } from "../domain/key.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import {
  Attempts,
  DEFAULT_RETRY_POLICY,
  isRetryable,
  type RetryClock,
  type RetryPolicy,
  SYSTEM_CLOCK,
} from "./attempts.ts";
import {
  type CallOptions,
  type Capabilities,
  ConflictError,
  type Destination,
  type Entry,
  type ListOptions,
  type PutOptions,
  type Small,
  type Version,
} from "./destination.ts";

type ReplaceOptions = CallOptions & { readonly expected: Version | undefined };

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
  /** There when the inner one can share. */
  readonly share?: NonNullable<Destination["share"]>;
  readonly #inner: Destination;
  readonly #policy: RetryPolicy;
  readonly #clock: RetryClock;

  constructor(inner: Destination, policy: RetryPolicy, clock: RetryClock) {
    this.#inner = inner;
    this.#policy = policy;
    this.#clock = clock;
    const share = inner.share?.bind(inner);
    if (share !== undefined) this.share = (key, options) => this.#retry(options, () => share(key, options));
  }

  get url(): string {
    return this.#inner.url;
  }

  capabilities(options: CallOptions): Promise<Capabilities> {
    return this.#retry(options, () => this.#inner.capabilities(options));
  }

  put(key: Key, content: ByteStream, options: PutOptions): Promise<Digest> {
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
