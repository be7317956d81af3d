import type { CallOptions, Destination } from "../destination/destination.ts";
import type { Copy, CopyOf, Media, Preservation } from "../domain/copy.ts";
import { type BackupError, isNotPermitted } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { parseCopyKey, withoutSuffixes } from "../domain/names.ts";
import { isSamePreservation } from "../domain/preservation.ts";
import { type Status, statusOf, withCopy } from "../domain/status.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import type { Manifests } from "../status/manifests.ts";
import type { Loaded, StatusStore } from "../status/store.ts";

/** Where the copies of one media of one host are: the data, what is remembered of each, and the status. */
export type Shelf<M extends Media> = {
  readonly host: string;
  readonly destination: Destination;
  readonly manifests: Manifests;
  readonly status: StatusStore<M>;
};

/** How long cleaning up may take after a run was told to end, in milliseconds. */
const CLEANUP_MS = 10_000;

type NewCopy<M extends Media> = {
  readonly key: Key;
  readonly content: ByteStream;
  readonly expectedBytes?: number | undefined;
  /** The record of the copy, once its size and digest are known. */
  readonly describe: (digest: Digest) => CopyOf<M>;
  /** Asked with the status that the copy is about to be added to; what it throws leaves nothing behind. */
  readonly allow?: (now: Status<CopyOf<M>>) => void;
};

/**
 * Store a copy and record it: mark → data → manifest → status. A call that fails, or is aborted, takes back what it did; one that is
 * killed leaves an older truth, and at worst an object that its mark names as no copy.
 * @returns the status with the copy in it.
 */
export async function storeCopy<M extends Media>(
  shelf: Shelf<M>,
  newCopy: NewCopy<M>,
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>>> {
  const digest = await putData(shelf, newCopy, { signal });
  const copy = newCopy.describe(digest);
  try {
    await shelf.manifests.write(copy, { signal });
  } catch (error) {
    await cleanUp((options) => removeObject(shelf, copy.key, options));
    throw error;
  }
  let refusal: { readonly error: unknown } | undefined;
  const add = (now: Status<CopyOf<M>>): Status<CopyOf<M>> => {
    try {
      newCopy.allow?.(now);
    } catch (error) {
      refusal = { error };
      throw error;
    }
    return withCopy(now, copy);
  };
  return shelf.status.update(add, { signal }).catch(async (error: unknown) => {
    // Any other failure leaves a whole copy with a manifest, which the next run records.
    if (refusal !== undefined) await cleanUp((options) => removeObject(shelf, copy.key, options));
    throw error;
  });
}

async function putData<M extends Media>(
  { destination, manifests }: Shelf<M>,
  { key, content, expectedBytes }: NewCopy<M>,
  { signal }: CallOptions,
): Promise<Digest> {
  try {
    await manifests.begin(key, { signal });
    return await destination.put(key, content, { signal, expectedBytes });
  } catch (error) {
    // Only the mark: the destination keeps nothing of a failed call, and what lies under a taken key is not ours.
    await cleanUp((options) => manifests.forget(key, options));
    throw error;
  }
}

/** Take back as far as that is possible now; what stays is marked as no copy, and the next run sweeps it. */
async function cleanUp(work: (options: CallOptions) => Promise<void>): Promise<void> {
  await work({ signal: AbortSignal.timeout(CLEANUP_MS) }).catch(() => undefined);
}

async function removeObject<M extends Media>(
  { manifests, destination }: Shelf<M>,
  key: Key,
  options: CallOptions,
): Promise<void> {
  await manifests.remove(key, options);
  await destination.remove(key, options);
  await manifests.forget(key, options);
}

/** What is to go: a copy as it was chosen, or an object that a record of the predecessor stands for too. */
type Goner = { readonly key: Key; readonly preservedUntil?: Preservation };

/** The predecessor records a binlog without the suffixes of its object. */
function recordedAs(key: Key): Key[] {
  return parseCopyKey(key)?.media === "binlog" ? [key, withoutSuffixes(key)] : [key];
}

/**
 * Take copies out of the status, and touch nothing else. When somebody preserved one of them since it was chosen, all stay: it may need
 * the others, and the next run chooses anew.
 * @returns the records that were taken out.
 */
export async function forgetCopies<M extends Media>(
  shelf: Shelf<M>,
  goners: readonly Goner[],
  { signal }: CallOptions,
): Promise<readonly CopyOf<M>[]> {
  // Of several objects under one record the first one is the record's.
  const chosen = new Map<Key, Goner>(
    goners.toReversed().flatMap((copy) => recordedAs(copy.key).map((key) => [key, copy])),
  );
  const isPreservedSince = ({ key, preservedUntil }: Goner): boolean =>
    chosen.has(key) && !isSamePreservation(preservedUntil, chosen.get(key)?.preservedUntil);
  let forgotten: readonly CopyOf<M>[] = [];
  await shelf.status.update(
    (now) => {
      const isOff = now.copies.some(isPreservedSince);
      forgotten = isOff ? [] : now.copies.filter(({ key }) => chosen.has(key));
      return isOff ? now : statusOf(now.copies.filter(({ key }) => !chosen.has(key)));
    },
    { signal },
  );
  return forgotten;
}

/** What `removeCopies()` did. */
export type Removal = {
  readonly removed: readonly Key[];
  /** Copies that may not be removed now, and those that they need. They stay recorded. */
  readonly refused: readonly Key[];
  /** Why the first of them may not. */
  readonly refusal: BackupError | undefined;
};

/**
 * Remove copies, in the order given: status → manifest → data, so that nothing is ever listed that is not there. What needs another copy
 * comes before it.
 *
 * A store may refuse: the copy is locked for some time, or this host has no right to remove anything. Such a copy is described and recorded
 * again, with all that it needs, so that the next run tries again.
 */
export async function removeCopies<M extends Media>(
  shelf: Shelf<M>,
  goners: readonly Goner[],
  { signal }: CallOptions,
): Promise<Removal> {
  const forgotten = await forgetCopies(shelf, goners, { signal });
  const records = new Map(forgotten.map((copy) => [copy.key, copy]));
  const going = goners.filter(({ key }) => recordedAs(key).some((name) => records.has(name)));
  const refused = new Map<Key, CopyOf<M>>();
  const needed = new Set<Key>();
  const removed: Key[] = [];
  let refusal: BackupError | undefined;
  for (const { key } of going) {
    const refusedNow = needed.has(key) ? refusal : await tryRemove(shelf, key, { signal });
    if (refusedNow === undefined) {
      removed.push(key);
      continue;
    }
    refusal ??= refusedNow;
    for (const name of recordedAs(key)) {
      const record = records.get(name);
      if (record === undefined) continue;
      refused.set(record.key, record);
      const parent = parentKeyOf(record);
      if (parent !== undefined) needed.add(parent);
    }
  }
  await recordAgain(shelf, [...refused.values()], { signal });
  return { removed, refused: [...refused.keys()], refusal };
}

async function recordAgain<M extends Media>(
  { manifests, status }: Shelf<M>,
  copies: readonly CopyOf<M>[],
  { signal }: CallOptions,
): Promise<void> {
  if (copies.length === 0) return;
  // The predecessor's copies have no manifest.
  for (const copy of copies) if (copy.sha256 !== undefined) await manifests.write(copy, { signal });
  await status.update((now) => statusOf([...copies, ...now.copies]), { signal });
}

function parentKeyOf(copy: Copy): Key | undefined {
  return copy.media === "mysql" && copy.kind === "incremental" ? copy.parent : undefined;
}

async function isThere({ destination }: Pick<Shelf<Media>, "destination">, key: Key, options: CallOptions) {
  for await (const entry of destination.list(key, options)) if (entry.key === key) return true;
  return false;
}

/** @returns why the store does not permit it, where that is so and somebody else has not done it meanwhile. */
async function tryRemove<M extends Media>(
  shelf: Shelf<M>,
  key: Key,
  options: CallOptions,
): Promise<BackupError | undefined> {
  try {
    await removeObject(shelf, key, options);
    return undefined;
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
    return (await isThere(shelf, key, options)) ? error : undefined;
  }
}
