import type { CallOptions, Destination } from "../destination/destination.ts";
import type { CopyOf, Media } from "../domain/copy.ts";
import type { Key } from "../domain/key.ts";
import { statusOf, withCopy } from "../domain/status.ts";
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
  return shelf.status.update((now) => withCopy(now, copy), { signal });
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

/**
 * Remove copies, in the order given: status → manifest → data, so that nothing is ever listed that is not there.
 * @returns the status without them.
 */
export async function removeCopies<M extends Media>(
  shelf: Shelf<M>,
  copies: readonly { readonly key: Key }[],
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>>> {
  const keys = new Set(copies.map(({ key }) => key));
  const left = await shelf.status.update((now) => statusOf(now.copies.filter(({ key }) => !keys.has(key))), { signal });
  for (const { key } of copies) await removeObject(shelf, key, { signal });
  return left;
}
