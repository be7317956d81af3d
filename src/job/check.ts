import { randomBytes } from "node:crypto";
import type { CallOptions, Destination } from "../destination/destination.ts";
import { BackupError, isNotPermitted } from "../domain/errors.ts";
import { humanSeconds } from "../domain/human.ts";
import { type Key, toKey } from "../domain/key.ts";

/** One thing that was looked at. */
export type Finding = {
  readonly name: string;
  readonly result: "ok" | "warning" | "failed";
  /** What was found, for people. */
  readonly detail: string;
  /** The failure, where there is one. */
  readonly error?: unknown;
};

/** A clock further off than this makes ages and expiry doubtful. */
const MAX_DRIFT_SECONDS = 180;

/** Cleaning up after a failure takes at most so long. */
const CLEANUP_MS = 10_000;

/** What a trial of a destination showed. */
export type Probe = { readonly driftSeconds: number; readonly refusal: BackupError | undefined };

/** Run one look; what it throws is its finding. */
export async function look(name: string, work: () => Promise<string | Finding>): Promise<Finding> {
  try {
    const found = await work();
    return typeof found === "string" ? { name, result: "ok", detail: found } : found;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const hint = error instanceof BackupError && error.hint !== undefined ? `. ${error.hint}` : "";
    return { name, result: "failed", detail: detail + hint, error };
  }
}

/**
 * Write, list, read back and remove a small object, as a backup would.
 * @returns how far the destination's clock is ahead of ours, in seconds, and why the object could not be removed where that is not
 * permitted.
 */
export async function probeDestination(
  destination: Destination,
  host: string,
  { signal }: CallOptions,
): Promise<Probe> {
  const key = toKey(`${host}/check-${randomBytes(8).toString("hex")}`);
  const content = randomBytes(1000);
  await destination.put(key, once(content), { signal });
  try {
    const entries = await Array.fromAsync(destination.list(key, { signal }));
    const entry = entries.find((each) => each.key === key);
    if (entry === undefined) throw broken(destination, "an object that was just stored is not listed");
    const chunks = await Array.fromAsync(destination.get(key, { signal }), (chunk) => Buffer.from(chunk));
    if (!Buffer.concat(chunks).equals(content)) throw broken(destination, "an object reads back as other bytes");
    const driftSeconds = (entry.modifiedAt.getTime() - Date.now()) / 1000;
    return { driftSeconds, refusal: await removal(destination, key, { signal }) };
  } catch (error) {
    await removal(destination, key, { signal: AbortSignal.timeout(CLEANUP_MS) }).catch(() => undefined);
    throw error;
  }
}

async function removal(destination: Destination, key: Key, options: CallOptions): Promise<BackupError | undefined> {
  try {
    await destination.remove(key, options);
    return undefined;
  } catch (error) {
    if (isNotPermitted(error)) return error;
    throw error;
  }
}

/** What a lack of the right to delete means. */
export function deletionFinding(refusal: BackupError): Finding {
  const detail = `${refusal.message}; fine where another host or the store removes what expired: set remove_expired=no`;
  return { name: "delete", result: "warning", detail };
}

/** What a clock difference means. */
export function driftFinding(seconds: number): Finding {
  const far = Math.abs(seconds) > MAX_DRIFT_SECONDS;
  const side = seconds > 0 ? "ahead of" : "behind";
  const detail = `the destination's clock is ${humanSeconds(Math.abs(seconds))} ${side} this host's`;
  return { name: "clock", result: far ? "warning" : "ok", detail: far ? detail : "the destination's clock agrees" };
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield content;
}

function broken({ url }: Destination, what: string): BackupError {
  return new BackupError("FAILED", `Cannot rely on "${url}": ${what}`, {
    hint: "Look at the storage itself before you trust copies to it.",
  });
}
