import { BackupError } from "../domain/errors.ts";

const CODES = {
  missing: "NOT_FOUND",
  denied: "NOT_PERMITTED",
  full: "NO_SPACE",
  unsupported: "FAILED",
  failure: "FAILED",
} as const;

/** Why the far side refused; `failure` is all that SFTP says of most cases, a full disk among them. */
export type FarReason = keyof typeof CODES;

/** The far side refused an operation on a file. */
export class FarError extends BackupError {
  override readonly name: string = "FarError";
  readonly reason: FarReason;
  /** What the far side said. */
  readonly said: string;

  constructor(reason: FarReason, what: string, cause: { readonly said: string; readonly error: Error }) {
    super(CODES[reason], `Cannot ${what}: the far side says "${cause.said}"`, { cause: cause.error });
    this.reason = reason;
    this.said = cause.said;
  }
}

/** Whether an operation failed because there is nothing at its path. */
export function isMissing(error: unknown): boolean {
  return error instanceof FarError && error.reason === "missing";
}
