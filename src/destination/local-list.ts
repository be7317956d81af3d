import { type Dirent, lstatSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { asKey } from "../domain/key.ts";
import type { Entry, ListOptions } from "./destination.ts";
import { isSystemError } from "./file-error.ts";
import { PARTIAL_FOLDER } from "./temporary-name.ts";

/** Files that are asked for their size before folders between them are read. */
const BATCH_FILES = 64;

/** A name in a folder as it starts keys: relative to the root, with a slash at the end of a folder. */
type Found = { readonly path: string; readonly isFolder: boolean };

/** What is asked for: what starts with `prefix`, but for folders that `skip` knows. */
type Wanted = Pick<ListOptions, "skip"> & { readonly prefix: string };

/**
 * Regular files below `root` whose relative path starts with `prefix`, in the order of UTF-16 code units.
 * Reads only folders that can hold some. Symbolic links are not followed, and not listed.
 * Comes in batches: a step of an asynchronous generator costs more than a file does.
 */
export async function* listFiles(root: string, wanted: Wanted): AsyncGenerator<readonly Entry[], void> {
  yield* walk(root, "", wanted);
}

async function* walk(root: string, folder: string, wanted: Wanted): AsyncGenerator<readonly Entry[], void> {
  let files: string[] = [];
  for (const { path, isFolder } of await relevant(root, folder, wanted)) {
    if (!isFolder) files.push(path);
    if (isFolder || files.length === BATCH_FILES) {
      yield stored(root, files);
      files = [];
    }
    if (isFolder) yield* walk(root, path, wanted);
  }
  yield stored(root, files);
}

/** What may hold or be such a file, sorted as the keys are: `a.b` before `a/b` before `a0`. */
async function relevant(root: string, folder: string, { prefix, skip }: Wanted): Promise<Found[]> {
  const isWanted = ({ path, isFolder }: Found): boolean => {
    if (!isFolder) return path.startsWith(prefix);
    return (path.startsWith(prefix) || prefix.startsWith(path)) && skip?.(path) !== true;
  };
  const found: Found[] = [];
  for (const entry of await entriesOf(join(root, folder))) {
    const isFolder = entry.isDirectory();
    if (entry.name === PARTIAL_FOLDER || !(isFolder || entry.isFile())) continue;
    const one = { path: isFolder ? `${folder}${entry.name}/` : folder + entry.name, isFolder };
    if (isWanted(one)) found.push(one);
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return []; // It was removed meanwhile.
    throw error;
  }
}

function stored(root: string, paths: readonly string[]): Entry[] {
  return paths.map((path) => entryOf(root, path)).filter((entry) => entry !== undefined);
}

/** @returns `undefined` for what was removed meanwhile, and for names that no key can have. */
function entryOf(root: string, path: string): Entry | undefined {
  const key = asKey(path);
  if (key === undefined) return undefined;
  try {
    // Synchronous: for a thousand names the way through the thread pool takes five times as long as asking.
    const found = lstatSync(`${root}/${path}`);
    return found.isFile() ? { key, bytes: found.size, modifiedAt: found.mtime } : undefined;
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
