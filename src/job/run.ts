import type { Media } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";

const HOUR = 3600;

/** How long a run waits for another one, in seconds: half the time to the next run of its type, as the predecessor meant it. */
export const WAIT_SECONDS: Readonly<Record<Interval, number>> = {
  hourly: HOUR / 2,
  daily: 12 * HOUR,
  weekly: 84 * HOUR,
  monthly: 360 * HOUR,
  yearly: 4380 * HOUR,
};

/** One part of a run, such as the files. */
export type Part = { readonly name: Media; run(): Promise<void> };

/** Run each part; one that fails does not keep the others from running. Ends at once when the signal is aborted. */
export async function runParts(
  parts: readonly Part[],
  onFailure: (error: unknown, part: Part) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const part of parts) {
    signal.throwIfAborted();
    try {
      await part.run();
    } catch (error) {
      signal.throwIfAborted();
      onFailure(error, part);
    }
  }
}
