import { lstat, mkdir, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { isLeftover, ownedName } from "./owned-name.ts";
import { meaningOf } from "./system-error.ts";

/**
 * Make a private directory in the system's place for temporary files, or in another one. @returns its path.
 * @throws {BackupError} when that place cannot be used.
 */
export async function makeTemporaryDirectory(prefix: string, place = tmpdir()): Promise<string> {
  const path = join(place, ownedName(prefix));
  try {
    await mkdir(path, { mode: 0o700 });
    return path;
  } catch (error) {
    throw unusable(place, error);
  }
}

function unusable(place: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot keep temporary files in "${place}": ${what}`, {
    hint: "Set TMPDIR to a directory that the user who runs this may write to.",
    cause,
  });
}

async function isOurs(path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    return stats.isDirectory() && stats.uid === process.geteuid?.();
  } catch {
    // Gone between the two looks, by another sweep: not ours to remove.
    return false;
  }
}

async function namesIn(place: string): Promise<string[]> {
  try {
    return await readdir(place);
  } catch (error) {
    throw unusable(place, error);
  }
}

/** A temporary directory of ours. `isLeft` when its maker was killed before it could remove it. */
type TemporaryDirectory = { readonly path: string; readonly isLeft: boolean };

/** Temporary directories of ours, of this process and others. */
export async function temporaryDirectories(prefix: string, place = tmpdir()): Promise<TemporaryDirectory[]> {
  const found: TemporaryDirectory[] = [];
  for (const name of (await namesIn(place)).filter((each) => each.startsWith(prefix))) {
    const path = join(place, name);
    if (await isOurs(path)) found.push({ path, isLeft: isLeftover(name, prefix) });
  }
  return found;
}

/** Temporary directories of ours whose maker was killed before it could remove them. */
export async function leftTemporaryDirectories(prefix: string, place = tmpdir()): Promise<string[]> {
  return (await temporaryDirectories(prefix, place)).filter(({ isLeft }) => isLeft).map(({ path }) => path);
}
