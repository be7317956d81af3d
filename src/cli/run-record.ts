import { BackupError } from "../domain/errors.ts";
import type { Failure, PartReport } from "../domain/run-report.ts";
import type { Part } from "../job/run.ts";

/** Keeps what becomes of the parts of a run. */
export class RunRecord {
  readonly startedAt = new Date();
  readonly #failures: { readonly part: PartReport["part"]; readonly error: unknown }[] = [];
  readonly #seconds = new Map<PartReport["part"], number>();

  /** The first failure of all; `undefined` without any. */
  get first(): { readonly error: unknown } | undefined {
    return this.#failures[0];
  }

  fail(part: PartReport["part"], error: unknown): void {
    this.#failures.push({ part, error });
  }

  /** The part, timed. */
  timed(part: Part): Part {
    return {
      name: part.name,
      run: async () => {
        const startedAt = performance.now();
        try {
          await part.run();
        } finally {
          this.#seconds.set(part.name, (performance.now() - startedAt) / 1000);
        }
      },
    };
  }

  /** What became of each part that was begun, or failed. */
  parts(redact: (text: string) => string): PartReport[] {
    const names = new Set([...this.#seconds.keys(), ...this.#failures.map(({ part }) => part)]);
    return [...names].map((part) => {
      const failures = this.#failures.filter((failure) => failure.part === part);
      const told = failures.map(({ error }) => failureOf(error, redact));
      return { part, seconds: this.#seconds.get(part) ?? 0, failures: told };
    });
  }
}

/** Of a defect only its message: a stack is for the terminal. */
function failureOf(error: unknown, redact: (text: string) => string): Failure {
  const message = redact(error instanceof Error ? error.message : String(error));
  if (!(error instanceof BackupError)) return { code: undefined, message, hint: undefined };
  return { code: error.code, message, hint: error.hint === undefined ? undefined : redact(error.hint) };
}
