type Done<T> = (error: Error | null | undefined, value: T) => void;

/**
 * Wait for a call with a Node-style callback, no longer than until one of the signals is aborted;
 * then throw its reason.
 */
export function abortable<T>(signals: readonly AbortSignal[], start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => settle(() => reject(signals.find(({ aborted }) => aborted)?.reason as Error));
    function settle(end: () => void): void {
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
      end();
    }
    for (const signal of signals) signal.addEventListener("abort", onAbort);
    if (signals.some(({ aborted }) => aborted)) return onAbort();
    try {
      start((error, value) => settle(() => (error ? reject(error) : resolve(value))));
    } catch (error) {
      settle(() => reject(error));
    }
  });
}

/** Wait for a promise, no longer than until one of the signals is aborted; then throw its reason. */
export async function untilAborted<T>(signals: readonly AbortSignal[], promise: Promise<T>): Promise<T> {
  const abandon = new AbortController();
  const aborted = abortable<never>([...signals, abandon.signal], () => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    aborted.catch(() => {
      // It lost the race, or its reason has been thrown.
    });
    abandon.abort();
  }
}
