import type { ByteStream } from "../lib/bytes.ts";

/** Something a copy can be taken of. */
export interface Source<Facts> {
  /** Start of the stored name without suffixes, such as `_etc-2026-11-21_02_36_45.tar`. */
  readonly name: string;

  /** Prove that the source can be read. Starts nothing. */
  open(options: { readonly signal: AbortSignal }): Promise<Capture<Facts>>;
}

/** One run of a source. Disposing it stops the run and undoes its side effects. */
export interface Capture<Facts> extends AsyncDisposable {
  readonly content: ByteStream;

  /** What the run learned. @throws {Error} when `content` has not ended yet. */
  facts(): Facts;
}
