import { type Key, keyProblem } from "../domain/key.ts";
import { isMissing } from "../lib/far-error.ts";
import { inOrder } from "../lib/in-order.ts";
import type { FarName } from "../lib/sftp.ts";
import type { CallOptions, Entry } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { isInside, parentOf } from "./ssh-tree.ts";
import { PARTIAL_FOLDER } from "./temporary-name.ts";

/** Directories read at the same time. */
const WIDTH = 8;

/**
 * All objects whose key starts with `prefix`, in the order of keys. Directories that cannot hold one are not
 * read. Links, special files and names that cannot be keys are passed over.
 */
export async function listEntries(far: Far, prefix: string, options: CallOptions): Promise<Entry[]> {
  const start = parentOf(prefix);
  if (start !== "" && keyProblem(start) !== undefined) return [];
  if (!(await isInside(far, start, options))) return [];
  const found: FarPath[] = [];
  for (let level = [start]; level.length > 0; ) {
    const paths = await readLevel(far, level, options);
    found.push(...paths.filter(({ kind, path }) => kind === "file" && path.startsWith(prefix)));
    level = paths.filter(({ kind, path }) => kind === "directory" && mayHold(path, prefix)).map(({ path }) => path);
  }
  return found
    .map(({ path, bytes, modifiedAt }) => ({ key: path as Key, bytes, modifiedAt }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

type FarPath = FarName & { readonly path: string };

async function readLevel(far: Far, directories: readonly string[], options: CallOptions): Promise<FarPath[]> {
  const reads = directories.map((directory) => () => readNames(far, directory, options));
  return (await Array.fromAsync(inOrder(reads, WIDTH))).flat();
}

/** What lies in a directory, with paths relative to the root. */
async function readNames(far: Far, directory: string, options: CallOptions): Promise<FarPath[]> {
  try {
    const names = await far.sftp.readdir(far.path(directory), options);
    const paths = names
      .filter(({ name }) => name !== PARTIAL_FOLDER)
      .map((entry) => ({ ...entry, path: directory === "" ? entry.name : `${directory}/${entry.name}` }))
      .filter(({ path }) => keyProblem(path) === undefined);
    const doubtful = paths.filter(({ name }) => name.includes("\uFFFD"));
    const lost = new Set(await unreachable(far, doubtful, options));
    return paths.filter((path) => !lost.has(path));
  } catch (error) {
    // Removed since its name was read.
    if (isMissing(error)) return [];
    throw error;
  }
}

/** A name that is no UTF-8 comes with replacement characters, under which there is nothing. */
async function unreachable(far: Far, paths: readonly FarPath[], options: CallOptions): Promise<FarPath[]> {
  const looks = paths.map((path) => async () => ((await far.sftp.lstat(far.path(path.path), options)) ? [] : [path]));
  return (await Array.fromAsync(inOrder(looks, WIDTH))).flat();
}

function mayHold(directory: string, prefix: string): boolean {
  return `${directory}/`.startsWith(prefix) || prefix.startsWith(`${directory}/`);
}
