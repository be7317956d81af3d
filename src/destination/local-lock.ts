import { constants } from "node:fs";
import { copyFile, lstat, open, rename, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { isSystemError } from "./file-error.ts";
import { isThere, linkAs } from "./local-temporary.ts";
import { describeOwner, isOwnerGone, newLockText } from "./lock-record.ts";
import { pause } from "./pause.ts";
import { temporaryName } from "./temporary-name.ts";

/** A lock is held for the time of one small write. Who holds it longer is suspended or gone. */
const STALE_AFTER_MILLISECONDS = 60_000;

const PATIENCE_MILLISECONDS = 30_000;

const OURS_ONLY = 0o600;

/** A lock as it was seen; two sightings are of the same lock when all of it is equal. */
export type SeenLock = { readonly text: string; readonly inode: number; readonly modifiedAt: number };

type Patience = { readonly signal: AbortSignal; readonly patienceMilliseconds?: number };

/** One lock file, held by this process until it is disposed. */
export class LocalLock implements AsyncDisposable {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /**
   * Wait for the lock, and take it over when its holder is provably gone or has had it for a minute.
   * @throws {BackupError} LOCKED when somebody else still has it after half a minute.
   */
  static async acquire(path: string, { signal, patienceMilliseconds }: Patience): Promise<LocalLock> {
    const text = newLockText();
    const deadline = Date.now() + (patienceMilliseconds ?? PATIENCE_MILLISECONDS);
    while (!(await create(path, text))) {
      signal.throwIfAborted();
      const seen = await seeLock(path);
      if (seen === undefined) continue;
      if (await isStale(path, seen)) await breakLock(path, seen);
      else if (Date.now() > deadline) throw heldTooLong(path, seen);
      else await pause(5 + Math.random() * 25, signal);
    }
    return new LocalLock(path, text);
  }

  /** @throws {BackupError} LOCKED when the lock was taken over, because this process was suspended while it had it. */
  async confirm(): Promise<void> {
    if ((await seeLock(this.#path))?.text === this.#text) return;
    throw new BackupError("LOCKED", `Cannot keep the lock "${this.#path}": another writer took it over`, {
      hint: "Run again; this process was suspended, or its disk is very slow.",
      retryable: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if ((await seeLock(this.#path))?.text === this.#text) await unlink(this.#path);
    } catch {
      // It goes stale by itself. An error here would hide how the work under the lock ended.
    }
  }
}

/**
 * Make the lock: written under another name first, so that it never lacks its text. A lock without one would stay until it is
 * old when its maker is killed.
 * @returns false when the lock is taken.
 */
async function create(path: string, text: string): Promise<boolean> {
  if (await isThere(path)) return false;
  const aside = join(dirname(path), temporaryName());
  try {
    await write(aside, text);
    const end = await linkAs(aside, path);
    return end === "impossible" ? await write(path, text) : end === "linked";
  } finally {
    await unlink(aside).catch(() => {});
  }
}

/** @returns false when there is a file of this name. */
async function write(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx", mode: OURS_ONLY });
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    // A full disk may have let the name in, but not the text.
    if (isSystemError(error, "ENOSPC", "EDQUOT", "EFBIG", "EIO")) await unlink(path).catch(() => {});
    throw error;
  }
}

/** @returns `undefined` when there is no lock. */
export async function seeLock(path: string): Promise<SeenLock | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { ino, mtimeMs } = await handle.stat();
      return { text: await handle.readFile("utf8"), inode: ino, modifiedAt: mtimeMs };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Whether the holder of a lock is provably gone, or has had it for a minute. */
export async function isStale(path: string, { text, modifiedAt }: SeenLock): Promise<boolean> {
  if (isOwnerGone(text)) return true;
  if (Date.now() - modifiedAt < STALE_AFTER_MILLISECONDS) return false;
  return (await storeTime(dirname(path))) - modifiedAt > STALE_AFTER_MILLISECONDS;
}

/** Now, by the clock that dates files in `folder`; that of a file server may differ from ours. */
async function storeTime(folder: string): Promise<number> {
  const path = join(folder, temporaryName());
  await writeFile(path, "", { flag: "wx", mode: OURS_ONLY });
  try {
    return (await lstat(path)).mtimeMs;
  } finally {
    await unlink(path);
  }
}

/**
 * Remove a lock that was found stale. Renaming it first lets only one of several breakers have it; what
 * turns out to be another lock, taken meanwhile, is put back.
 * @returns whether this call removed it.
 */
export async function breakLock(path: string, judged: SeenLock): Promise<boolean> {
  const aside = join(dirname(path), temporaryName());
  try {
    await rename(path, aside);
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return false;
    throw error;
  }
  const renamed = await seeLock(aside);
  const isJudged = renamed?.inode === judged.inode && renamed.text === judged.text;
  if (!isJudged) await putBack(aside, path);
  await unlink(aside);
  return isJudged;
}

/** Should yet another writer have the lock by now, its rightful holder finds out in `confirm()`. */
async function putBack(aside: string, path: string): Promise<void> {
  try {
    await copyFile(aside, path, constants.COPYFILE_EXCL);
  } catch (error) {
    if (!isSystemError(error, "EEXIST")) throw error;
  }
}

function heldTooLong(path: string, { text }: SeenLock): BackupError {
  return new BackupError("LOCKED", `Cannot take the lock "${path}": ${describeOwner(text)} has it`, {
    hint: "Wait for the other run, or find out why it hangs.",
    retryable: true,
  });
}
