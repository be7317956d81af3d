import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "minor" }) => void;

/** So much may wait to be freed. */
const LIMIT_BYTES = 4 * 1024 * 1024;

/**
 * Frees the pieces of a stream that were dropped. Each that comes out of TLS is memory of its own beside the heap, and V8 lets 100 MiB of them gather
 * before it looks; to look earlier costs nothing that could be measured.
 */
export class Scavenger {
  #collect: Collect | undefined;
  #bytes = 0;

  /** So many bytes were dropped. */
  dropped(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < LIMIT_BYTES) return;
    this.#bytes = 0;
    this.#collect ??= collector();
    this.#collect({ type: "minor" });
  }
}

/** The collector of V8, which it shows to contexts made while the flag is set. */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  return collect;
}
