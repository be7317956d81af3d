import { BackupError } from "../domain/errors.ts";
import { FarError, type FarReason } from "../lib/far-error.ts";
import type { Far } from "./ssh-far.ts";

/** A disk with less room than this is called full when a write on it fails without a reason. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** What was being done, such as `store` and a key. */
export type Deed = { readonly verb: string; readonly object: string };

/**
 * Say of a refusal by the far side what could not be done, where and what to do. Any other error comes back
 * as it is. Call it before anything is cleaned up, so that a full disk is still full.
 */
export async function explain(far: Far, error: unknown, { verb, object }: Deed): Promise<unknown> {
  if (!(error instanceof FarError)) return error;
  const isFull = error.reason === "full" || (error.reason === "failure" && (await isDiskFull(far)));
  const what = isFull ? "its disk is full" : error.message.replace(/^Cannot/, "it cannot");
  return new BackupError(isFull ? "NO_SPACE" : error.code, `Cannot ${verb} "${object}" on ${far.place.url}: ${what}`, {
    hint: isFull ? fullHint(far) : HINTS[error.reason]?.(far),
    cause: error,
  });
}

const HINTS: Partial<Record<FarReason, (far: Far) => string>> = {
  denied: ({ place }) =>
    `Give "${place.target.user}" the right to read and write "${place.root}" on ${place.target.host}.`,
  failure: ({ place }) => `Look for a full or broken disk, or a quota, on ${place.target.host}.`,
};

function fullHint({ place }: Far): string {
  return `Make room for "${place.root}" on ${place.target.host}, or keep fewer copies.`;
}

async function isDiskFull(far: Far): Promise<boolean> {
  const freeBytes = await far.freeBytes({ signal: AbortSignal.timeout(5000) }).catch(() => undefined);
  return freeBytes !== undefined && freeBytes < FULL_BELOW_BYTES;
}
