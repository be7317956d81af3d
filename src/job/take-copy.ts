import type { CopyOf } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Interval } from "../domain/interval.ts";
import { type Key, toKey } from "../domain/key.ts";
import { parseManifestKey } from "../domain/manifest.ts";
import { copyKey, nameOf } from "../domain/names.ts";
import { type Doubt, reconcile, type StoredObject } from "../domain/reconcile.ts";
import { parentOf, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { Status } from "../domain/status.ts";
import type { Digest } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { applyAll, suffixesOf } from "../modifier/chain.ts";
import type { Modifier, Tap } from "../modifier/modifier.ts";
import type { Capture, Source } from "../source/source.ts";
import type { Adopted } from "../status/store.ts";
import { expireCopies, forgetExpired, untrusted } from "./expire.ts";
import { type Shelf, storeCopy } from "./shelf.ts";

type TimedMedia = TimedCopy["media"];

/** The second copy kept on this host. */
export type LocalShelf = {
  /** Prepare the second copy of what goes under `key`. */
  open(key: Key, options: { readonly signal: AbortSignal }): Promise<Tap>;
  /** Remove what retention no longer wants, after a copy of `interval` was added. */
  expire(interval: Interval): Promise<void>;
  /** Remove what interrupted runs left. */
  sweep(): Promise<void>;
};

/** What every backup of one media needs, whatever it is of. */
export type Backup<M extends TimedMedia> = {
  readonly interval: Interval;
  readonly shelf: Shelf<M>;
  readonly local: LocalShelf | undefined;
  /** What happens to the bytes before they are stored; the second copy is taken between the two. */
  readonly compress: Modifier | undefined;
  readonly encrypt: Modifier | undefined;
  readonly retention: RetentionPolicy;
  /** Whether this host removes what retention no longer wants. */
  readonly removesExpired: boolean;
  readonly idleSeconds: number;
  readonly progress: (label: string, expectedBytes: number | undefined) => (bytes: number) => void;
  readonly now: () => Date;
  readonly log: Log;
  /** Told each failure that does not end the run. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
};

/** What is known before the first copy of a run. */
export type Before<C extends TimedCopy> = Adopted<C> & {
  readonly doubts: ReadonlyMap<Key, Doubt>;
  /** Every name that is taken, also when its object is gone. */
  readonly names: ReadonlySet<string>;
};

/** The part of a record that every copy of a run gets in the same way. */
type Stored<M extends TimedMedia> = Digest & {
  readonly media: M;
  readonly key: Key;
  readonly host: string;
  readonly interval: Interval;
  readonly suffixes: readonly string[];
  readonly verified: undefined;
  readonly startedAt: Date;
  readonly finishedAt: Date;
};

/** One copy to take. */
export type Order<M extends TimedMedia, Facts> = {
  readonly media: M;
  readonly source: Source<Facts>;
  readonly startedAt: Date;
  readonly clockBehind: boolean;
  /** About how much there is to copy, before it is compressed; where that is known. */
  readonly expectedBytes?: number | undefined;
  /** The record of the copy, once it is stored. */
  readonly describe: (stored: Stored<M>, facts: Facts) => CopyOf<M>;
};

const DOUBTS: Readonly<Record<Doubt, (key: Key, media: TimedMedia) => string>> = {
  gone: (key) => `"${key}" is recorded but not there any more; "twindb-backup status rebuild" forgets it`,
  resized: (key, media) => {
    const verify = media === "files" ? "file" : media;
    return `"${key}" has another size than was stored; look at it with "twindb-backup verify ${verify}"`;
  },
};

function isTimed<C extends { readonly media: string }>(copy: C): copy is C & TimedCopy {
  return copy.media === "files" || copy.media === "mysql";
}

/**
 * Before the first copy: prove that the modifiers can work, remove what interrupted runs left, take up what they did not record, and look
 * which copies are there as recorded. A status that was damaged or lost is told as a failure.
 */
export async function prepareBackup<M extends TimedMedia>(
  backup: Backup<M>,
  media: M,
): Promise<Before<CopyOf<M> & TimedCopy>> {
  const { shelf, signal, log, local } = backup;
  for (const modifier of stepsOf(backup)) await modifier.check({ signal });
  const startedAt = backup.now();
  await local?.sweep();
  await shelf.destination.sweep(shelf.host, { signal });
  const adopted = await shelf.status.adopt({ signal });
  const swept = await shelf.manifests.sweep(shelf.host, { media, status: adopted.status, before: startedAt, signal });
  for (const key of swept) log.info(`removed "${key}", which an interrupted run had left`);
  for (const warning of adopted.warnings) log.warn(warning);
  if (adopted.doubtful) backup.onFailure(untrusted(shelf.host, media));
  const doubts = reconcile(adopted.status, adopted.objects);
  for (const [key, doubt] of doubts) if (!isOthers(backup, doubt)) log.warn(DOUBTS[doubt](key, media));
  const copies = adopted.status.copies.filter(isTimed);
  return { ...adopted, status: { copies }, doubts, names: namesTaken(copies, adopted.objects) };
}

/** Where others remove what expired, a copy that is gone is no news. */
function isOthers({ removesExpired }: Pick<Backup<TimedMedia>, "removesExpired">, doubt: Doubt): boolean {
  return doubt === "gone" && !removesExpired;
}

/** A name is never given a second time, be it that its object is gone: what was taken against the old one would seem to fit the new one. */
function namesTaken(copies: readonly TimedCopy[], objects: readonly StoredObject[]): Set<string> {
  const keys = objects.map(({ key }) => parseManifestKey(key)?.key ?? key);
  return new Set([...keys, ...copies.flatMap((copy) => [copy.key, parentOf(copy) ?? copy.key])].map(nameOf));
}

/** The modifiers of a backup, with the second copy after compression and before encryption. */
function stepsOf(backup: Steps): Modifier[];
function stepsOf(backup: Steps, tap: Tap | undefined): (Modifier | Tap)[];
function stepsOf({ compress, encrypt }: Steps, tap?: Tap): (Modifier | Tap)[] {
  return [compress, tap, encrypt].filter((step) => step !== undefined);
}

type Steps = Pick<Backup<TimedMedia>, "compress" | "encrypt">;

/**
 * Take one copy, store and record it, keep the second copy, and expire what retention no longer wants.
 * @throws {BackupError} when nothing was stored; and FAILED when the copy is stored but the clock is too far behind to expire any.
 */
export async function takeCopy<M extends TimedMedia, Facts>(
  backup: Backup<M>,
  before: Pick<Before<TimedCopy>, "doubtful" | "doubts">,
  order: Order<M, Facts>,
): Promise<void> {
  const { shelf, interval, signal, log } = backup;
  const suffixes = suffixesOf(stepsOf(backup));
  const name = order.source.name + suffixes.join("");
  const key = copyKey({ media: order.media, host: shelf.host, interval, name });

  const capture = await order.source.open({ signal });
  await using _released = { [Symbol.asyncDispose]: () => release(backup, capture) };
  await using tap = await openTap(backup, key);
  let tapFailure: string | undefined;
  const content = applyAll(capture.content, stepsOf(backup, tap), {
    signal,
    idleSeconds: backup.idleSeconds,
    onTap: ({ warning, stderr }) => {
      if (warning) tapFailure = stderr.trim();
    },
  });
  const describe = (digest: Digest) => {
    const { media, startedAt } = order;
    const finishedAt = backup.now();
    const stored = { media, key, host: shelf.host, interval, suffixes, ...digest, startedAt, finishedAt };
    return order.describe({ ...stored, verified: undefined }, capture.facts());
  };
  const { status } = await storeCopy(shelf, { key, content, describe, expectedBytes: order.expectedBytes }, { signal });
  log.info(`stored "${key}"`);
  await release(backup, capture);
  await finishLocal(backup, tap, tapFailure);
  if (order.clockBehind) throw clockError(key);
  if (!before.doubtful) await expire(backup, status, before);
}

/**
 * The source is needed no more: a server must not wait for what is cleaned up. What goes wrong is told besides what went wrong before.
 * Done twice, it does nothing.
 */
async function release<M extends TimedMedia>(backup: Backup<M>, capture: Capture<unknown>): Promise<void> {
  try {
    await capture[Symbol.asyncDispose]();
  } catch (error) {
    backup.onFailure(error);
  }
}

/** The second copy lies before encryption, so its name lacks that suffix. */
function openTap<M extends TimedMedia>({ local, encrypt, signal }: Backup<M>, key: Key): Promise<Tap> | undefined {
  return local?.open(toKey(key.slice(0, key.length - (encrypt?.suffix.length ?? 0))), { signal });
}

/** The copy is stored and recorded by now: whatever goes wrong here is told, and takes nothing away from it. */
async function finishLocal<M extends TimedMedia>(
  backup: Backup<M>,
  tap: Tap | undefined,
  tapFailure: string | undefined,
): Promise<void> {
  if (tap === undefined) return;
  try {
    if (tapFailure !== undefined) {
      throw new BackupError("FAILED", `Cannot keep a second copy on this host: ${tapFailure}`, {
        hint: "The copy on the destination is complete; make room below keep_local_path.",
      });
    }
    backup.log.info(`kept "${await tap.publish()}"`);
    await backup.local?.expire(backup.interval);
  } catch (error) {
    backup.onFailure(error);
  }
}

function clockError(key: Key): BackupError {
  return new BackupError(
    "FAILED",
    `Cannot expire copies after "${key}": the clock is more than a day behind the newest copy`,
    {
      hint: "The copy is stored; set the clock right, or remove the copy with the date to come.",
    },
  );
}

async function expire<M extends TimedMedia>(
  backup: Backup<M>,
  status: Status<CopyOf<M>>,
  { doubts }: Pick<Before<TimedCopy>, "doubts">,
): Promise<void> {
  if (backup.removesExpired) await expireCopies(backup, { status, doubts });
  else await forgetExpired(backup, { status, doubts });
}
