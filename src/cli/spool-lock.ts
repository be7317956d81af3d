import { join } from "node:path";
import { acquireLock } from "../lib/lock.ts";
import type { BinlogSpool } from "../source/binlog-spool.ts";

/** As long as it takes until a lock is broken whose holder was killed while he took it. */
const WAIT_SECONDS = 5;

/** A spool that is held by one process: until it is disposed of, or lost. */
type HeldSpool = AsyncDisposable & {
  /** Aborted with the signal that was given, or when the lock is lost. */
  readonly signal: AbortSignal;
};

/** Keep others from writing to a spool. @throws {BackupError} LOCKED when one does already. */
export async function holdSpool(
  { directory }: Pick<BinlogSpool, "directory">,
  signal: AbortSignal,
): Promise<HeldSpool> {
  const lost = new AbortController();
  const lock = await acquireLock(join(directory, "stream"), {
    waitSeconds: WAIT_SECONDS,
    signal,
    onLost: (error) => lost.abort(error),
  });
  return {
    signal: AbortSignal.any([signal, lost.signal]),
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}
