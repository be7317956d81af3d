import fs, { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { lock as lockFile } from "proper-lockfile";
import { BackupError } from "../domain/errors.ts";
import { type Holder, isGone, ourselves } from "./holder.ts";
import { meaningOf } from "./system-error.ts";

/** A lock whose holder does not refresh it for this long is stale, whoever holds it. */
const STALE_MS = 20_000;
const REFRESH_MS = 5000;
const POLL_MS = 500;

/** A lock that nobody has signed after so long is of one who was killed while he took it: nothing lies between the two. */
const UNSIGNED_MS = 2000;

type LockOptions = {
  /** How long to wait for another run, in seconds. */
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  /** Called when the lock was lost while held, such as after the machine slept: stop before anything is recorded. */
  readonly onLost: (error: BackupError) => void;
};

/** What stands in the lock file: the holder, and which lock directory is his. */
type Owner = Holder & { readonly lockId: string; readonly since: string };

function lockDirectory(path: string): string {
  return `${path}.lock`;
}

/** Names one generation of a directory: two directories made after each other never share it. */
function identityOf(directory: string): string | undefined {
  const stat = statSync(directory, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino}-${stat.birthtimeNs}`;
}

function readOwner(path: string): Owner | undefined {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8")) as Partial<Owner> | null;
    const { pid, startTime, bootId, lockId, since } = owner ?? {};
    if (typeof pid !== "number" || typeof startTime !== "string" || typeof bootId !== "string") return undefined;
    return typeof lockId === "string" ? { pid, startTime, bootId, lockId, since: String(since) } : undefined;
  } catch {
    // Missing, or of the predecessor, which leaves it empty: then only the time limit can tell.
    return undefined;
  }
}

function code(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? "";
}

/** Whether nobody will ever sign a lock: it is old, and was never refreshed, as one is whose file somebody has removed. */
function isForsaken(directory: string): boolean {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined || stat.birthtimeMs <= 0) return false;
  const isFresh = stat.ctimeMs - stat.birthtimeMs >= UNSIGNED_MS;
  return !isFresh && Date.now() - stat.ctimeMs > UNSIGNED_MS;
}

/** Take the lock directory away if the process that made it is gone. */
function breakDead(path: string): void {
  const directory = lockDirectory(path);
  const identity = identityOf(directory);
  if (identity === undefined) return;
  const owner = readOwner(path);
  if (!(owner?.lockId === identity ? isGone(owner) : isForsaken(directory))) return;
  const aside = `${directory}.${process.pid}.broken`;
  try {
    renameSync(directory, aside);
  } catch (error) {
    // Another waiter was faster.
    if (code(error) === "ENOENT") return;
    throw error;
  }
  // Only one renames a given directory; if it was a fresh lock that came in between, it goes back.
  if (identityOf(aside) === identity) rmdirSync(aside);
  else renameSync(aside, directory);
}

/** Make the lock directory and sign it, in one go. @throws EEXIST when another one has it. */
function makeSigned(path: string): void {
  const directory = lockDirectory(path);
  const holder = ourselves();
  const begunAt = performance.now();
  mkdirSync(directory);
  const lockId = identityOf(directory) ?? "";
  const isLate = (): boolean => performance.now() - begunAt > UNSIGNED_MS / 2 || identityOf(directory) !== lockId;
  try {
    // One that was stopped here for long may have lost it to another.
    if (isLate()) throw taken();
    const owner: Owner = { ...holder, lockId, since: new Date().toISOString() };
    writeFileSync(path, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
    if (isLate()) throw taken();
  } catch (error) {
    if (identityOf(directory) === lockId) rmdirSync(directory);
    throw error;
  }
}

function taken(): Error {
  return Object.assign(new Error("another one has the lock"), { code: "EEXIST" });
}

/** The file system as the locks of a path are made in it. */
function signing(path: string): object {
  return {
    ...fs,
    mkdir(_directory: string, done: (error: unknown) => void) {
      try {
        makeSigned(path);
      } catch (error) {
        done(error);
        return;
      }
      done(null);
    },
  };
}

async function tryLock(path: string, onLost: LockOptions["onLost"]): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lockFile(path, {
      realpath: false,
      lockfilePath: lockDirectory(path),
      fs: signing(path),
      stale: STALE_MS,
      update: REFRESH_MS,
      retries: 0,
      onCompromised: (cause) =>
        onLost(new BackupError("LOCKED", `Cannot go on: the lock "${path}" was lost`, { cause })),
    });
  } catch (error) {
    if (code(error) === "ELOCKED") return undefined;
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot lock "${path}": ${what}`, {
    hint: "Run as root, or name another file with --lock-file.",
    cause,
  });
}

function busy(path: string, seconds: number): BackupError {
  const owner = readOwner(path);
  const who = owner === undefined ? "another run" : `process ${owner.pid}, running since ${owner.since},`;
  return new BackupError("LOCKED", `Cannot lock "${path}": ${who} still held it after ${seconds} seconds`, {
    hint: "Wait for that run to end, or look what holds it up.",
  });
}

/**
 * Hold the one lock of this host until disposed. A lock whose holder has died is broken at once, after 2 seconds where he died before he
 * had signed it, and one that is not refreshed after 20 seconds.
 * @throws {BackupError} LOCKED when another run keeps it longer than `waitSeconds`.
 */
export async function acquireLock(
  path: string,
  { waitSeconds, signal, onLost }: LockOptions,
): Promise<AsyncDisposable> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (;;) {
    signal.throwIfAborted();
    breakDead(path);
    const release = await tryLock(path, onLost);
    if (release !== undefined) return held(path, release);
    const left = deadline - Date.now();
    if (left <= 0) throw busy(path, waitSeconds);
    await sleep(Math.min(POLL_MS, left), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function held(path: string, release: () => Promise<void>): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      rmSync(path, { force: true });
      await release().catch((error: unknown) => {
        // Lost meanwhile, which onLost has told.
        if (code(error) !== "ERELEASED" && code(error) !== "ENOTACQUIRED") throw error;
      });
    },
  };
}
