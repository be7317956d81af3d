import { constants } from "node:fs";
import { type FileHandle, link, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSystemError } from "./file-error.ts";
import { syncDirectory } from "./local-root.ts";
import { temporaryName } from "./temporary-name.ts";

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OURS_ONLY = 0o600;

/** What link(2) says on file systems that have no hard links, such as FAT, and some of FUSE and CIFS. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EMLINK"];

/** Thrown by `publish()`; the caller knows the key. */
export class TakenError extends Error {
  override readonly name: string = "TakenError";
}

/** A new file that nobody sees, and that is gone when it is disposed before it was published. */
export class Temporary implements AsyncDisposable {
  readonly path: string;
  #handle: FileHandle | undefined;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(folder: string): Promise<Temporary> {
    const path = join(folder, temporaryName());
    return new Temporary(path, await open(path, NEW_FILE, OURS_ONLY));
  }

  /** Append all of a chunk. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      const { bytesWritten } = await this.#open().write(chunk, offset, chunk.length - offset, null);
      offset += bytesWritten;
    }
  }

  /** Make the content durable. Some file systems report a full disk or quota only here, on close. */
  async finish(): Promise<void> {
    const handle = this.#open();
    await handle.sync();
    this.#handle = undefined;
    await handle.close();
  }

  /**
   * Give the finished file its name, unless there is one of that name. When it cannot be made durable, it is taken back.
   * @param moveInto what to do where there are no hard links; has to make sure by itself that the name is free.
   * @throws {TakenError} when the name is taken.
   */
  async publish(target: string, moveInto: (target: string) => Promise<void>): Promise<void> {
    const end = await linkAs(this.path, target);
    if (end === "taken") throw new TakenError(target);
    const linked = end === "linked";
    if (!linked) await moveInto(target);
    try {
      await syncDirectory(dirname(target));
      if (linked) await unlink(this.path);
      await syncDirectory(dirname(this.path));
    } catch (error) {
      await removeIfThere(target);
      throw error;
    }
  }

  /** Give the finished file its name, in place of what has it now. */
  async replace(target: string): Promise<void> {
    await rename(this.path, target);
    await syncDirectory(dirname(target));
  }

  /** Move into place without hard links. Only safe while no other writer can do the same. */
  async moveIfFree(target: string): Promise<void> {
    if (await isThere(target)) throw new TakenError(target);
    await rename(this.path, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    // An error here would hide the one that brought us here; what stays behind is swept by the next run.
    await handle?.close().catch(() => {});
    await removeIfThere(this.path);
  }

  #open(): FileHandle {
    if (this.#handle === undefined) throw new Error(`"${this.path}" is closed`);
    return this.#handle;
  }
}

/** Give a file a second name, unless that is taken. @returns `impossible` where there are no hard links. */
export async function linkAs(path: string, target: string): Promise<"linked" | "taken" | "impossible"> {
  try {
    await link(path, target);
    return "linked";
  } catch (error) {
    if (isSystemError(error, ...NO_LINKS)) return "impossible";
    if (!isSystemError(error, "EEXIST")) throw error;
    // A file server may have linked it, lost the answer and been asked again.
    return (await isSameFile(path, target)) ? "linked" : "taken";
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([lstat(one), lstat(other)]);
  return a.dev === b.dev && a.ino === b.ino;
}

/** Whether anything has this name. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return false;
    throw error;
  }
}

/** For cleaning up after a failure: never throws, since sweeping comes back to what could not be removed. */
async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}
