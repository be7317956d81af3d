import type { CallOptions, Destination } from "../destination/destination.ts";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { type BackupError, isNotPermitted } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
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

/** Take copies out of the status, and touch nothing else. */
export function forgetCopies<M extends Media>(
  shelf: Shelf<M>,
  keys: ReadonlySet<Key>,
  { signal }: CallOptions,
): Promise<Loaded<CopyOf<M>>> {
  return shelf.status.update((now) => statusOf(now.copies.filter(({ key }) => !keys.has(key))), { signal });
}

/** What `removeCopies()` did. */
export type Removal<C extends Copy> = {
  /** The status after it. */
  readonly status: Status<C>;
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
  copies: readonly CopyOf<M>[],
  { signal }: CallOptions,
): Promise<Removal<CopyOf<M>>> {
  const keys = new Set(copies.map(({ key }) => key));
  const left = await forgetCopies(shelf, keys, { signal });
  const refused: CopyOf<M>[] = [];
  const needed = new Set<Key>();
  let refusal: BackupError | undefined;
  for (const copy of copies) {
    const refusedNow = needed.has(copy.key) ? refusal : await tryRemove(shelf, copy.key, { signal });
    if (refusedNow === undefined) continue;
    refusal ??= refusedNow;
    refused.push(copy);
    const parent = parentKeyOf(copy);
    if (parent !== undefined) needed.add(parent);
  }
  const rest = new Set(refused.map(({ key }) => key));
  const removed = copies.map(({ key }) => key).filter((key) => !rest.has(key));
  if (refused.length === 0) return { status: left.status, removed, refused: [], refusal: undefined };
  for (const copy of refused) await shelf.manifests.write(copy, { signal });
  const { status } = await shelf.status.update((now) => statusOf([...refused, ...now.copies]), { signal });
  return { status, removed, refused: [...rest], refusal };
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
