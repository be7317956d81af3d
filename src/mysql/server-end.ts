import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { BackupError } from "../domain/errors.ts";
import type { Program } from "../lib/program.ts";
import { wordsOf } from "./server-words.ts";

const ERRORS_KEPT = 200;
const LAST_KEPT = 20;
const LINE_KEPT = 2000;

/** A server that ended, and where. */
export type Ended = {
  readonly program: Program;
  readonly file: string;
  readonly directory: string;
  readonly errorLog: string;
};

/**
 * What a server said: its errors, and its last lines. Between them a damaged page may be printed in full, many times over.
 * @returns the text; empty when there is no log.
 */
export async function readErrorLog(path: string): Promise<string> {
  const errors: string[] = [];
  let last: string[] = [];
  try {
    // The directory is the server's, and the server reads what is not trusted.
    await using log = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    for await (const full of log.readLines()) {
      const line = full.slice(0, LINE_KEPT);
      if (line.includes("[ERROR]") && errors.length < ERRORS_KEPT) errors.push(line);
      else last = [...last.slice(1 - LAST_KEPT), line];
    }
  } catch {
    // It ended before it opened its log, and what it said is on its stderr. Nothing here may hide that it ended.
  }
  return [...errors, ...last].join("\n");
}

/** Why a server ended by itself. */
export async function endOf({ program, file, directory, errorLog }: Ended): Promise<BackupError> {
  const what = `"${basename(file)}" on "${directory}"`;
  if (program.startError !== undefined) {
    return new BackupError("PROGRAM_FAILED", `Cannot start "${file}": ${program.startError.message}`, {
      hint: "Look at the permissions of the program.",
      cause: program.startError,
    });
  }
  if (program.signal === "SIGKILL" || program.signal === "SIGTERM") {
    return new BackupError("PROGRAM_FAILED", `Cannot run ${what}: it was ended by ${program.signal}`, {
      hint: "Look whether the system ran out of memory.",
    });
  }
  const { code, text, hint } = wordsOf(`${program.stderr}\n${await readErrorLog(errorLog)}`);
  return new BackupError(code, `Cannot run ${what}: ${text}`, { hint });
}
