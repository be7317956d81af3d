import { chmod, lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "../lib/directories.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";
import { meaningOf } from "../lib/system-error.ts";

/** Start of the name of a directory that holds a restore until it is complete. */
const PREFIX = ".twindb-restore-";

/** Start of the name of a directory in which a recovery is made, which a run that follows goes on with. */
export const RECOVERY_PREFIX = ".twindb-recover-";

async function sweep(directory: string): Promise<void> {
  for (const name of (await readdir(directory)).filter((each) => isLeftover(each, PREFIX)))
    await rm(join(directory, name), { recursive: true });
}

/** What a file system puts into its root by itself. */
const OF_THE_FILE_SYSTEM = "lost+found";

/** A directory for what a restore needs on its way; disposing it removes it. */
export type Scratch = AsyncDisposable & { readonly directory: string };

/** A directory that a restore fills, which takes the target's place only when everything succeeded. */
export class Staging implements AsyncDisposable {
  /** Where to extract into. */
  readonly directory: string;
  readonly #target: string;
  readonly #isInside: boolean;
  #isPromoted = false;

  private constructor(target: string, isInside: boolean) {
    this.#target = target;
    this.#isInside = isInside;
    this.directory = join(isInside ? target : dirname(target), ownedName(PREFIX));
  }

  /**
   * Prepare to restore into `target`, which must be an empty directory or not exist.
   * @throws {BackupError} USAGE when it holds anything.
   */
  static async open(target: string): Promise<Staging> {
    const path = resolve(target);
    const exists = await checkEmpty(path);
    await makeDirectories(dirname(path), 0o755).catch((cause: unknown) => refuse(path, cause));
    await sweep(dirname(path));
    const staging = new Staging(path, exists);
    await mkdir(staging.directory, { mode: 0o700 }).catch((cause: unknown) => refuse(path, cause));
    return staging;
  }

  /** Make a directory beside it, on the same file system. A run that is killed leaves it to be swept by the next. */
  async scratch(): Promise<Scratch> {
    const directory = join(dirname(this.directory), ownedName(PREFIX));
    await mkdir(directory, { mode: 0o700 }).catch((cause: unknown) => refuse(directory, cause));
    return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  }

  /**
   * Put what was extracted in its place.
   * @param mode that of a target that was not there; by default as mkdir would have made it, 0777 less the umask.
   */
  async promote(mode = 0o777 & ~process.umask()): Promise<void> {
    if (this.#isInside) {
      for (const name of await readdir(this.directory))
        await rename(join(this.directory, name), join(this.#target, name));
      await rm(this.directory, { recursive: true });
    } else {
      await chmod(this.directory, mode);
      await rename(this.directory, this.#target);
    }
    this.#isPromoted = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isPromoted) await rm(this.directory, { recursive: true, force: true });
  }
}

function isStage(name: string): boolean {
  return name.startsWith(RECOVERY_PREFIX);
}

async function checkEmpty(path: string): Promise<boolean> {
  await sweep(path).catch(() => {
    // It is not there, or no directory, or closed to us: the look that follows tells.
  });
  return requireFree(path);
}

/**
 * Prove that a restore may go to `target`: an empty directory, or none yet. Changes nothing.
 * @returns whether it is there.
 * @throws {BackupError} USAGE when it holds anything, or is no directory.
 */
export async function requireFree(target: string): Promise<boolean> {
  const path = resolve(target);
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    return refuse(path, error);
  });
  if (stat === undefined) return false;
  if (!stat.isDirectory()) throw occupied(path, "it is not a directory");
  const all = await readdir(path).catch((error: unknown) => refuse(path, error));
  const names = all.filter((name) => name !== OF_THE_FILE_SYSTEM && !isLeftover(name, PREFIX) && !isStage(name));
  if (names.length > 0)
    throw occupied(path, `it holds ${names.length === 1 ? `"${names[0]}"` : `${names.length} entries`}`);
  return true;
}

function occupied(path: string, what: string): BackupError {
  return new BackupError("USAGE", `Cannot restore into "${path}": ${what}`, {
    hint: `Give --dst a new or an empty directory, such as ${join(dirname(path), `${basename(path)}.restored`)}.`,
  });
}

function refuse(path: string, cause: unknown): never {
  const { code, what } = meaningOf(cause);
  throw new BackupError(code, `Cannot restore into "${path}": ${what}`, {
    hint: "Give --dst a directory that the user who runs this can make or fill.",
    cause,
  });
}
