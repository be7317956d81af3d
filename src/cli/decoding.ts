import type { Destination } from "../destination/destination.ts";
import type { Key } from "../domain/key.ts";
import { type Decoding, explainDecoding, openDecoding } from "../modifier/decode.ts";
import type { GpgOptions } from "../modifier/options.ts";

/** gpg names the keys of a message in its first bytes. */
const HEAD_BYTES = 64 * 1024;

/** How one stored copy is read. */
export type CopyDecoding = Decoding & {
  /** Tells damage from other failures of reading it. */
  readonly explain: (error: unknown) => unknown;
};

type Options = { readonly gpg: GpgOptions | undefined; readonly signal: AbortSignal };
type Stored = { readonly key: Key; readonly suffixes: readonly string[] };

/** Choose how to decode a stored copy by what it is: its suffixes, and the keys its first bytes name. */
export async function decodingOf(
  destination: Destination,
  { key, suffixes }: Stored,
  options: Options,
): Promise<CopyDecoding> {
  const head = suffixes.at(-1) === ".gpg" ? await firstBytes(destination, key, options.signal) : new Uint8Array();
  const decoding = await openDecoding({ name: key, suffixes, head }, options);
  return {
    decoders: decoding.decoders,
    explain: (error) => explainDecoding(error, key, decoding.decoders),
    [Symbol.asyncDispose]: () => decoding[Symbol.asyncDispose](),
  };
}

async function firstBytes(destination: Destination, key: Key, signal: AbortSignal): Promise<Uint8Array> {
  let head = Buffer.alloc(0);
  for await (const chunk of destination.get(key, { signal })) {
    head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES)]);
    if (head.length >= HEAD_BYTES) break;
  }
  return head;
}
