/**
 * Rules of the house for output:
 * - stdout carries results only, stderr everything else; a run that succeeded from cron prints nothing
 * - one line per failure: `twindb-backup: Cannot …: what is. What to do.`
 * - no colour, no cursor movement unless stderr is a terminal
 * - secrets never get here whole: every text passes the redactor, but for a URL that is made to be handed on
 */
import { writeSync } from "node:fs";
import { BackupError } from "../domain/errors.ts";
import type { Secret } from "../domain/secret.ts";
import { meaningOf } from "../lib/system-error.ts";
import { explain } from "./explain.ts";
import { redactor } from "./redactor.ts";

export class Terminal {
  readonly isInteractive: boolean;
  #redact: (text: string) => string = (text) => text;
  #transient = false;
  #lost: Error | undefined;

  constructor() {
    this.isInteractive = process.stderr.isTTY;
    process.stdout.on("error", (error) => {
      this.#lost ??= error;
    });
    // Nobody is left to be told.
    process.stderr.on("error", () => {});
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

  /** A line of the result that is there to be handed on, with all that it holds. */
  printOpenly(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  /**
   * Wait until all of the result is out. A reader that has seen enough and left is no failure.
   * @throws {BackupError} when a part of it is lost, such as on a full disk.
   */
  async finish(): Promise<void> {
    await new Promise((resolve) => process.stdout.write("", resolve));
    if (this.#lost === undefined || ("code" in this.#lost && this.#lost.code === "EPIPE")) return;
    const { code, what } = meaningOf(this.#lost);
    throw new BackupError(code, `Cannot write "the result" to stdout: ${what}`, {
      hint: "Run the command again with its output elsewhere.",
      cause: this.#lost,
    });
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
