import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { Command } from "../lib/command.ts";
import { makeDirectories } from "../lib/directories.ts";
import { meaningOf } from "../lib/system-error.ts";
import type { Tap } from "./modifier.ts";

function refused(path: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot keep "${path}" on this host: ${what}`, {
    hint: "Look at the disk and the permissions of keep_local_path under [destination].",
    cause,
  });
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

/** The directory of `path` and those above it, up to `root`. */
function directoriesUpTo(root: string, path: string): string[] {
  const directory = dirname(path);
  return directory.length <= root.length ? [directory] : [directory, ...directoriesUpTo(root, directory)];
}

/** A copy that is being kept on this host while it passes. */
class KeptCopy implements Tap {
  readonly command: Command;
  readonly #root: string;
  readonly #path: string;
  readonly #partial: string;

  constructor(root: string, key: Key) {
    this.#root = root;
    this.#path = join(root, key);
    const mark = `${process.pid}-${randomBytes(6).toString("hex")}`;
    // A name may be as long as a file system lets it; this one must not be longer.
    const name = basename(this.#path).slice(0, 50);
    this.#partial = join(dirname(this.#path), `.${name}.${mark}.partial`);
    this.command = { file: "tee", args: ["--", this.#partial], tap: true };
  }

  /** Make the file before tee does, so that nobody else may read it. */
  async begin(): Promise<void> {
    try {
      await makeDirectories(dirname(this.#path), 0o700);
      const handle = await open(this.#partial, "wx", 0o600);
      await handle.close();
    } catch (error) {
      throw refused(this.#path, error);
    }
  }

  async publish(): Promise<string> {
    try {
      await this.#settle();
      await rename(this.#partial, this.#path);
      for (const directory of directoriesUpTo(this.#root, this.#path)) await sync(directory);
    } catch (error) {
      throw refused(this.#path, error);
    }
    return this.#path;
  }

  async #settle(): Promise<void> {
    await using handle = await open(this.#partial, "r");
    await handle.sync();
    if ((await handle.stat()).size === 0) throw new Error("nothing was written to it");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#partial, { force: true });
  }
}

/**
 * Keep a second copy below `root` while the bytes pass. It belongs behind the compression and before the encryption.
 * Do not publish it when its program ended with a warning: the file is then shorter than what passed.
 * @param key of the copy as it is at that place: without `.gpg`.
 * @throws {BackupError} when the file cannot be made.
 */
export async function keepLocal(root: string, key: Key): Promise<Tap> {
  const copy = new KeptCopy(root, key);
  await copy.begin();
  return copy;
}
