import type { CopyOf, Media } from "../domain/copy.ts";
import { BackupError, isNotPermitted } from "../domain/errors.ts";
import { type Key, toKey } from "../domain/key.ts";
import { type Doubt, reconcile } from "../domain/reconcile.ts";
import type { Status } from "../domain/status.ts";
import type { ByteStream } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { applyAll } from "../modifier/chain.ts";
import type { Modifier, Tap } from "../modifier/modifier.ts";
import type { Capture } from "../source/source.ts";
import type { Adopted } from "../status/store.ts";
import type { Shelf } from "./shelf.ts";

/** Where second copies are kept on this host. */
export type Kept = {
  /** Prepare the second copy of what goes under `key`. */
  open(key: Key, options: { readonly signal: AbortSignal }): Promise<Tap>;
  /** Remove what interrupted runs left. */
  sweep(): Promise<void>;
};

/** What every backup works with, whatever it is of. */
export type Workshop<M extends Media> = {
  readonly shelf: Shelf<M>;
  readonly local: Kept | undefined;
  /** What happens to the bytes before they are stored; the second copy is taken between the two. */
  readonly compress: Modifier | undefined;
  readonly encrypt: Modifier | undefined;
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

type Steps = Pick<Workshop<Media>, "compress" | "encrypt">;

const STATUS_NAMES: Readonly<Record<Media, string>> = { files: "files", mysql: "MySQL", binlog: "binlog" };

const DOUBTS: Readonly<Record<Doubt, (key: Key, media: Media) => string>> = {
  gone: (key) => `"${key}" is recorded but not there any more; "twindb-backup status rebuild" forgets it`,
  resized: (key, media) => {
    const verify = media === "files" ? "file" : media;
    return `"${key}" has another size than was stored; look at it with "twindb-backup verify ${verify}"`;
  },
};

/** What is on the shelf before a run changes it. */
export type Found<M extends Media> = Adopted<CopyOf<M>> & { readonly doubts: ReadonlyMap<Key, Doubt> };

/** Finds the objects of recorded copies, where the records do not name them in full. */
type Place<M extends Media> = (adopted: Adopted<CopyOf<M>>) => Status<CopyOf<M>>;

/**
 * Before the first copy: prove that the modifiers can work, remove what interrupted runs left, take up what they did not record, and look
 * which copies are there as recorded. A status that was damaged or lost is told as a failure.
 */
export async function openShelf<M extends Media>(
  workshop: Workshop<M>,
  media: M,
  place: Place<M> = ({ status }) => status,
): Promise<Found<M>> {
  const { shelf, signal, log, local } = workshop;
  for (const modifier of stepsOf(workshop)) await modifier.check({ signal });
  const startedAt = workshop.now();
  await local?.sweep();
  const unswept = await sweepUploads(workshop);
  const adopted = await shelf.status.adopt({ signal });
  // Only now: a store that refuses everything is told once, as what it is.
  if (unswept !== undefined) log.warn(`${unswept.message}. What interrupted runs left there stays`);
  // A first copy whose run ends before it is recorded would look like one whose status was lost.
  if (adopted.origin === "new") await shelf.status.update((now) => now, { signal });
  const swept = await shelf.manifests.sweep(shelf.host, { media, status: adopted.status, before: startedAt, signal });
  for (const key of swept) log.info(`removed "${key}", which an interrupted run had left`);
  for (const warning of adopted.warnings) log.warn(warning);
  if (adopted.doubtful) workshop.onFailure(untrusted(shelf.host, media));
  const status = place(adopted);
  const doubts = reconcile(status, adopted.objects);
  tellDoubts(workshop, doubts, media);
  return { ...adopted, status, doubts };
}

/** @returns why the store does not let it be done, which is no reason to have no copy. */
async function sweepUploads<M extends Media>({ shelf, signal }: Workshop<M>): Promise<BackupError | undefined> {
  try {
    await shelf.destination.sweep(shelf.host, { signal });
    return undefined;
  } catch (error) {
    if (isNotPermitted(error)) return error;
    throw error;
  }
}

/** Where others remove what expired, a copy that is gone is no news. */
function tellDoubts(
  { log, removesExpired }: Pick<Workshop<Media>, "log" | "removesExpired">,
  doubts: ReadonlyMap<Key, Doubt>,
  media: Media,
): void {
  for (const [key, doubt] of doubts) if (removesExpired || doubt !== "gone") log.warn(DOUBTS[doubt](key, media));
}

/** A status that was damaged or lost: in doubt nothing is deleted. */
export function untrusted(host: string, media: Media): BackupError {
  return new BackupError(
    "DATA_DAMAGED",
    `Cannot trust the ${STATUS_NAMES[media]} status of "${host}": it was damaged or lost, and was recovered`,
    {
      hint: "Nothing was deleted in this run; look at the warnings above, and at what twindb-backup ls prints.",
    },
  );
}

/** The modifiers of a backup, with the second copy after compression and before encryption. */
export function stepsOf(steps: Steps): Modifier[];
export function stepsOf(steps: Steps, tap: Tap | undefined): (Modifier | Tap)[];
export function stepsOf({ compress, encrypt }: Steps, tap?: Tap): (Modifier | Tap)[] {
  return [compress, tap, encrypt].filter((step) => step !== undefined);
}

/** The bytes of a capture as they are stored. `failure()` says why the second copy is not complete, once they have passed. */
export function modified<M extends Media>(
  workshop: Workshop<M>,
  content: ByteStream,
  tap: Tap | undefined,
): { readonly content: ByteStream; readonly failure: () => string | undefined } {
  const { signal, idleSeconds } = workshop;
  let failure: string | undefined;
  const onTap = ({ warning, stderr }: { readonly warning: boolean; readonly stderr: string }) => {
    if (warning) failure = stderr.trim();
  };
  return {
    content: applyAll(content, stepsOf(workshop, tap), { signal, idleSeconds, onTap }),
    failure: () => failure,
  };
}

/**
 * The source is needed no more: a server must not wait for what is cleaned up. What goes wrong is told besides what went wrong before.
 * Done twice, it does nothing.
 */
export async function release<M extends Media>(workshop: Workshop<M>, capture: Capture<unknown>): Promise<void> {
  try {
    await capture[Symbol.asyncDispose]();
  } catch (error) {
    workshop.onFailure(error);
  }
}

/** The second copy lies before encryption, so its name lacks that suffix. */
export function openTap<M extends Media>({ local, encrypt, signal }: Workshop<M>, key: Key): Promise<Tap> | undefined {
  return local?.open(toKey(key.slice(0, key.length - (encrypt?.suffix.length ?? 0))), { signal });
}

/** The copy is stored and recorded by now: whatever goes wrong here is told, and takes nothing away from it. */
export async function publishTap<M extends Media>(
  workshop: Workshop<M>,
  tap: Tap | undefined,
  failure: string | undefined,
): Promise<boolean> {
  if (tap === undefined) return false;
  try {
    if (failure !== undefined) {
      throw new BackupError("FAILED", `Cannot keep a second copy on this host: ${failure}`, {
        hint: "The copy on the destination is complete; make room below keep_local_path.",
      });
    }
    workshop.log.info(`kept "${await tap.publish()}"`);
    return true;
  } catch (error) {
    workshop.onFailure(error);
    return false;
  }
}
