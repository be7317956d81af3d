import type { ByteStream } from "../lib/bytes.ts";
import { through } from "../lib/command.ts";
import type { Modifier, Tap } from "../modifier/modifier.ts";

/** What happens to the bytes between source and destination: compression, a second copy here, encryption, in this order. */
export type StorageChain = {
  readonly compress: Modifier | undefined;
  readonly encrypt: Modifier | undefined;
};

type ApplyOptions = {
  readonly signal: AbortSignal;
  readonly idleSeconds: number;
  /** Told what the tap said when it could not write the second copy. */
  readonly onTapFailure: (said: string) => void;
};

/** The modifiers of a chain in the order they are applied. */
export function modifiersOf({ compress, encrypt }: StorageChain): Modifier[] {
  return [compress, encrypt].filter((modifier) => modifier !== undefined);
}

/** What a chain adds to a name, in order. */
export function suffixesOf(chain: StorageChain): string[] {
  return modifiersOf(chain).map(({ suffix }) => suffix);
}

/** Pass content through a chain. */
export function applyChain(
  content: ByteStream,
  chain: StorageChain & { readonly tap: Tap | undefined },
  options: ApplyOptions,
): ByteStream {
  const { compress, tap, encrypt } = chain;
  const { onTapFailure, ...run } = options;
  const compressed = compress === undefined ? content : through(content, compress.apply, run);
  const onFinish = ({ warning, stderr }: { warning: boolean; stderr: string }) => {
    if (warning) onTapFailure(stderr.trim());
  };
  const tapped = tap === undefined ? compressed : through(compressed, tap.command, { ...run, onFinish });
  return encrypt === undefined ? tapped : through(tapped, encrypt.apply, run);
}

/** Undo modifiers, in the order given. */
export function revertAll(
  content: ByteStream,
  decoders: readonly Modifier[],
  options: { readonly signal: AbortSignal; readonly idleSeconds: number },
): ByteStream {
  return decoders.reduce((encoded, { revert }) => through(encoded, revert, options), content);
}
