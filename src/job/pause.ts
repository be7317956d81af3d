import { readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { formatPause, type Pause, parsePause } from "../domain/pause.ts";
import { makeDirectories } from "../lib/directories.ts";
import { replaceFile } from "../lib/replace-file.ts";
import { meaningOf } from "../lib/system-error.ts";

/**
 * What this host remembers of a pause. It is kept here and not on the destination: a pause is wanted just then when the destination is being
 * worked on, and it must outlive a restart of the host.
 */
export type PauseFile = { readonly path: string };

/** The pause that was written down, be it over; `damaged` where nobody can read it, which pauses nothing. */
export async function readPause({ path }: PauseFile): Promise<Pause | "damaged" | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    return "damaged";
  }
  return parsePause(text) ?? "damaged";
}

/** Write a pause down, in place of another one. */
export async function writePause({ path }: PauseFile, pause: Pause): Promise<void> {
  try {
    await makeDirectories(dirname(path), 0o755);
    // Everybody may see why there are no new copies.
    await replaceFile(path, formatPause(pause), 0o644);
  } catch (cause) {
    throw unusable("write", path, cause);
  }
}

/** Forget the pause. */
export async function removePause({ path }: PauseFile): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw unusable("remove", path, cause);
  }
}

function unusable(verb: string, path: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot ${verb} "${path}": ${what}`, {
    hint: "Run as root, or set pause_file under [run] in the config file.",
    cause,
  });
}
