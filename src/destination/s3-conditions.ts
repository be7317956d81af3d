import type { DriverCall } from "./driver.ts";
import type { S3Calls } from "./s3-client.ts";
import { codeOf, statusOf } from "./s3-failure.ts";
import { kindOfKey } from "./s3-keys.ts";

/** To find out what a server does, a small object is sent twice; a larger one is not worth it. */
const PROBE_BYTES = 64 * 1024;

export type Writing = DriverCall & { readonly nonce: string; readonly expected: string | undefined };

/**
 * Whether the server honours `If-None-Match` and `If-Match`. Amazon S3 does. Others may refuse them, or pass over them in
 * silence; that is found out when something is stored.
 */
export class Conditions {
  readonly #calls: S3Calls;
  #state: "honoured" | "unknown" | "not honoured";

  constructor(calls: S3Calls, isAmazon: boolean) {
    this.#calls = calls;
    this.#state = isAmazon ? "honoured" : "unknown";
  }

  get areHonoured(): boolean {
    return this.#state !== "not honoured";
  }

  /** Publish something on condition; where the server refuses conditions, look whether it is met, then do without. */
  async meet<T>(
    { isMet, publish }: { readonly isMet: () => Promise<boolean>; readonly publish: (on: boolean) => Promise<T> },
    notMet: () => Error,
  ): Promise<T> {
    if (!this.areHonoured) return publish(false);
    try {
      return await publish(true);
    } catch (error) {
      if (!isNotImplemented(error)) throw error;
      this.#state = "not honoured";
      if (!(await isMet())) throw notMet();
    }
    return publish(false);
  }

  /**
   * Find out whether the server heeds what it did not refuse: what has just been stored is stored again, on the condition that
   * nothing is there. Only where nobody else writes: not to what is replaced again and again.
   */
  async prove(key: string, bytes: Uint8Array, writing: Writing): Promise<void> {
    const { expected, signal } = writing;
    const isFit = expected === undefined && bytes.length <= PROBE_BYTES && kindOfKey(key) !== "record";
    if (this.#state !== "unknown" || !isFit) return;
    try {
      await this.#calls.put(key, bytes, { ...writing, isConditional: true });
      this.#state = "not honoured";
    } catch (error) {
      signal.throwIfAborted();
      if (["PreconditionFailed", "ConditionalRequestConflict"].includes(codeOf(error))) this.#state = "honoured";
    }
  }
}

function isNotImplemented(error: unknown): boolean {
  return codeOf(error) === "NotImplemented" || statusOf(error) === 501;
}
