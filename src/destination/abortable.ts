import type { ByteStream } from "../lib/bytes.ts";

/**
 * `content`, ended with `signal.reason` once the signal is aborted, even while a pull is stuck.
 * A stuck pull is not waited for: its producer watches the same signal and cleans up by itself.
 */
export async function* abortable(content: ByteStream, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  signal.throwIfAborted();
  const iterator = content[Symbol.asyncIterator]();
  let state: "idle" | "pulling" | "ended" = "idle";
  // One promise per pull: racing against one that lives as long as the stream would keep every chunk in memory.
  let giveUp: (reason: unknown) => void = () => {};
  const onAbort = (): void => giveUp(signal.reason);
  const pull = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      iterator.next().then(resolve, reject);
    });
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      state = "pulling";
      const result = await pull();
      state = result.done === true ? "ended" : "idle";
      signal.throwIfAborted();
      if (result.done === true) return;
      yield result.value;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (state === "idle") await iterator.return?.();
    // Pulling here means that the pull threw, or that it is stuck; what comes of it no longer matters.
    if (state === "pulling") iterator.return?.().catch(() => {});
  }
}
