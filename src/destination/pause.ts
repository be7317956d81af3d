import { setTimeout as sleep } from "node:timers/promises";

/** Wait. @throws `signal.reason` as soon as the signal is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await sleep(milliseconds, undefined, { signal });
  } catch {
    throw signal.reason; // Nothing but the abort ends a timer early.
  }
}
