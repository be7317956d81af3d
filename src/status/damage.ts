import { BackupError } from "../domain/errors.ts";

const HINT = 'Run "twindb-backup status rebuild" to build it anew from what lies on the destination.';

/** The error for a status or manifest that cannot be what was written. `problem` reads on after a colon. */
export function damaged(where: string, problem: string, cause?: unknown): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot read "${where}": ${problem}`, { hint: HINT, cause });
}

/** A status or manifest was written by a newer version of this program: it is not ours to read, replace or expire by. */
export class NewerFormatError extends BackupError {
  override readonly name: string = "NewerFormatError";

  constructor(where: string, version: number, known: number) {
    super("DATA_DAMAGED", `Cannot read "${where}": it has format ${version}, this program knows up to ${known}`, {
      hint: "Upgrade twindb-backup on this host to the newest version in use.",
    });
  }
}
