import type { Command } from "../lib/command.ts";

/** One reversible change of a stream, done by a program; `revert` undoes what `apply` did. */
export interface Modifier {
  readonly name: string;
  /** What it adds to the stored name, such as `.gz`. */
  readonly suffix: `.${string}`;
  readonly apply: Command;
  readonly revert: Command;

  /**
   * Prove, before any byte moves, that `apply` can work here: the program is there, the key can encrypt.
   * @throws {BackupError} naming what is missing and what to do.
   */
  check(options: { readonly signal: AbortSignal }): Promise<void>;
}

/** A place in the chain where a second copy is written; the bytes pass unchanged. */
export interface Tap extends AsyncDisposable {
  /** Reads stdin, writes stdout and the second copy. Its failure does not fail the chain. */
  readonly command: Command;

  /** Make the second copy visible under its name. Disposing without publishing removes it. @returns its path. */
  publish(): Promise<string>;
}
