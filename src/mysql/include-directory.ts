import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** The files that `!includedir` reads, in the order of their names: only those that end in `.cnf`. */
export async function includedFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => name.endsWith(".cnf"))
    .sort()
    .map((name) => join(directory, name));
}
