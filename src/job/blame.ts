import { CopyError } from "../domain/copy-error.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { CommandError } from "../lib/command.ts";

/** What programs say when a disk is full, in English or as MySQL's tools number it. */
const FULL = /No space left on device|Disk quota exceeded|(?:errno|errcode|error number|OS error)[:=]? *(?:28|122)\b/i;

/** A failure of reading, unpacking or preparing a copy, with its culprit where it says something about that copy. */
export function blame(key: Key, error: unknown): unknown {
  if (!(error instanceof BackupError) || error instanceof CopyError) return error;
  const { code, hint } = error;
  if (code !== "DATA_DAMAGED" && code !== "NOT_FOUND") return error;
  const message = error.message.includes(key)
    ? error.message
    : `Cannot trust "${key}": ${error.message.replace(/^Cannot/, "cannot")}`;
  return new CopyError(key, code, { message, hint, cause: error });
}

/** Whether a tool ended of itself with a failure: neither killed, nor impossible to start. */
function gaveUp(error: unknown): error is CommandError {
  return error instanceof CommandError && error.exitCode !== null;
}

function full(what: string, cause: CommandError): BackupError {
  return new BackupError("NO_SPACE", `Cannot ${what}: no space is left there`, {
    hint: "Restore into a directory on a larger disk; nothing half restored is left.",
    cause,
  });
}

/** A failure of the tool that unpacks: what it refuses is damaged, for it reads only what was stored. */
export function explainUnpacking(error: unknown, key: Key, file: string): unknown {
  if (!gaveUp(error) || error.command.file !== file) return error;
  if (FULL.test(error.stderrTail)) return full(`unpack "${key}"`, error);
  return new BackupError("DATA_DAMAGED", `Cannot unpack "${key}": ${error.message}`, {
    hint: "Verify the copies of this host, and restore another one.",
    cause: error,
  });
}

/** A failure of the tool that prepares: what it cannot make consistent does not restore. */
export function explainPreparing(error: unknown, key: Key): unknown {
  if (error instanceof CommandError) {
    if (!gaveUp(error)) return error;
    if (FULL.test(error.stderrTail)) return full(`prepare "${key}"`, error);
  } else if (!(error instanceof BackupError) || error.code !== "PROGRAM_FAILED") return error;
  return new BackupError("DATA_DAMAGED", `Cannot prepare "${key}": ${error.message}`, {
    hint: "Verify the copies of this host, and restore another one.",
    cause: error,
  });
}
