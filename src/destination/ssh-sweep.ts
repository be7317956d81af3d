import { keyProblem } from "../domain/key.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { breakStale, farNow } from "./ssh-lock.ts";
import { isInside, removeFile } from "./ssh-tree.ts";
import {
  isLeftover,
  LOCK_PREFIX,
  machineId,
  PARTIAL_FOLDER,
  type TemporaryOwner,
  temporaryOwner,
} from "./temporary-name.ts";

/** How long something stays whose owner cannot be asked. */
const ABANDONED_AFTER_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Remove what interrupted runs left below a host: temporary files of ended processes of this machine, those of
 * others after a day, and stale locks. Other names are left alone.
 * @returns how many were removed.
 */
export async function sweepHost(far: Far, host: string, options: CallOptions): Promise<number> {
  const directory = `${host}/${PARTIAL_FOLDER}`;
  if (keyProblem(directory) !== undefined || !(await isInside(far, directory, options))) return 0;
  let removed = 0;
  for (const { name, modifiedAt } of await far.sftp.readdir(far.path(directory), options)) {
    const path = far.path(`${directory}/${name}`);
    if (await sweepOne(far, { name, path, modifiedAt }, options)) removed += 1;
  }
  return removed;
}

type Found = { readonly name: string; readonly path: string; readonly modifiedAt: Date };

async function sweepOne(far: Far, { name, path, modifiedAt }: Found, options: CallOptions): Promise<boolean> {
  if (name.startsWith(LOCK_PREFIX)) return breakStale(far, path, options);
  const owner = temporaryOwner(name);
  if (owner === undefined || isOurs(owner)) return false;
  if (!isLeftover(name)) {
    const age = (await farNow(far, path, options)) - modifiedAt.getTime();
    if (age < ABANDONED_AFTER_MILLISECONDS) return false;
  }
  await removeFile(far, path, options);
  return true;
}

/** This very process may be at work on it, however long ago it last wrote. */
function isOurs({ machine, pid }: TemporaryOwner): boolean {
  return machine === machineId() && pid === process.pid;
}
