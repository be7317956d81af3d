import type { CopyOf } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import type { Key } from "../domain/key.ts";
import type { Doubt } from "../domain/reconcile.ts";
import { decide, expiredOf, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { Status } from "../domain/status.ts";
import type { Log } from "../lib/log.ts";
import { forgetCopies, type Removal, removeCopies, type Shelf } from "./shelf.ts";

/** Whose copies of one type expire, and by what. */
export type Expiry<M extends TimedCopy["media"]> = {
  readonly interval: Interval;
  readonly shelf: Shelf<M>;
  readonly retention: RetentionPolicy;
  readonly now: () => Date;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** What is there, and which of it cannot be good. */
export type Standing<M extends TimedCopy["media"]> = {
  readonly status: Status<CopyOf<M>>;
  readonly doubts: ReadonlyMap<Key, Doubt>;
};

function isTimed<C extends { readonly media: string }>(copy: C): copy is C & TimedCopy {
  return copy.media === "files" || copy.media === "mysql";
}

function expiredNow<M extends TimedCopy["media"]>(expiry: Expiry<M>, { status, doubts }: Standing<M>) {
  const decisions = decide(status.copies.filter(isTimed), expiry.retention, { doubts, now: expiry.now() });
  return expiredOf(decisions, expiry.interval);
}

/**
 * Remove the copies of one type that retention no longer wants. What the store does not permit to remove stays recorded for the next
 * run, and is worth a warning, not a failure: the copies are safe.
 */
export async function expireCopies<M extends TimedCopy["media"]>(
  expiry: Expiry<M>,
  standing: Standing<M>,
): Promise<void> {
  const goners = expiredNow(expiry, standing);
  if (goners.length === 0) return;
  const removal = await removeCopies(expiry.shelf, goners, { signal: expiry.signal });
  for (const key of removal.removed) expiry.log.info(`expired "${key}"`);
  const warning = warningOf(removal);
  if (warning !== undefined) expiry.log.warn(warning);
}

/** Take out of the status what retention no longer wants and somebody else has removed. */
export async function forgetExpired<M extends TimedCopy["media"]>(
  expiry: Expiry<M>,
  standing: Standing<M>,
): Promise<void> {
  const goners: readonly TimedCopy[] = expiredNow(expiry, standing);
  const gone = goners.filter(({ key }) => standing.doubts.get(key) === "gone");
  if (gone.length === 0) return;
  const keys = new Set(gone.map(({ key }) => key));
  await forgetCopies(expiry.shelf, keys, { signal: expiry.signal });
  for (const key of keys) expiry.log.info(`"${key}" expired, and is gone`);
}

function warningOf({ refused, refusal }: Pick<Removal<TimedCopy>, "refused" | "refusal">): string | undefined {
  const [first, ...others] = refused;
  if (first === undefined || refusal === undefined) return undefined;
  const which = others.length === 0 ? `"${first}"` : `${refused.length} expired copies, such as "${first}",`;
  return `${which} cannot be removed yet and stays recorded, the next run tries again: ${refusal.message}`;
}
