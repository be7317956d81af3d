import { BackupError, type ErrorCode } from "../domain/errors.ts";
import type { DriverErrorCode } from "./driver.ts";

/** What was being done when a driver failed. */
export type DrivenDoing = {
  /** Such as `store`. */
  readonly verb: string;
  /** Such as a key. */
  readonly object: string;
  /** Where that is. */
  readonly url: string;
};

const CODES: Readonly<Record<DriverErrorCode, ErrorCode>> = {
  NOT_FOUND: "NOT_FOUND",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  CONFLICT: "CONFLICT",
  CHANGED: "DATA_DAMAGED",
  NOT_PERMITTED: "NOT_PERMITTED",
  UNREACHABLE: "UNREACHABLE",
  NO_SPACE: "NO_SPACE",
  CONFIG_INVALID: "CONFIG_INVALID",
  FAILED: "FAILED",
};

/** Whether an error, of a driver or of ours, has one of the codes. */
export function hasCode(error: unknown, ...codes: readonly DriverErrorCode[]): boolean {
  return error instanceof Error && "code" in error && codes.some((code) => code === error.code);
}

/** A failure of a driver as people can read it. One that is a `BackupError` already says enough. */
export function driverError(error: unknown, { verb, object, url }: DrivenDoing): BackupError {
  if (error instanceof BackupError) return error;
  const facts = factsOf(error);
  const where = object === url ? "" : ` on ${url}`;
  return new BackupError(facts.code, `Cannot ${verb} "${object}"${where}: ${facts.what}`, { ...facts, cause: error });
}

/** The error of a call that was tried often enough: nobody else is to try it again. */
export function exhausted(error: unknown): unknown {
  if (!(error instanceof BackupError) || !error.retryable) return error;
  return new BackupError(error.code, error.message, { hint: error.hint, cause: error });
}

/** Errors come from code of others: nothing in them is taken for granted. */
function factsOf(error: unknown) {
  if (!(error instanceof Error)) return { code: "FAILED", what: String(error) } as const;
  const { code, hint, retryable, retryAfterMilliseconds: wait } = error as unknown as Record<string, unknown>;
  return {
    code: isDriverCode(code) ? CODES[code] : "FAILED",
    what: error.message,
    hint: typeof hint === "string" ? hint : undefined,
    retryable: retryable === true,
    retryAfterMilliseconds: typeof wait === "number" && wait > 0 ? wait : undefined,
  } as const;
}

function isDriverCode(code: unknown): code is DriverErrorCode {
  return typeof code === "string" && Object.hasOwn(CODES, code);
}
