import { createHash, randomBytes } from "node:crypto";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { isRunning, machineId } from "../lib/process-identity.ts";

export { machineId } from "../lib/process-identity.ts";

/** Folder below each HOST for objects that are not finished, and for locks. No key has such a component. */
export const PARTIAL_FOLDER = ".partial";

/** How names of locks in that folder start. */
export const LOCK_PREFIX = "lock-";

/** Whose a temporary object is. */
export type TemporaryOwner = { readonly machine: string; readonly pid: number };

/** @throws {BackupError} DATA_DAMAGED when the key is that of an unfinished object or a lock. */
export function refusePartial(key: Key): void {
  if (!key.split("/").includes(PARTIAL_FOLDER)) return;
  throw new BackupError("DATA_DAMAGED", `Cannot use "${key}" as a key: "${PARTIAL_FOLDER}" is for unfinished objects`);
}

/** Where the unfinished object of a key lies, relative to the root: `HOST/.partial`. Refuses keys that lie there. */
export function partialFolderOf(key: Key): string {
  refusePartial(key);
  const slash = key.indexOf("/");
  return slash < 0 ? PARTIAL_FOLDER : `${key.slice(0, slash)}/${PARTIAL_FOLDER}`;
}

/** A name that nobody else picks: `<machine>-<pid>-<random>`, such as `5f1c0a9be3d2-4711-9c0e1d2f3a4b5c6d`. */
export function temporaryName(): string {
  return `${machineId()}-${process.pid}-${randomBytes(8).toString("hex")}`;
}

/** Who made a temporary object of that name; `undefined` when it is no such name. */
export function temporaryOwner(name: string): TemporaryOwner | undefined {
  const [, machine, pid] = /^([0-9a-f]{12})-([1-9][0-9]{0,9})-[0-9a-f]{16}$/.exec(name) ?? [];
  return machine === undefined ? undefined : { machine, pid: Number(pid) };
}

/** Whether a temporary name is that of a process of this machine which has ended. */
export function isLeftover(name: string): boolean {
  const owner = temporaryOwner(name);
  return owner !== undefined && owner.machine === machineId() && !isRunning(owner.pid);
}

/** Name of the lock of a key in its folder; the same for every way to reach that folder. */
export function lockName(key: Key): string {
  return LOCK_PREFIX + createHash("sha256").update(key).digest("hex").slice(0, 16);
}
