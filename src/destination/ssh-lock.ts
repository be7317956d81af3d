import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { FarStat, Handle } from "../lib/sftp.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { parentOf, partialOf, publish, removeFile, tryTo } from "./ssh-tree.ts";
import { readWhole, writeWhole } from "./ssh-whole-file.ts";
import { isLeftover, temporaryName } from "./temporary-name.ts";

/** A lock older than this, by the clock of the far host, was left by a run that died. */
export const STALE_LOCK_MS = 60_000;

/** A holder that takes longer than this gives up, well before others take its lock for stale. */
const HOLD_LIMIT_MS = 30_000;

/** How long to wait for a lock: until one that was left behind has become stale. */
const WAIT_LIMIT_MS = STALE_LOCK_MS + 15_000;

/** Names of locks in the directory for unfinished objects. */
export const LOCK_PREFIX = "lock-";

/** Path of the lock of a key. */
export function lockPath(far: Far, key: Key): string {
  return far.path(`${partialOf(key)}/${LOCK_PREFIX}${keyDigest(key)}`);
}

/** A short name for a key, without slashes. */
export function keyDigest(key: Key): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}

/** A lock that is held. Disposing it releases it. */
export class Lock implements AsyncDisposable {
  readonly #far: Far;
  readonly #path: string;
  readonly #since = performance.now();

  private constructor(far: Far, path: string) {
    this.#far = far;
    this.#path = path;
  }

  /**
   * Wait for the lock of a key. Its directory must exist.
   * @throws {BackupError} LOCKED when somebody holds it all the time.
   */
  static async take(far: Far, key: Key, options: CallOptions): Promise<Lock> {
    const path = lockPath(far, key);
    const start = performance.now();
    while (performance.now() - start < WAIT_LIMIT_MS) {
      if (await create(far, path, options)) return new Lock(far, path);
      if (await breakStale(far, path, options)) continue;
      await pause(50 + Math.random() * 100, undefined, options).catch(() => options.signal.throwIfAborted());
    }
    throw new BackupError("LOCKED", `Cannot change "${key}" on ${far.place.url}: another run holds "${path}"`, {
      hint: "Wait for the other run to end.",
      retryable: true,
    });
  }

  /** Call right before a step that only the holder may do. @throws {BackupError} LOCKED when it was held too long. */
  assertHeld(): void {
    if (performance.now() - this.#since < HOLD_LIMIT_MS) return;
    throw new BackupError(
      "LOCKED",
      `Cannot rely on "${this.#path}": it was held for more than ${HOLD_LIMIT_MS / 1000} seconds`,
      {
        hint: "The far host is very slow; run the command again.",
        retryable: true,
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A lock we held too long may be another's by now; a stale one of ours is broken by the next who wants it.
    if (performance.now() - this.#since >= HOLD_LIMIT_MS) return;
    await removeFile(this.#far, this.#path, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  }
}

/** Create a lock, unless there is one. @returns whether there was none. */
async function create(far: Far, path: string, options: CallOptions): Promise<boolean> {
  const opening = far.sftp.open(path, "wx", options);
  if (!(await tryTo(opening))) {
    if ((await far.sftp.lstat(path, options)) !== undefined) return false;
    // Somebody released it in between, or it can never be made: that shows the second time.
    const again = far.sftp.open(path, "wx", options);
    if (!(await tryTo(again)) && (await far.sftp.lstat(path, options)) !== undefined) return false;
    return sign(far, await again, options);
  }
  return sign(far, await opening, options);
}

/** Write into a lock whose it is. One that cannot be written into is held all the same, and ages like the others. */
async function sign(far: Far, handle: Handle, options: CallOptions): Promise<true> {
  await tryTo(far.sftp.write(handle, Buffer.from(lockText()), { ...options, at: 0 }));
  await tryTo(far.sftp.close(handle, options));
  return true;
}

/** A lock's content: whose it is, and since when, for people. */
export function lockText(owner: string = temporaryName()): string {
  return `${JSON.stringify({ owner, since: new Date().toISOString() })}\n`;
}

/**
 * Remove a lock that nobody holds any more. It is renamed first: of several who find it stale, one gets it.
 * @returns whether this call removed it.
 */
export async function breakStale(far: Far, path: string, options: CallOptions): Promise<boolean> {
  const [lock, text] = await look(far, path, options);
  if (lock === undefined) return false;
  if (!isOwnerDead(text) && !isStale(lock, await farNow(far, path, options))) return false;
  const aside = `${parentOf(path)}/${temporaryName()}`;
  if (!(await tryTo(far.sftp.rename(path, aside, options)))) return false;
  const [, taken] = await look(far, aside, options);
  // Between the look and the rename another may have broken it and taken a new one: give that back.
  const isOurs = taken === text;
  if (!isOurs) await publish(far, { from: aside, to: path }, options);
  await removeFile(far, aside, options);
  return isOurs;
}

async function look(far: Far, path: string, options: CallOptions): Promise<[FarStat | undefined, string]> {
  const [stat, content] = await Promise.all([far.sftp.lstat(path, options), readWhole(far, path, options)]);
  return [stat, content?.toString("utf8") ?? ""];
}

function isOwnerDead(text: string): boolean {
  const [, owner = ""] = /"owner":"([^"]*)"/.exec(text) ?? [];
  return isLeftover(owner);
}

function isStale(lock: FarStat, now: Date): boolean {
  return now.getTime() - lock.modifiedAt.getTime() > STALE_LOCK_MS;
}

/** The clock of the far host, as it stamps files beside `path`. */
export async function farNow(far: Far, path: string, options: CallOptions): Promise<Date> {
  const probe = `${parentOf(path)}/${temporaryName()}`;
  await writeWhole(far, probe, { ...options, content: new Uint8Array() });
  const stat = await far.sftp.stat(probe, options);
  await removeFile(far, probe, options);
  return stat.modifiedAt;
}
