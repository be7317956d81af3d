import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "minor" | "major" }) => void;

/**
 * What was dropped, and how many bytes of it there may be until it is freed: pieces of a stream, of which many come and none lives long; buffers
 * that were used for a while, which only a look at the whole heap finds; or bytes that were sent, each part of which leaves objects behind that
 * lived for as long as it was under way.
 */
const KINDS = {
  pieces: { type: "minor", limitBytes: 4 * 1024 ** 2 },
  buffers: { type: "major", limitBytes: 16 * 1024 ** 2 },
  sent: { type: "major", limitBytes: 512 * 1024 ** 2 },
} as const;

let collect: Collect | undefined;

/**
 * Frees what was dropped: V8 lets 100 MiB gather beside the heap, such as each piece of a stream that comes out of TLS, and 30 MiB in it, before
 * it looks. To look earlier costs nothing that could be measured.
 */
export class Scavenger {
  readonly #kind: (typeof KINDS)[keyof typeof KINDS];
  #bytes = 0;

  constructor(kind: keyof typeof KINDS) {
    this.#kind = KINDS[kind];
  }

  /** So many bytes were dropped. */
  dropped(bytes: number): void {
    const { type, limitBytes } = this.#kind;
    this.#bytes += bytes;
    if (this.#bytes < limitBytes) return;
    this.#bytes = 0;
    collect ??= collector();
    collect({ type });
  }
}

/** The collector of V8, which it shows to contexts made while the flag is set. */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  const found = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  return found;
}
