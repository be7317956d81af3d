import { constants } from "node:fs";
import { lstat, open, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "../lib/directories.ts";
import { isSystemError } from "./file-error.ts";

const OURS_ONLY = 0o700;

/** Make what was linked, renamed or removed in a directory survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems cannot sync a directory; they have no journal of names that we could wait for.
    if (!isSystemError(error, "EINVAL", "ENOTSUP")) throw error;
  } finally {
    await handle.close();
  }
}

/** Make a directory and those above it, all durable. One that is there already is left as it is. */
async function makeDurable(path: string): Promise<void> {
  for (const made of await makeDirectories(path, OURS_ONLY)) await syncDirectory(dirname(made));
}

function refused(path: string, what: string): BackupError {
  return new BackupError("NOT_PERMITTED", `Cannot use "${path}": ${what}`, {
    hint: "Find out who put it there, then remove it.",
  });
}

/** As the system would put it, so that callers treat it alike. */
function notDirectory(path: string): Error {
  const facts = { code: "ENOTDIR", syscall: "lstat", path };
  return Object.assign(new Error(`ENOTDIR: "${path}" is not a directory`), facts);
}

/** The directory a local destination lives in, and the only way to paths below it. */
export class LocalRoot {
  /** Absolute, without symbolic links. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Open `directory`, and make it when it is missing. */
  static async open(directory: string): Promise<LocalRoot> {
    await makeDurable(directory);
    const root = new LocalRoot(await realpath(directory));
    await root.#check(root.path);
    return root;
  }

  /** Prove that a folder below the root is reached without symbolic links. @returns its path. @throws ENOENT */
  async find(folder: string): Promise<string> {
    let path = this.path;
    for (const component of folder.split("/")) {
      path = join(path, component);
      await this.#check(path);
    }
    return path;
  }

  /** As `find()`; makes what is missing. */
  async make(folder: string): Promise<string> {
    let path = this.path;
    for (const component of folder.split("/")) {
      path = join(path, component);
      await makeDurable(path);
      await this.#check(path);
    }
    return path;
  }

  /**
   * Prove that a folder for unfinished objects cannot be one that somebody else made to catch them.
   * It belongs to us or to who owns the folder around it: a server of files may map our user to another one.
   */
  async checkOwner(path: string): Promise<void> {
    const { uid } = await lstat(path);
    if (uid === process.geteuid?.() || uid === (await lstat(dirname(path))).uid) return;
    throw refused(path, "it belongs to another user");
  }

  async #check(path: string): Promise<void> {
    const found = await lstat(path);
    if (found.isSymbolicLink()) throw refused(path, "it is a symbolic link");
    if (!found.isDirectory()) throw notDirectory(path);
  }
}
