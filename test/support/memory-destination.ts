import { createHash } from "node:crypto";
import { abortable } from "../../src/destination/abortable.ts";
import {
  AlreadyExistsError,
  type CallOptions,
  type Capabilities,
  ConflictError,
  type Destination,
  type Entry,
  ObjectNotFoundError,
  type Small,
  type Version,
} from "../../src/destination/destination.ts";
import type { Key } from "../../src/domain/key.ts";
import { type ByteStream, type Digest, Measured } from "../../src/lib/bytes.ts";

type Stored = { readonly bytes: Buffer; readonly modifiedAt: Date };

/** Small, so that every test of more than a few bytes sees more than one chunk. */
const CHUNK_BYTES = 64 * 1024;

function versionOf(content: Uint8Array): Version {
  return createHash("sha256").update(content).digest("hex");
}

/** A destination that forgets everything when the process ends. */
export class MemoryDestination implements Destination {
  readonly url = "memory:";
  readonly #objects: Map<Key, Stored>;

  /** @param sharing the destination whose objects this one shows too. */
  constructor(sharing?: MemoryDestination) {
    this.#objects = sharing === undefined ? new Map<Key, Stored>() : sharing.#objects;
  }

  async capabilities({ signal }: CallOptions): Promise<Capabilities> {
    signal.throwIfAborted();
    return { conditionalReplace: "native", digest: "near", transport: "memory", freeBytes: undefined };
  }

  async put(key: Key, content: ByteStream, { signal }: CallOptions): Promise<Digest> {
    signal.throwIfAborted();
    if (this.#objects.has(key)) throw new AlreadyExistsError(key, this.url);
    const measured = new Measured(abortable(content, signal), key);
    const parts: Buffer[] = [];
    for await (const chunk of measured) parts.push(Buffer.from(chunk));
    if (this.#objects.has(key)) throw new AlreadyExistsError(key, this.url);
    this.#store(key, Buffer.concat(parts));
    return measured.digest();
  }

  async *get(key: Key, { signal }: CallOptions): AsyncGenerator<Uint8Array, void> {
    signal.throwIfAborted();
    const stored = this.#objects.get(key);
    if (stored === undefined) throw new ObjectNotFoundError(key, this.url);
    for (let start = 0; start < stored.bytes.length; start += CHUNK_BYTES) {
      yield stored.bytes.subarray(start, start + CHUNK_BYTES);
      signal.throwIfAborted();
    }
  }

  async *list(prefix: string, { signal }: CallOptions): AsyncGenerator<Entry, void> {
    signal.throwIfAborted();
    for (const key of [...this.#objects.keys()].sort()) {
      const stored = this.#objects.get(key);
      if (stored === undefined || !key.startsWith(prefix)) continue;
      yield { key, bytes: stored.bytes.length, modifiedAt: stored.modifiedAt };
      signal.throwIfAborted();
    }
  }

  async remove(key: Key, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    this.#objects.delete(key);
  }

  async readSmall(key: Key, { signal }: CallOptions): Promise<Small | undefined> {
    signal.throwIfAborted();
    const stored = this.#objects.get(key);
    return stored && { content: Buffer.from(stored.bytes), version: versionOf(stored.bytes) };
  }

  async replaceSmall(
    key: Key,
    content: Uint8Array,
    { signal, expected }: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    signal.throwIfAborted();
    const found = this.#objects.get(key);
    if ((found && versionOf(found.bytes)) !== expected) throw new ConflictError(key, this.url);
    this.#store(key, Buffer.from(content));
    return versionOf(content);
  }

  async sweep(_host: string, { signal }: CallOptions): Promise<number> {
    signal.throwIfAborted();
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held but memory.
  }

  #store(key: Key, bytes: Buffer): void {
    this.#objects.set(key, { bytes, modifiedAt: new Date() });
  }
}
