/** What is known of a failed call, whoever noticed. Holds no secret: texts and addresses of the library stay out. */
export type AzFacts = {
  /** HTTP status, where there was an answer. */
  readonly status?: number | undefined;
  /** Azure's error code such as `BlobNotFound`, or a system's such as `ECONNRESET`. */
  readonly code?: string | undefined;
  /** Azure's clock. */
  readonly saidAt?: Date | undefined;
  readonly retryAfterMilliseconds?: number | undefined;
};

/** A call that failed, before it is known what it was for. */
export class AzFailure extends Error {
  override readonly name: string = "AzFailure";
  readonly facts: AzFacts;

  constructor(facts: AzFacts) {
    super(`${facts.status ?? "no answer"} ${facts.code ?? ""}`.trimEnd());
    this.facts = facts;
  }
}

/** The answer does not hold what was asked for: too few bytes, another range, no listing. */
export const WRONG_ANSWER = "WRONG_ANSWER";
/** The connection ended before the answer did. */
export const CUT_OFF = "CUT_OFF";

/** Whether a call failed with one of Azure's codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof AzFailure && error.facts.code !== undefined && codes.includes(error.facts.code);
}
