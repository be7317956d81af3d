import { chmod, mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "../lib/directories.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";
import { meaningOf } from "../lib/system-error.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import type { Scratch } from "./staging.ts";

const PREFIX = "twindb-backup-verify-";

/** The server that is started on the data may run as another user, who has to get through; what is inside stays private. */
const PASSABLE = 0o711;

/**
 * Make a private directory to restore into for a while. Disposing it removes what was made, and nothing else; what a killed run left goes
 * first.
 * @param dst where: an empty directory, or one that is not there yet. By default the system's place for temporary files.
 * @throws {BackupError} USAGE when `dst` holds anything.
 */
export async function openVerifyDirectory(dst: string | undefined): Promise<Scratch> {
  if (dst !== undefined) return openBelow(resolve(dst));
  for (const path of await leftTemporaryDirectories(PREFIX)) await rm(path, { recursive: true, force: true });
  const directory = await makeTemporaryDirectory(PREFIX);
  await chmod(directory, PASSABLE);
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

async function openBelow(path: string): Promise<Scratch> {
  const made = await makeDirectories(path, 0o755).catch((cause: unknown) => refuse(path, cause));
  const directory = join(path, ownedName(PREFIX));
  try {
    await clear(path);
    await mkdir(directory, { mode: PASSABLE });
  } catch (error) {
    throw error instanceof BackupError ? error : refuse(path, error);
  }
  return {
    directory,
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true });
      // Only those we made, and only while nobody put anything into them.
      for (const each of made.toReversed()) await rmdir(each).catch(() => undefined);
    },
  };
}

async function clear(path: string): Promise<void> {
  const names = await readdir(path);
  for (const name of names.filter((each) => isLeftover(each, PREFIX)))
    await rm(join(path, name), { recursive: true, force: true });
  const foreign = names.filter((name) => name !== "lost+found" && !isLeftover(name, PREFIX));
  if (foreign.length === 0) return;
  const what = foreign.length === 1 ? `"${foreign[0]}"` : `${foreign.length} entries`;
  throw new BackupError("USAGE", `Cannot verify in "${path}": it holds ${what}`, {
    hint: "Give --dst a new or an empty directory.",
  });
}

function refuse(path: string, cause: unknown): never {
  const { code, what } = meaningOf(cause);
  throw new BackupError(code, `Cannot verify in "${path}": ${what}`, {
    hint: "Give --dst a directory that the user who runs this can make or fill.",
    cause,
  });
}
