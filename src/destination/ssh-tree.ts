import { BackupError } from "../domain/errors.ts";
import { FarError, isMissing } from "../lib/far-error.ts";
import type { Handle } from "../lib/sftp.ts";
import { shellCommand } from "../lib/shell-quote.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";

/** The directory part of a relative path; `""` when it has none. */
export function parentOf(relative: string): string {
  return relative.slice(0, Math.max(0, relative.lastIndexOf("/")));
}

/**
 * Make sure that a directory below the root exists and is reached without leaving the root.
 * Missing parts, those of the root included, are created for this user only.
 */
async function openDirectory(far: Far, relative: string, options: CallOptions): Promise<void> {
  const [isThere] = await Promise.all([exists(far, far.path(relative), options), isInside(far, relative, options)]);
  if (isThere) return;
  await create(far, far.path(relative), options);
  await isInside(far, relative, options);
}

/** The same for several, at the same time. */
export async function openDirectories(far: Far, relatives: readonly string[], options: CallOptions): Promise<void> {
  await Promise.all(relatives.map((relative) => openDirectory(far, relative, options)));
}

/**
 * Whether a directory exists.
 * @throws {BackupError} NOT_PERMITTED when it is reached through a symbolic link.
 */
export async function isInside(far: Far, relative: string, options: CallOptions): Promise<boolean> {
  try {
    const paths = [far.path(""), far.path(relative)].map((path) => far.sftp.realpath(path, options));
    const [root, found] = await Promise.all(paths);
    const wanted = relative === "" ? root : `${root === "/" ? "" : root}/${relative}`;
    if (found === wanted) return true;
    throw new BackupError(
      "NOT_PERMITTED",
      `Cannot use "${far.path(relative)}": it leads through a symbolic link to "${found}"`,
      {
        hint: "Let backup_dir itself be the link, or mount the other disk there.",
      },
    );
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Make what was written to a file survive a crash of the far host, where that host lets us. */
export async function syncFile(far: Far, path: string, options: CallOptions): Promise<void> {
  if (!far.sftp.offers("fsync")) return syncByShell(far, path, options);
  await syncHandle(far, await far.sftp.open(path, "r", options), options);
}

/** The same for the names in a directory. One that we may write to but not read cannot be synced, and is not. */
export async function syncDirectory(far: Far, path: string, options: CallOptions): Promise<void> {
  if (!far.sftp.offers("fsync")) return syncByShell(far, path, options);
  const opening = far.sftp.open(path, "r", options);
  if (await tryTo(opening)) await syncHandle(far, await opening, options);
}

async function syncHandle(far: Far, handle: Handle, options: CallOptions): Promise<void> {
  try {
    await far.sftp.fsync(handle, options);
  } finally {
    await far.sftp.close(handle, options);
  }
}

async function syncByShell(far: Far, path: string, options: CallOptions): Promise<void> {
  const shell = await far.shell();
  if (shell?.canSync !== true) return;
  const { status, stderr } = await far.session.exec(shellCommand('exec sync "$1"', [path]), options);
  if (status !== 0) throw new BackupError("FAILED", `Cannot write "${path}" to disk: sync says "${stderr.trim()}"`);
}

/**
 * Give a finished file its name, without ever replacing another.
 * @returns `taken` when the name is in use; the temporary file is left then.
 */
export async function publish(
  far: Far,
  { from, to }: { readonly from: string; readonly to: string },
  options: CallOptions,
): Promise<"published" | "taken"> {
  const { sftp } = far;
  if (sftp.offers("hardlink") && (await tryTo(sftp.link(from, to, options)))) {
    await sftp.unlink(from, options);
    return "published";
  }
  if ((await sftp.lstat(to, options)) !== undefined) return "taken";
  try {
    await sftp.rename(from, to, options);
    return "published";
  } catch (error) {
    if (error instanceof FarError && (await sftp.lstat(to, options)) !== undefined) return "taken";
    throw error;
  }
}

/** Remove a file; one that is not there is no error. */
export async function removeFile(far: Far, path: string, options: CallOptions): Promise<void> {
  try {
    await far.sftp.unlink(path, options);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Whether a step worked; `false` when the server refused it. Lost connections and aborted calls throw. */
export async function tryTo(step: Promise<unknown>): Promise<boolean> {
  try {
    await step;
    return true;
  } catch (error) {
    if (error instanceof FarError) return false;
    throw error;
  }
}

async function create(far: Far, path: string, options: CallOptions): Promise<void> {
  if (await exists(far, path, options)) return;
  const parent = parentOf(path);
  if (parent !== "") await create(far, parent, options);
  try {
    await far.sftp.mkdir(path, options);
  } catch (error) {
    // Another run may have been faster.
    if (!(error instanceof FarError) || !(await exists(far, path, options))) throw error;
  }
  await syncDirectory(far, parent === "" ? "/" : parent, options);
}

async function exists(far: Far, path: string, options: CallOptions): Promise<boolean> {
  try {
    return (await far.sftp.stat(path, options)).kind === "directory";
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
