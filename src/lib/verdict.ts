import { BackupError } from "../domain/errors.ts";
import type { Command } from "./command.ts";

/** How one program of a pipeline ended. */
export type Outcome = {
  readonly command: Command;
  /** `null` when a signal ended it, or when it could not be started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why it could not be started. */
  readonly startError: NodeJS.ErrnoException | undefined;
  /** The end of what it said on stderr. */
  readonly stderrTail: string;
  /** It ended while bytes for it lay in its input. */
  readonly leftInput: boolean;
  /** Whether it wrote any byte to the next program; `undefined` where nobody can know. */
  readonly wrote: boolean | undefined;
  /** Place in the order in which the programs ended, as far as it was seen. */
  readonly order: number;
  /** We ended it ourselves, after something else had gone wrong. */
  readonly ended: boolean;
};

/** A program of a pipeline failed. */
export class CommandError extends BackupError {
  override readonly name: string = "CommandError";
  readonly command: Command;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderrTail: string;

  constructor(outcome: Outcome, what: string) {
    super("PROGRAM_FAILED", `Cannot run "${outcome.command.file}": ${what}`);
    this.command = outcome.command;
    this.exitCode = outcome.exitCode;
    this.signal = outcome.signal;
    this.stderrTail = outcome.stderrTail;
  }
}

/** Hashes of passwords, which tools for databases print with the grants of an account. */
const PASSWORD_HASH = /\b(IDENTIFIED\s(?:.*?\s)?(?:PASSWORD|BY|USING|AS)\s+)'[^']*'/gi;

function said(outcome: Outcome): string {
  const text = outcome.stderrTail.replaceAll(PASSWORD_HASH, "$1'[hidden]'");
  const lines = text.split("\n").map((line) => line.trim());
  const last = lines.filter((line) => line !== "").slice(-3);
  return last.length === 0 ? "" : `: ${last.join(" / ").slice(0, 600)}`;
}

/** It ended in a way that its command declares a warning, or it is only a side door. */
export function isWarning({ command, exitCode }: Outcome): boolean {
  if (exitCode === null || exitCode === 0) return false;
  return command.tap === true || (command.warningStatuses ?? []).includes(exitCode);
}

function isAbnormal(outcome: Outcome): boolean {
  return !outcome.ended && outcome.exitCode !== 0 && !isWarning(outcome);
}

/** It failed because the next program stopped reading; programs that ignore SIGPIPE say so in words. */
function isBrokenPipe(outcome: Outcome): boolean {
  return outcome.signal === "SIGPIPE" || /broken pipe|EPIPE/i.test(outcome.stderrTail);
}

function describe(outcome: Outcome): CommandError {
  if (outcome.startError !== undefined) {
    const missing = outcome.startError.code === "ENOENT";
    return new CommandError(
      outcome,
      missing ? "it is not installed" : `it cannot be started: ${outcome.startError.message}`,
    );
  }
  if (outcome.signal !== null) return new CommandError(outcome, `it was killed by ${outcome.signal}${said(outcome)}`);
  return new CommandError(outcome, `it exited with status ${outcome.exitCode}${said(outcome)}`);
}

/** The first that failed of itself: not because a later one had stopped reading. */
function failed(outcomes: readonly Outcome[]): CommandError | undefined {
  for (const [index, outcome] of outcomes.entries()) {
    if (!isAbnormal(outcome)) continue;
    const later = outcomes.slice(index + 1);
    const gone = later.filter((other) => isAbnormal(other) || other.leftInput);
    if (gone.some((other) => other.order < outcome.order)) continue;
    if (!isBrokenPipe(outcome)) return describe(outcome);
    if (gone.length > 0) continue;
    const next = later.find((other) => !other.ended);
    return next === undefined ? describe(outcome) : quitEarly(next);
  }
  return undefined;
}

function quitEarly(outcome: Outcome): CommandError {
  return new CommandError(
    outcome,
    `it exited with status ${outcome.exitCode} before it had read all its input${said(outcome)}`,
  );
}

/**
 * Decide whether a pipeline succeeded, and who is to blame when not.
 * A failure runs both ways along a pipeline: readers see an early end, writers a broken pipe. The culprit is
 * the first program that failed for another reason than a broken pipe.
 * @param outcomes in the order the bytes flow.
 */
export function judge(outcomes: readonly Outcome[]): CommandError | undefined {
  const unstarted = outcomes.find((outcome) => outcome.startError !== undefined);
  if (unstarted !== undefined) return describe(unstarted);
  const culprit = failed(outcomes);
  if (culprit !== undefined) return culprit;
  const early = outcomes.find((outcome) => outcome.leftInput && !outcome.ended);
  if (early !== undefined) return quitEarly(early);
  const silent = outcomes.find((outcome) => outcome.wrote === false && !outcome.ended);
  return silent === undefined ? undefined : new CommandError(silent, `it wrote nothing${said(silent)}`);
}
