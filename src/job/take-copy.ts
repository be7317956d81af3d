import type { CopyOf } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Interval } from "../domain/interval.ts";
import type { Key } from "../domain/key.ts";
import { parseManifestKey } from "../domain/manifest.ts";
import { copyKey, nameOf } from "../domain/names.ts";
import type { Doubt, StoredObject } from "../domain/reconcile.ts";
import { parentOf, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { Status } from "../domain/status.ts";
import type { Digest } from "../lib/bytes.ts";
import { suffixesOf } from "../modifier/chain.ts";
import type { Tap } from "../modifier/modifier.ts";
import type { Source } from "../source/source.ts";
import type { Adopted } from "../status/store.ts";
import { expireCopies, forgetExpired } from "./expire.ts";
import { storeCopy } from "./shelf.ts";
import { type Kept, modified, openShelf, openTap, publishTap, release, stepsOf, type Workshop } from "./workshop.ts";

type TimedMedia = TimedCopy["media"];

/** The second copy kept on this host. */
export type LocalShelf = Kept & {
  /** Remove what retention no longer wants, after a copy of `interval` was added. */
  expire(interval: Interval): Promise<void>;
};

/** What every backup of one media needs, whatever it is of. */
export type Backup<M extends TimedMedia> = Workshop<M> & {
  readonly interval: Interval;
  readonly local: LocalShelf | undefined;
  readonly retention: RetentionPolicy;
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

function isTimed<C extends { readonly media: string }>(copy: C): copy is C & TimedCopy {
  return copy.media === "files" || copy.media === "mysql";
}

/** Before the first copy: `openShelf()`, and every name that is taken. */
export async function prepareBackup<M extends TimedMedia>(
  backup: Backup<M>,
  media: M,
): Promise<Before<CopyOf<M> & TimedCopy>> {
  const found = await openShelf(backup, media);
  const copies = found.status.copies.filter(isTimed);
  return { ...found, status: { copies }, names: namesTaken(copies, found.objects) };
}

/** A name is never given a second time, be it that its object is gone: what was taken against the old one would seem to fit the new one. */
function namesTaken(copies: readonly TimedCopy[], objects: readonly StoredObject[]): Set<string> {
  const keys = objects.map(({ key }) => parseManifestKey(key)?.key ?? key);
  return new Set([...keys, ...copies.flatMap((copy) => [copy.key, parentOf(copy) ?? copy.key])].map(nameOf));
}

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
  const { content, failure } = modified(backup, capture.content, tap);
  const describe = (digest: Digest) => {
    const { media, startedAt } = order;
    const finishedAt = backup.now();
    const stored = { media, key, host: shelf.host, interval, suffixes, ...digest, startedAt, finishedAt };
    return order.describe({ ...stored, verified: undefined }, capture.facts());
  };
  const { status } = await storeCopy(shelf, { key, content, describe, expectedBytes: order.expectedBytes }, { signal });
  log.info(`stored "${key}"`);
  await release(backup, capture);
  await finishLocal(backup, tap, failure());
  if (order.clockBehind) throw clockError(key);
  if (!before.doubtful) await expire(backup, status, before);
}

async function finishLocal<M extends TimedMedia>(
  backup: Backup<M>,
  tap: Tap | undefined,
  failure: string | undefined,
): Promise<void> {
  try {
    if (await publishTap(backup, tap, failure)) await backup.local?.expire(backup.interval);
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
