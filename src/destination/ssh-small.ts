import { createHash } from "node:crypto";
import type { Key } from "../domain/key.ts";
import { type CallOptions, ConflictError, type Small, type Version } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { FarLock } from "./ssh-lock.ts";
import { openDirectories, parentOf, removeFile, syncDirectory } from "./ssh-tree.ts";
import { readWhole, writeWhole } from "./ssh-whole-file.ts";
import { LOCK_PREFIX, lockName, partialFolderOf } from "./temporary-name.ts";

/** A small object; its version is the SHA-256 of its content. */
export async function readSmall(far: Far, key: Key, options: CallOptions): Promise<Small | undefined> {
  const content = (await readWhole(far, far.path(key), options)) ?? (await readReplaced(far, key, options));
  return content && { content, version: versionOf(content) };
}

export type Replacement = CallOptions & {
  readonly content: Uint8Array;
  readonly expected: Version | undefined;
  /** Where the content waits until it gets its name. The caller removes it when this fails. */
  readonly temporary: string;
};

/**
 * Compare and swap under the lock of the key.
 * @throws {ConflictError} when there is another version than `expected`.
 */
export async function replaceSmall(far: Far, key: Key, replacement: Replacement): Promise<Version> {
  const { content, expected, temporary, signal } = replacement;
  await openDirectories(far, [partialFolderOf(key), parentOf(key)], { signal });
  await writeWhole(far, temporary, replacement);
  await using lock = await FarLock.acquire(far, key, { signal });
  const [current] = await Promise.all([readSmall(far, key, { signal }), lock.confirm({ signal })]);
  if (current?.version !== expected) throw new ConflictError(key, far.place.url);
  await replace(far, key, replacement);
  await syncDirectory(far, far.path(parentOf(key)), { signal });
  return versionOf(content);
}

/** Remove an object, and what an interrupted replacement of it left. */
export async function removeObject(far: Far, key: Key, options: CallOptions): Promise<void> {
  if (!far.sftp.offers("posix-rename")) await removeFile(far, replacedPath(far, key), options);
  await removeFile(far, far.path(key), options);
}

/**
 * Give new content its name. A server that cannot rename over a file needs two steps; between them the old
 * content has a name of its own, under which `readSmall()` finds it.
 */
async function replace(far: Far, key: Key, { temporary, signal }: Replacement): Promise<void> {
  const path = far.path(key);
  if (far.sftp.offers("posix-rename")) return far.sftp.replace(temporary, path, { signal });
  const aside = replacedPath(far, key);
  if ((await far.sftp.lstat(path, { signal })) !== undefined) {
    await removeFile(far, aside, { signal });
    await far.sftp.rename(path, aside, { signal });
  }
  await far.sftp.rename(temporary, path, { signal });
  await removeFile(far, aside, { signal });
}

/** The old content, when a replacement was interrupted or is in progress. */
async function readReplaced(far: Far, key: Key, options: CallOptions): Promise<Buffer | undefined> {
  if (far.sftp.offers("posix-rename")) return undefined;
  const old = await readWhole(far, replacedPath(far, key), options);
  // Without either, the replacement was completed between the two looks, or there never was one.
  return old ?? readWhole(far, far.path(key), options);
}

function replacedPath(far: Far, key: Key): string {
  return far.path(`${partialFolderOf(key)}/${lockName(key).replace(LOCK_PREFIX, "replaced-")}`);
}

function versionOf(content: Uint8Array): Version {
  return createHash("sha256").update(content).digest("hex");
}
