import type { Destination } from "../destination/destination.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { type ByteStream, Measured } from "../lib/bytes.ts";
import { type Command, CommandError, into } from "../lib/command.ts";
import { revertAll } from "../modifier/chain.ts";
import type { Modifier } from "../modifier/modifier.ts";
import { Staging } from "./staging.ts";

/** A stored copy to read, and what is known of it. */
export type StoredCopy = {
  readonly key: Key;
  readonly bytes: number | undefined;
  readonly sha256: string | undefined;
};

/** Reads a stored copy back as what it was made of. */
export type Reading = {
  readonly destination: Destination;
  readonly copy: StoredCopy;
  /** What undoes the copy's suffixes, in order. */
  readonly decoders: readonly Pick<Modifier, "revert">[];
  /** Tells damage of the copy from other failures of reading it. */
  readonly explain: (error: unknown) => unknown;
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
  /** Called about twice a second with the bytes read from the last decoder. */
  readonly onProgress?: (bytes: number) => void;
};

/** The decoded content of a copy; ends only when all stored bytes were those that were recorded. */
export function readCopy({ destination, copy, decoders, idleSeconds, signal }: Reading): ByteStream {
  const { key, bytes, sha256 } = copy;
  const expected = { ...(bytes !== undefined && { bytes }), ...(sha256 !== undefined && { sha256 }) };
  const stored = new Measured(destination.get(key, { signal }), key, expected);
  return revertAll(stored, decoders, { signal, idleSeconds });
}

type Restore = Reading & {
  /** New or empty directory. */
  readonly target: string;
  /** The program that unpacks into a directory. */
  readonly unpack: (directory: string) => Command;
  /** Whether it failed because a wanted path is not in the archive. */
  readonly isMissing: (error: unknown) => boolean;
};

/** Restore a files copy into `target`, which appears or is filled only when everything succeeded. */
export async function restoreFile(restore: Restore): Promise<void> {
  await using staging = await Staging.open(restore.target);
  const { signal, idleSeconds, onProgress } = restore;
  try {
    await into(readCopy(restore), restore.unpack(staging.directory), {
      signal,
      idleSeconds,
      ...(onProgress && { onProgress }),
    });
  } catch (error) {
    throw restore.isMissing(error) ? notInArchive(restore, error) : restore.explain(error);
  }
  await staging.promote();
}

function notInArchive({ copy }: Restore, error: unknown): BackupError {
  const said =
    error instanceof CommandError ? /^tar: (.*): Not found in archive$/m.exec(error.stderrTail)?.[1] : undefined;
  return new BackupError("NOT_FOUND", `Cannot restore "${said ?? "the wanted path"}": it is not in "${copy.key}"`, {
    hint: "Give the path as it was on the backed-up host.",
    cause: error,
  });
}
