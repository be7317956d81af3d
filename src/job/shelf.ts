import type { CallOptions, Destination } from "../destination/destination.ts";
import type { CopyOf, Media, Preservation } from "../domain/copy.ts";
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
  { key, content }: NewCopy<M>,
  { signal }: CallOptions,
): Promise<Digest> {
  try {
    await manifests.begin(key, { signal });
    return await destination.put(key, content, { signal });
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

type Goner = { readonly key: Key; readonly preservedUntil?: Preservation };

/** The predecessor records a binlog without the suffixes of its object. */
function recordedAs(key: Key): Key[] {
  return parseCopyKey(key)?.media === "binlog" ? [key, withoutSuffixes(key)] : [key];
}

/**
 * Remove copies, in the order given: status → manifest → data, so that nothing is ever listed that is not there. When somebody preserved one
 * of them since it was chosen, all stay: it may need the others, and the next run chooses anew.
 * @returns the status without them, and which are gone.
 */
export async function removeCopies<M extends Media, G extends Goner>(
  shelf: Shelf<M>,
  goners: readonly G[],
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>> & { readonly removed: readonly G[] }> {
  // Of several objects under one record the first one is the record's.
  const chosen = new Map<Key, Goner>(
    goners.toReversed().flatMap((copy) => recordedAs(copy.key).map((key) => [key, copy])),
  );
  let isOff = false;
  const left = await shelf.status.update(
    (now) => {
      isOff = now.copies.some(
        ({ key, preservedUntil }: Goner) =>
          chosen.has(key) && !isSamePreservation(preservedUntil, chosen.get(key)?.preservedUntil),
      );
      return isOff ? now : statusOf(now.copies.filter(({ key }) => !chosen.has(key)));
    },
    { signal },
  );
  if (isOff) return { ...left, removed: [] };
  for (const { key } of goners) await removeObject(shelf, key, { signal });
  return { ...left, removed: goners };
}
