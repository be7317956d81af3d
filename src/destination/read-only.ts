import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import type {
  CallOptions,
  Capabilities,
  Destination,
  Entry,
  ListOptions,
  ShareOptions,
  Small,
  Version,
} from "./destination.ts";

/**
 * `destination` for commands that only read: storing, replacing, removing and sweeping throw, whatever asks for it.
 * Owns `destination`: disposing one disposes the other.
 */
export function readOnly(destination: Destination): Destination {
  return new ReadOnlyDestination(destination);
}

class ReadOnlyDestination implements Destination {
  /** There when the inner one can share. */
  readonly share?: NonNullable<Destination["share"]>;
  readonly #inner: Destination;

  constructor(inner: Destination) {
    this.#inner = inner;
    const share = inner.share?.bind(inner);
    if (share !== undefined) this.share = (key: Key, options: ShareOptions) => share(key, options);
  }

  get url(): string {
    return this.#inner.url;
  }

  capabilities(options: CallOptions): Promise<Capabilities> {
    return this.#inner.capabilities(options);
  }

  get(key: Key, options: CallOptions): ByteStream {
    return this.#inner.get(key, options);
  }

  list(prefix: string, options: ListOptions): AsyncIterable<Entry> {
    return this.#inner.list(prefix, options);
  }

  readSmall(key: Key, options: CallOptions): Promise<Small | undefined> {
    return this.#inner.readSmall(key, options);
  }

  async put(key: Key): Promise<Digest> {
    throw this.#refusal("store", key);
  }

  async replaceSmall(key: Key): Promise<Version> {
    throw this.#refusal("replace", key);
  }

  async remove(key: Key): Promise<void> {
    throw this.#refusal("remove", key);
  }

  async sweep(host: string): Promise<number> {
    throw this.#refusal("sweep", host);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  #refusal(verb: string, object: string): BackupError {
    return new BackupError("NOT_PERMITTED", `Cannot ${verb} "${object}" on ${this.url}: this command only reads`);
  }
}
