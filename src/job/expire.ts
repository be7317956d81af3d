import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import type { Key } from "../domain/key.ts";
import { type Doubt, reconcile } from "../domain/reconcile.ts";
import { decide, expired, expiredOf, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { Status } from "../domain/status.ts";
import type { Log } from "../lib/log.ts";
import { forgetCopies, type Removal, removeCopies, type Shelf } from "./shelf.ts";
import { untrusted } from "./workshop.ts";

/** Whose copies expire, and by what. */
export type Expiry<M extends TimedCopy["media"]> = {
  /** Only copies of this type go; `undefined`: of every type. */
  readonly interval: Interval | undefined;
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
  return expiry.interval === undefined ? expired(decisions) : expiredOf(decisions, expiry.interval);
}

/**
 * Remove the copies of one type that retention no longer wants. What the store does not permit to remove stays recorded for the next
 * run, and is worth a warning, not a failure: the copies are safe.
 */
export async function expireCopies<M extends TimedCopy["media"]>(
  expiry: Expiry<M>,
  standing: Standing<M>,
): Promise<void> {
  const goners: readonly TimedCopy[] = expiredNow(expiry, standing);
  if (goners.length === 0) return;
  tellRemoval(await removeCopies(expiry.shelf, goners, { signal: expiry.signal }), expiry.log);
}

/** Tell what expired, and what the store keeps. */
export function tellRemoval(removal: Removal, log: Log): void {
  for (const key of removal.removed) log.info(`expired "${key}"`);
  const warning = warningOf(removal);
  if (warning !== undefined) log.warn(warning);
}

/** Take out of the status what retention no longer wants and somebody else has removed. */
export async function forgetExpired<M extends TimedCopy["media"]>(
  expiry: Expiry<M>,
  standing: Standing<M>,
): Promise<void> {
  const goners: readonly TimedCopy[] = expiredNow(expiry, standing);
  const gone = goners.filter(({ key }) => standing.doubts.get(key) === "gone");
  await forgetGone(expiry, gone);
}

/** Take copies out of the status that somebody else has removed. */
export async function forgetGone<M extends Media>(
  { shelf, log, signal }: { readonly shelf: Shelf<M>; readonly log: Log; readonly signal: AbortSignal },
  gone: readonly Copy[],
): Promise<void> {
  if (gone.length === 0) return;
  for (const { key } of await forgetCopies(shelf, gone, { signal })) log.info(`"${key}" expired, and is gone`);
}

function warningOf({ refused, refusal }: Removal): string | undefined {
  const [first, ...others] = refused;
  if (first === undefined || refusal === undefined) return undefined;
  const which = others.length === 0 ? `"${first}"` : `${refused.length} expired copies, such as "${first}",`;
  return `${which} cannot be removed yet and stays recorded, the next run tries again: ${refusal.message}`;
}

/** What runs of another host leave is theirs for a day. */
export const OTHERS_MS = 24 * 3600 * 1000;

/**
 * Remove what retention no longer wants of a host, in its stead: copies of every type, and what its runs left more than a day ago.
 * @throws {BackupError} DATA_DAMAGED when its status cannot be trusted; nothing is removed then.
 */
export async function expireHost<M extends TimedCopy["media"]>(expiry: Expiry<M>, media: M): Promise<void> {
  const { shelf, signal, log } = expiry;
  const { status, objects, doubtful, warnings } = await shelf.status.adopt({ signal });
  for (const warning of warnings) log.warn(warning);
  if (doubtful) throw untrusted(shelf.host, media);
  const before = new Date(expiry.now().getTime() - OTHERS_MS);
  const swept = await shelf.manifests.sweep(shelf.host, { media, status, before, signal });
  for (const key of swept) log.info(`removed "${key}", which an interrupted run had left`);
  await expireCopies(expiry, { status, doubts: reconcile(status, objects) });
}
