/**
 * Rules of the house for output:
 * - stdout carries results only, stderr everything else; a run that succeeded from cron prints nothing
 * - one line per failure: `twindb-backup: Cannot …: what is. What to do.`
 * - no colour, no cursor movement unless stderr is a terminal
 * - secrets never get here whole: every text passes the redactor
 */
import { writeSync } from "node:fs";
import { BackupError } from "../domain/errors.ts";
import type { Secret } from "../domain/secret.ts";
import { redactor } from "./log.ts";

export class Terminal {
  readonly isInteractive: boolean;
  #redact: (text: string) => string = (text) => text;
  #transient = false;

  constructor() {
    this.isInteractive = process.stderr.isTTY;
    // Whoever read our output may have gone; the backup goes on.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  }

  /** Hide these texts in everything printed from now on. */
  hide(secrets: readonly Secret[]): void {
    this.#redact = redactor(secrets);
  }

  get redact(): (text: string) => string {
    return this.#redact;
  }

  /** A line of the result. */
  print(line: string): void {
    process.stdout.write(`${this.#redact(line)}\n`);
  }

  /** Text on stderr, as it is. Written at once, so that it survives an exit that follows. */
  note(text: string): void {
    const whole = this.#transient ? `\r\u001b[K${this.#redact(text)}` : this.#redact(text);
    this.#transient = false;
    try {
      writeSync(2, whole);
    } catch {
      // Nobody listens on stderr (cron closed it, or the pipe is full and non-blocking); the run matters more.
    }
  }

  /** Replace the last line of an interactive terminal; nothing elsewhere. */
  draw(line: string): void {
    if (!this.isInteractive) return;
    const width = process.stderr.columns || 80;
    this.note(`\r\u001b[K${line.slice(0, width - 1)}`);
    this.#transient = line !== "";
  }

  /** Tell a failure: in one line where it is one of ours, with its stack where it is a defect. */
  fail(error: unknown): void {
    this.note(`twindb-backup: ${explain(error)}\n`);
  }
}

function explain(error: unknown): string {
  if (error instanceof BackupError) return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  if (error instanceof Error) return error.stack ?? error.message;
  return String(error);
}
