import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { searchPath } from "./environment.ts";

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Missing and not permitted mean the same here: it cannot be run.
    return false;
  }
}

/** Where a program is, or `undefined` when it is not installed. An absolute path stands for itself. */
export function findProgram(file: string): string | undefined {
  if (file.includes("/")) return isExecutable(file) ? file : undefined;
  return searchPath()
    .map((directory) => join(directory, file))
    .find(isExecutable);
}

/**
 * Prove that a program is installed.
 * @throws {BackupError} CONFIG_INVALID naming the program and what wanted it.
 */
export function requireProgram(file: string, wantedBy: string): void {
  if (findProgram(file) !== undefined) return;
  throw new BackupError("CONFIG_INVALID", `Cannot run "${file}": it is not installed, ${wantedBy} needs it`, {
    hint: `Install ${file} on this host, or choose another program in the config file.`,
  });
}
