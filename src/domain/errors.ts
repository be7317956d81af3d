/** Exit status of each class of failure. Numbers are stable: scripts and monitoring depend on them. */
export const EXIT_STATUS = {
  FAILED: 1,
  PROGRAM_FAILED: 1,
  NO_SPACE: 1,
  ALREADY_EXISTS: 1,
  CONFLICT: 1,
  USAGE: 2,
  DATA_DAMAGED: 65,
  NOT_FOUND: 66,
  UNREACHABLE: 69,
  LOCKED: 75,
  NOT_PERMITTED: 77,
  CONFIG_INVALID: 78,
} as const satisfies Record<string, number>;

/** What kind of failure an error is; decides the exit status. */
export type ErrorCode = keyof typeof EXIT_STATUS;

type ErrorFacts = {
  /** One sentence that starts with a verb and can be acted on. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** Whether the same call may succeed when tried again. Default false. */
  readonly retryable?: boolean | undefined;
  /** Not before so long, says who refused the call. */
  readonly retryAfterMilliseconds?: number | undefined;
};

/**
 * A failure that is worth telling the user without a stack.
 * The message reads `Cannot <verb> "<object>": <what is>`, without a full stop.
 */
export class BackupError extends Error {
  override readonly name: string = "BackupError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMilliseconds: number | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.code = code;
    this.hint = facts.hint;
    this.retryable = facts.retryable ?? false;
    this.retryAfterMilliseconds = facts.retryAfterMilliseconds;
  }
}

/** Whether a store refused a call by its rules: no right to it, or an object that is locked. */
export function isNotPermitted(error: unknown): error is BackupError {
  return error instanceof BackupError && error.code === "NOT_PERMITTED";
}
