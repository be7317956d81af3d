import type { CallOptions, Version } from "../../src/destination/destination.ts";
import type { Key } from "../../src/domain/key.ts";
import type { ByteStream, Digest } from "../../src/lib/bytes.ts";
import { MemoryDestination } from "./memory-destination.ts";

/** Keeps objects in memory, and the order in which they were changed. */
export class WatchedDestination extends MemoryDestination {
  /** `put KEY`, `replace KEY` and `remove KEY`, each once it has succeeded. */
  readonly changes: string[] = [];

  override async put(key: Key, content: ByteStream, options: CallOptions): Promise<Digest> {
    const digest = await super.put(key, content, options);
    this.changes.push(`put ${key}`);
    return digest;
  }

  override async remove(key: Key, options: CallOptions): Promise<void> {
    await super.remove(key, options);
    this.changes.push(`remove ${key}`);
  }

  override async replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    const version = await super.replaceSmall(key, content, options);
    this.changes.push(`replace ${key}`);
    return version;
  }
}
