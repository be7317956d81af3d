import { keyProblem } from "../domain/key.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { breakStale, farNow, LOCK_PREFIX } from "./ssh-lock.ts";
import { isInside, PARTIAL, removeFile } from "./ssh-tree.ts";
import { isLeftover, temporaryOwner } from "./temporary-name.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Remove what interrupted runs left below a host: temporary files of ended processes of this machine, those of
 * others after a day, and stale locks. Other names are left alone.
 * @returns how many were removed.
 */
export async function sweepHost(far: Far, host: string, options: CallOptions): Promise<number> {
  const directory = `${host}/${PARTIAL}`;
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
  if (temporaryOwner(name) === undefined) return false;
  if (!isLeftover(name)) {
    const now = await farNow(far, path, options);
    if (now.getTime() - modifiedAt.getTime() < DAY_MS) return false;
  }
  await removeFile(far, path, options);
  return true;
}
