import type { CallOptions, Version } from "../../src/destination/destination.ts";
import type { Key } from "../../src/domain/key.ts";
import type { ByteStream } from "../../src/lib/bytes.ts";
import { MemoryDestination } from "./memory-destination.ts";

/** A destination whose user dies before its n-th change, or whose n-th change fails once. */
export class MortalDestination extends MemoryDestination {
  /** Changes until the fault. */
  changesLeft = Number.POSITIVE_INFINITY;
  /** Whether no call after the fault succeeds either, as when the run was killed. */
  isFatal = true;

  override async put(key: Key, content: ByteStream, options: CallOptions) {
    this.#spend();
    return super.put(key, content, options);
  }

  override async remove(key: Key, options: CallOptions) {
    this.#spend();
    return super.remove(key, options);
  }

  override async replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ) {
    this.#spend();
    return super.replaceSmall(key, content, options);
  }

  #spend(): void {
    if (this.changesLeft-- > 0) return;
    if (!this.isFatal) this.changesLeft = Number.POSITIVE_INFINITY;
    throw new Error("killed");
  }
}
