import type { Key } from "../domain/key.ts";
import type { DriverCalls } from "./driven-calls.ts";
import { hasCode } from "./driven-error.ts";
import type { Upload } from "./driver.ts";
import { noteUpload } from "./upload-note.ts";

/** The upload of one object: begun when it is first asked for, noted on this host until it is certain that nothing of it is left. */
export class DrivenUpload {
  readonly #calls: DriverCalls;
  readonly #object: { readonly key: Key; readonly nonce: string };
  /** Every attempt to begin it; at most one that succeeded is used. */
  readonly #starts: Promise<Upload>[] = [];
  #upload: Upload | undefined;
  #isCommitted = false;
  #forget: (() => Promise<void>) | undefined;

  constructor(calls: DriverCalls, object: { readonly key: Key; readonly nonce: string }) {
    this.#calls = calls;
    this.#object = object;
  }

  /** The upload, begun now if it was not. */
  async started(signal: AbortSignal, expectedBytes: number | undefined): Promise<Upload> {
    if (this.#upload !== undefined) return this.#upload;
    const { driver } = this.#calls;
    const { key, nonce } = this.#object;
    if (driver.unfinished !== undefined) this.#forget = await noteUpload(driver.url, key);
    this.#upload = await this.#calls.often(signal, () => {
      const start = driver.start(key, { signal, nonce, expectedBytes });
      this.#starts.push(start);
      return start;
    });
    return this.#upload;
  }

  /** It is published: nothing is to be aborted. An attempt to begin it whose answer was lost may have left another one: the next run sweeps it. */
  async committed(): Promise<void> {
    this.#isCommitted = true;
    if (this.#starts.length === 1) await this.#forget?.();
  }

  /** Throw away what was begun, also by an attempt that was given up. No part is under way. */
  async abort(signal: AbortSignal): Promise<void> {
    if (this.#isCommitted) return;
    const starts = await this.#calls.once(signal, () => Promise.allSettled(this.#starts));
    for (const start of starts) {
      if (start.status === "fulfilled") await this.#calls.often(signal, () => start.value.abort({ signal }));
    }
    if (!starts.some(isDoubtful)) await this.#forget?.();
  }
}

/** Whether an attempt to begin may have begun something although it failed. */
function isDoubtful(start: PromiseSettledResult<Upload>): boolean {
  return (
    start.status === "rejected" && !hasCode(start.reason, "NOT_PERMITTED", "CONFIG_INVALID", "NOT_FOUND", "NO_SPACE")
  );
}
