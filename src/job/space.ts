import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { humanBytes } from "../domain/human.ts";
import type { RestorePlan } from "../domain/restore-plan.ts";

/** Bytes that the user who runs this may still write where a path is, or will be; `undefined` where nobody tells. */
export async function freeBytesAt(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT" && dirname(path) !== path;
    return isMissing ? freeBytesAt(dirname(path)) : undefined;
  }
}

/**
 * Refuse a restore before hours have gone into it. What is an estimate forbids nothing.
 * @throws {BackupError} NO_SPACE.
 */
export function requireSpace({ copy, space }: RestorePlan, freeBytes: number | undefined, target: string): void {
  if (space === undefined || space.isEstimate || freeBytes === undefined || space.bytes <= freeBytes) return;
  throw new BackupError(
    "NO_SPACE",
    `Cannot restore "${copy.key}" into "${target}": it takes ${humanBytes(space.bytes)}, ${humanBytes(freeBytes)} are free`,
    { hint: "Name a directory on a larger disk." },
  );
}

/** What speaks against the room at a target without forbidding a restore. */
export function spaceWarnings({ space }: RestorePlan, freeBytes: number | undefined): string[] {
  if (space === undefined || !space.isEstimate || freeBytes === undefined || space.bytes <= freeBytes) return [];
  return [`it may take ${humanBytes(space.bytes)}, as an estimate, and ${humanBytes(freeBytes)} are free`];
}
