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
  /** The record of the copy, once its size and digest are known. */
  readonly describe: (digest: Digest) => CopyOf<M>;
};

/**
 * Store a copy and record it: mark → data → manifest → status. Cut off anywhere it leaves an older truth, and at worst an object
 * that its mark names as no copy.
 * @returns the status with the copy in it.
 */
export async function storeCopy<M extends Media>(
  shelf: Shelf<M>,
  { key, content, describe }: NewCopy<M>,
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>>> {
  await shelf.manifests.begin(key, { signal });
  const digest = await putOrForget(shelf, { key, content }, { signal });
  const copy = describe(digest);
  await shelf.manifests.write(copy, { signal });
  return shelf.status.update((now) => withCopy(now, copy), { signal });
}

async function putOrForget<M extends Media>(
  { destination, manifests }: Shelf<M>,
  { key, content }: { readonly key: Key; readonly content: ByteStream },
  options: CallOptions,
): Promise<Digest> {
  try {
    return await destination.put(key, content, options);
  } catch (error) {
    // The destination has cleaned up; if taking the mark away fails as well, the next run sweeps it.
    await manifests.forget(key, { signal: AbortSignal.timeout(CLEANUP_MS) }).catch(() => undefined);
    throw error;
  }
}

/**
 * Remove copies, in the order given: status → manifest → data, so that nothing is ever listed that is not there.
 * @returns the status without them.
 */
export async function removeCopies<M extends Media>(
  shelf: Shelf<M>,
  copies: readonly CopyOf<M>[],
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>>> {
  const keys = new Set(copies.map(({ key }) => key));
  const left = await shelf.status.update((now) => statusOf(now.copies.filter(({ key }) => !keys.has(key))), { signal });
  for (const { key } of copies) {
    await shelf.manifests.remove(key, { signal });
    await shelf.destination.remove(key, { signal });
    await shelf.manifests.forget(key, { signal });
  }
  return left;
}
