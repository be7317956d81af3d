import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { untilAborted } from "../lib/abortable.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import { Gate } from "../lib/gate.ts";
import { Unbatched } from "../lib/unbatched.ts";
import { DEFAULT_RETRY_POLICY, type RetryClock, type RetryPolicy, SYSTEM_CLOCK } from "./attempts.ts";
import {
  type CallOptions,
  type Capabilities,
  type Destination,
  type Entry,
  type ListOptions,
  ObjectNotFoundError,
  type PutOptions,
  type ShareOptions,
  type Small,
  type Version,
} from "./destination.ts";
import { DriverCalls } from "./driven-calls.ts";
import { driverError } from "./driven-error.ts";
import { drivenBytes } from "./driven-get.ts";
import { drivenEntries } from "./driven-list.ts";
import { DrivenPut } from "./driven-put.ts";
import { readDriven, replaceDriven } from "./driven-small.ts";
import { sweepDriven } from "./driven-sweep.ts";
import type { Driver } from "./driver.ts";

/** How a driver is used. */
export type DrivenOptions = {
  /** The driver's `url`, which is shown before it is opened. */
  readonly url: string;
  /** A driver that is open already, to begin with. */
  readonly opened?: Driver;
  /** For what only the layer can try again: parts, ranges, and publishing. Other calls are `retrying()`'s. */
  readonly policy?: RetryPolicy;
  readonly clock?: RetryClock;
  /** Tells how old unfinished uploads are. */
  readonly now?: () => Date;
};

/** A part may take long: how often it is tried is what limits it. */
const POLICY: RetryPolicy = { ...DEFAULT_RETRY_POLICY, tries: 10, withinMilliseconds: Number.POSITIVE_INFINITY };

/**
 * A destination over a driver: what every store of objects needs, once. The driver is opened by the first call, and again by the first one after
 * disposing; `open` may throw as a driver does.
 */
export function driven(open: () => Promise<Driver>, options: DrivenOptions): Destination {
  return new DrivenDestination(open, options);
}

class DrivenDestination implements Destination {
  readonly url: string;
  readonly #open: () => Promise<Driver>;
  readonly #options: DrivenOptions;
  /** One writer of ours at a time, for stores that do not compare. */
  readonly #turn = new Gate(1);
  #driver: Promise<Driver> | undefined;

  constructor(open: () => Promise<Driver>, options: DrivenOptions) {
    this.url = options.url;
    this.#open = open;
    this.#options = options;
    this.#driver = options.opened && Promise.resolve(options.opened);
  }

  async capabilities({ signal }: CallOptions): Promise<Capabilities> {
    const { driver } = await this.#calls("open", this.url, { signal });
    const conditionalReplace = driver.limits.isConditional ? "native" : "checked";
    return { conditionalReplace, digest: "near", transport: driver.kind, freeBytes: undefined };
  }

  async put(key: Key, content: ByteStream, options: PutOptions): Promise<Digest> {
    const calls = await this.#calls("store", key, options);
    return new DrivenPut(calls, { key, content, turn: this.#turnOf(calls) }).run(options);
  }

  async *get(key: Key, { signal }: CallOptions): AsyncGenerator<Uint8Array, void> {
    const calls = await this.#calls("read", key, { signal });
    const found = await calls.once(signal, (driver) => driver.stat(key, { signal }));
    if (found === undefined) throw new ObjectNotFoundError(key, this.url);
    yield* drivenBytes(calls, found, { signal });
  }

  list(prefix: string, options: ListOptions): AsyncIterable<Entry> {
    return new Unbatched(this.#entries(prefix, options), options.signal);
  }

  async remove(key: Key, { signal }: CallOptions): Promise<void> {
    const calls = await this.#calls("remove", key, { signal });
    await calls.once(signal, (driver) => driver.remove(key, { signal }));
  }

  async readSmall(key: Key, options: CallOptions): Promise<Small | undefined> {
    return readDriven(await this.#calls("read", key, options), key, options);
  }

  async replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    const calls = await this.#calls("replace", key, options);
    return replaceDriven(calls, key, { ...options, content, turn: this.#turnOf(calls) });
  }

  async sweep(host: string, { signal }: CallOptions): Promise<number> {
    const { now = () => new Date() } = this.#options;
    return sweepDriven(await this.#calls("sweep", host, { signal }), host, { signal, now });
  }

  async share(key: Key, { signal, expiresSeconds }: ShareOptions): Promise<string> {
    const calls = await this.#calls("share", key, { signal });
    const share = calls.driver.share?.bind(calls.driver);
    if (share === undefined) {
      throw new BackupError("USAGE", `Cannot share "${key}": ${this.url} has no URLs that expire`, {
        hint: "Restore the copy, or fetch it with a client of the store.",
      });
    }
    const found = await calls.once(signal, (driver) => driver.stat(key, { signal }));
    if (found === undefined) throw new ObjectNotFoundError(key, this.url);
    return calls.once(signal, () => share(key, { signal, expiresSeconds }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    // One that could not be opened has nothing to close.
    const opened = await driver?.catch(() => undefined);
    await opened?.close();
  }

  async *#entries(prefix: string, options: ListOptions): AsyncGenerator<readonly Entry[], void> {
    yield* drivenEntries(await this.#calls("list", `${prefix}*`, options), prefix, options);
  }

  #turnOf({ driver }: DriverCalls): Gate | undefined {
    return driver.limits.isConditional ? undefined : this.#turn;
  }

  /** The opened driver, to do something with an object. */
  async #calls(verb: string, object: string, { signal }: CallOptions): Promise<DriverCalls> {
    signal.throwIfAborted();
    const { policy = POLICY, clock = SYSTEM_CLOCK } = this.#options;
    const driver = await this.#opened({ signal });
    return new DriverCalls(driver, { policy, clock }, { verb, object });
  }

  async #opened({ signal }: CallOptions): Promise<Driver> {
    const opening = (this.#driver ??= this.#open());
    try {
      return await untilAborted([signal], opening);
    } catch (error) {
      signal.throwIfAborted();
      if (this.#driver === opening) this.#driver = undefined;
      throw driverError(error, { verb: "open", object: this.url, url: this.url });
    }
  }
}
