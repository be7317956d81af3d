import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** A signal asked the program to end. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly exitStatus: number;

  constructor(signal: (typeof SIGNALS)[number]) {
    super(`ended by ${signal}`);
    this.exitStatus = 128 + constants.signals[signal];
  }
}

/** Aborts at the first signal, so that everything cleans up; leaves at once at the second. */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const interruption = new Interruption(signal);
      if (controller.signal.aborted) process.exit(interruption.exitStatus);
      controller.abort(interruption);
    });
  }
  return controller.signal;
}
