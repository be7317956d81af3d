import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "./file-error.ts";
import { breakLock, isStale, seeLock } from "./local-lock.ts";
import { isLeftover, LOCK_PREFIX, machineId, type TemporaryOwner, temporaryOwner } from "./temporary-name.ts";

/** How long something stays whose owner cannot be asked. */
const ABANDONED_AFTER_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Remove what interrupted runs left in a folder for unfinished objects. Names that are not of our making stay.
 * @returns how many were removed.
 */
export async function sweepFolder(folder: string, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    signal.throwIfAborted();
    const path = join(folder, name);
    const isRemoved = name.startsWith(LOCK_PREFIX) ? await sweepLock(path) : await sweepTemporary(path, name);
    if (isRemoved) removed += 1;
  }
  return removed;
}

async function sweepTemporary(path: string, name: string): Promise<boolean> {
  const owner = temporaryOwner(name);
  if (owner === undefined || isOurs(owner)) return false;
  try {
    const found = await lstat(path);
    if (!found.isFile() || !(isLeftover(name) || isAbandoned(found.mtimeMs))) return false;
    await unlink(path);
    return true;
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return false; // Its owner, or another sweep, was faster.
    throw error;
  }
}

async function sweepLock(path: string): Promise<boolean> {
  const seen = await seeLock(path);
  if (seen === undefined) return false;
  return (await isStale(path, seen)) && (await breakLock(path, seen));
}

/** This very process may be at work on it, however long ago it last wrote. */
function isOurs({ machine, pid }: TemporaryOwner): boolean {
  return machine === machineId() && pid === process.pid;
}

function isAbandoned(modifiedAt: number): boolean {
  return Date.now() - modifiedAt > ABANDONED_AFTER_MILLISECONDS;
}
