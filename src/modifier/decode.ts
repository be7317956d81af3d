import { BackupError } from "../domain/errors.ts";
import { CommandError } from "../lib/command.ts";
import { findProgram } from "../lib/programs.ts";
import { decompressors } from "./compress.ts";
import { openDecryption } from "./gpg-decrypt.ts";
import type { Modifier } from "./modifier.ts";
import type { GpgOptions } from "./options.ts";

/** What undoes one suffix of a stored name. */
export type Decoder = Pick<Modifier, "name" | "suffix" | "revert">;

/** What turns a stored copy back into what it was. Disposing it removes keys that were imported for it. */
export interface Decoding extends AsyncDisposable {
  /** In the order to apply them when reading: the last suffix first. */
  readonly decoders: readonly Decoder[];
}

/** What must be known of a stored copy to decode it. */
export type Stored = {
  /** What to call it in errors, such as its key. */
  readonly name: string;
  /** In the order they were applied: `[".zst", ".gpg"]`. */
  readonly suffixes: readonly string[];
  /** The first bytes of it; 64 KiB are enough. Looked at when the last suffix is `.gpg`. */
  readonly head: Uint8Array;
};

function decompression(suffix: string): Decoder {
  const known = decompressors(suffix);
  if (known.length === 0) {
    throw new BackupError("DATA_DAMAGED", `Cannot decode "${suffix}": no copy of ours has this suffix there`, {
      hint: "Look at the name of the copy; a newer version may be needed to read it.",
    });
  }
  const revert = known.find(({ file }) => findProgram(file) !== undefined);
  if (revert === undefined) {
    const names = known.map(({ file }) => file).join(" or ");
    throw new BackupError("CONFIG_INVALID", `Cannot decode "${suffix}": ${names} is needed, and not installed`, {
      hint: `Install ${names} on this host.`,
    });
  }
  return { name: revert.file, suffix: suffix as Decoder["suffix"], revert };
}

/**
 * Choose programs that decode a copy by what it is; today's [compression] does not matter.
 * @param gpg where secret keys may be; `undefined` means the user's own.
 * @throws {BackupError} DATA_DAMAGED for an unknown suffix, CONFIG_INVALID when a program is missing, NOT_PERMITTED when
 * no secret key here opens the copy.
 */
export async function openDecoding(
  { name, suffixes, head }: Stored,
  options: { readonly gpg: GpgOptions | undefined; readonly signal: AbortSignal },
): Promise<Decoding> {
  const isEncrypted = suffixes.at(-1) === ".gpg";
  const compressions = (isEncrypted ? suffixes.slice(0, -1) : suffixes).toReversed().map(decompression);
  if (!isEncrypted) return { decoders: compressions, async [Symbol.asyncDispose]() {} };
  const decryption = await openDecryption({ gpg: options.gpg, name, head }, options);
  return {
    decoders: [{ name: "gpg", suffix: ".gpg", revert: decryption.command }, ...compressions],
    [Symbol.asyncDispose]: () => decryption[Symbol.asyncDispose](),
  };
}

/**
 * Tell damage from other failures of a decoded stream: what a decoder refuses is a damaged copy.
 * @param copy the name of what was read, for people.
 * @returns DATA_DAMAGED when one of the decoders ended of itself with a failure, otherwise `error` as it is.
 */
export function explainDecoding(error: unknown, copy: string, decoders: readonly Decoder[]): unknown {
  if (!(error instanceof CommandError) || error.exitCode === null) return error;
  if (!decoders.some(({ revert }) => revert === error.command)) return error;
  return new BackupError("DATA_DAMAGED", `Cannot decode "${copy}": ${error.message}`, {
    hint: "Verify the copies of this host, and restore another one.",
    cause: error,
  });
}
