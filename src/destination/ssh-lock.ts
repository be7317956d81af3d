import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { FarStat } from "../lib/sftp.ts";
import type { CallOptions } from "./destination.ts";
import { describeOwner, isOwnerGone, newLockText } from "./lock-record.ts";
import { pause } from "./pause.ts";
import type { Far } from "./ssh-far.ts";
import { parentOf, publish, removeFile, tryTo } from "./ssh-tree.ts";
import { readWhole, writeWhole } from "./ssh-whole-file.ts";
import { lockName, partialFolderOf, temporaryName } from "./temporary-name.ts";

/** A lock is held for the time of one small write. One this old, by the far clock, was left behind. */
const STALE_AFTER_MILLISECONDS = 60_000;

/** How long to wait for a lock: until one that was left behind is stale. */
const PATIENCE_MILLISECONDS = STALE_AFTER_MILLISECONDS + 15_000;

const CLEANUP_MILLISECONDS = 10_000;

/** The lock of one key, held until it is disposed. */
export class FarLock implements AsyncDisposable {
  readonly #far: Far;
  readonly #path: string;
  readonly #text: string;

  private constructor(far: Far, path: string, text: string) {
    this.#far = far;
    this.#path = path;
    this.#text = text;
  }

  /**
   * Wait for the lock of a key, and take it over when its holder is gone. Its folder must exist.
   * @throws {BackupError} LOCKED when somebody holds it all the time.
   */
  static async acquire(far: Far, key: Key, options: CallOptions): Promise<FarLock> {
    const path = far.path(`${partialFolderOf(key)}/${lockName(key)}`);
    const text = newLockText();
    const deadline = performance.now() + PATIENCE_MILLISECONDS;
    while (!(await create(far, path, { ...options, text }))) {
      const isRemoved = await breakStale(far, path, options);
      if (performance.now() > deadline) throw await heldTooLong(far, path, options);
      if (!isRemoved) await pause(20 + Math.random() * 80, options.signal);
    }
    return new FarLock(far, path, text);
  }

  /** @throws {BackupError} LOCKED when the lock was taken over, because this process or the network slept. */
  async confirm(options: CallOptions): Promise<void> {
    if ((await readText(this.#far, this.#path, options)) === this.#text) return;
    throw new BackupError("LOCKED", `Cannot keep the lock "${this.#path}": another writer took it over`, {
      hint: "Run again; this process was suspended, or the far host is very slow.",
      retryable: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const options = { signal: AbortSignal.timeout(CLEANUP_MILLISECONDS) };
    try {
      if ((await readText(this.#far, this.#path, options)) === this.#text) {
        await removeFile(this.#far, this.#path, options);
      }
    } catch {
      // It goes stale by itself. An error here would hide how the work under the lock ended.
    }
  }
}

/**
 * Remove a lock that nobody holds any more. It is renamed first: of several who find it stale, one gets it.
 * @returns whether this call removed it.
 */
export async function breakStale(far: Far, path: string, options: CallOptions): Promise<boolean> {
  const [lock, text] = await Promise.all([far.sftp.lstat(path, options), readText(far, path, options)]);
  if (lock === undefined || text === undefined) return false;
  if (!isOwnerGone(text) && !(await isOld(far, path, { ...options, lock }))) return false;
  const aside = `${parentOf(path)}/${temporaryName()}`;
  if (!(await tryTo(far.sftp.rename(path, aside, options)))) return false;
  const isJudged = (await readText(far, aside, options)) === text;
  // Another took it meanwhile: give it back. Should yet another have one by now, the holder finds out in confirm().
  if (!isJudged) await publish(far, { from: aside, to: path }, options);
  await removeFile(far, aside, options);
  return isJudged;
}

/** Now, by the clock of the far host as it dates files beside `path`. */
export async function farNow(far: Far, path: string, options: CallOptions): Promise<number> {
  const probe = `${parentOf(path)}/${temporaryName()}`;
  await writeWhole(far, probe, { ...options, content: new Uint8Array() });
  const { modifiedAt } = await far.sftp.stat(probe, options);
  await removeFile(far, probe, options);
  return modifiedAt.getTime();
}

/**
 * Make the lock: written under another name first, so that it never lacks its text. A lock without one would stay until it is
 * old when its maker is killed.
 * @returns false when the lock is taken.
 */
async function create(
  far: Far,
  path: string,
  { text, ...options }: CallOptions & { readonly text: string },
): Promise<boolean> {
  if ((await far.sftp.lstat(path, options)) !== undefined) return false;
  const aside = `${parentOf(path)}/${temporaryName()}`;
  let isOurs = false;
  try {
    await writeWhole(far, aside, { ...options, content: Buffer.from(text) });
    isOurs = (await publish(far, { from: aside, to: path }, options)) === "published";
    return isOurs;
  } finally {
    if (!isOurs)
      await removeFile(far, aside, { signal: AbortSignal.timeout(CLEANUP_MILLISECONDS) }).catch(() => undefined);
  }
}

async function isOld(
  far: Far,
  path: string,
  { lock, signal }: CallOptions & { readonly lock: FarStat },
): Promise<boolean> {
  return (await farNow(far, path, { signal })) - lock.modifiedAt.getTime() > STALE_AFTER_MILLISECONDS;
}

async function readText(far: Far, path: string, options: CallOptions): Promise<string | undefined> {
  return (await readWhole(far, path, options))?.toString("utf8");
}

async function heldTooLong(far: Far, path: string, options: CallOptions): Promise<BackupError> {
  const owner = describeOwner((await readText(far, path, options)) ?? "");
  return new BackupError("LOCKED", `Cannot take the lock "${path}" on ${far.place.url}: ${owner} has it`, {
    hint: "Wait for the other run, or find out why it hangs.",
    retryable: true,
  });
}
