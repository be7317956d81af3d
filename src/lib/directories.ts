import { lstat, mkdir } from "node:fs/promises";
import { dirname } from "node:path";

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

/**
 * Make a directory and those missing above it. One that is there is left as it is.
 * Not by `mkdir()`'s own `recursive`, which never returns on a file system that answers ENOENT for a new name, such as /proc.
 * @returns the directories that were made, the outermost first.
 */
export async function makeDirectories(path: string, mode: number): Promise<string[]> {
  if (await isThere(path)) return [];
  const above = dirname(path) === path ? [] : await makeDirectories(dirname(path), mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (hasCode(error, "EEXIST")) return above;
    throw error;
  }
  return [...above, path];
}
