import type { FilesCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Interval } from "../domain/interval.ts";
import { type Key, toKey } from "../domain/key.ts";
import { copyKey, directoryCode, filesName, nameOf, parseFilesName, uniqueTimestamp } from "../domain/names.ts";
import { type Doubt, reconcile } from "../domain/reconcile.ts";
import { decide, expired, type RetentionPolicy } from "../domain/retention.ts";
import type { Status } from "../domain/status.ts";
import type { Log } from "../lib/log.ts";
import { applyAll, suffixesOf } from "../modifier/chain.ts";
import type { Modifier, Tap } from "../modifier/modifier.ts";
import type { Source } from "../source/source.ts";
import type { Adopted } from "../status/store.ts";
import { removeCopies, type Shelf, storeCopy } from "./shelf.ts";

/** What a run of tar learned. */
type FilesFacts = Pick<FilesCopy, "rawBytes" | "tool" | "toolVersion" | "warnings">;

/** The second copy kept on this host. */
export type LocalShelf = {
  /** Prepare the second copy of what goes under `key`. */
  open(key: Key, options: { readonly signal: AbortSignal }): Promise<Tap>;
  /** Remove what retention no longer wants, after a copy of `interval` was added. */
  expire(interval: Interval): Promise<void>;
  /** Remove what interrupted runs left. */
  sweep(): Promise<void>;
};

/** Everything a backup of directories needs. */
export type FilesBackup = {
  readonly interval: Interval;
  readonly directories: readonly string[];
  readonly shelf: Shelf<"files">;
  readonly local: LocalShelf | undefined;
  /** What happens to the bytes before they are stored; the second copy is taken between the two. */
  readonly compress: Modifier | undefined;
  readonly encrypt: Modifier | undefined;
  readonly retention: RetentionPolicy;
  readonly idleSeconds: number;
  readonly openSource: (directory: string, name: string, onProgress: (bytes: number) => void) => Source<FilesFacts>;
  readonly progress: (label: string, expectedBytes: number | undefined) => (bytes: number) => void;
  readonly now: () => Date;
  readonly log: Log;
  /** Says in the source's own words why a directory could not be copied. */
  readonly explain: (error: unknown, directory: string) => unknown;
  /** Told each failure; the run goes on with the next directory. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
};

const DOUBTS: Readonly<Record<Doubt, (key: Key) => string>> = {
  gone: (key) => `"${key}" is recorded but not there any more; "twindb-backup status rebuild" forgets it`,
  resized: (key) => `"${key}" has another size than was stored; look at it with "twindb-backup verify file"`,
};

/** What is known before the first directory. */
type Before = Adopted<FilesCopy> & { readonly doubts: ReadonlyMap<Key, Doubt> };

/** Back up each directory, expire what retention no longer wants. One failing directory does not keep the others from running. */
export async function backupFiles(backup: FilesBackup): Promise<void> {
  for (const modifier of stepsOf(backup)) await modifier.check({ signal: backup.signal });
  const before = await prepare(backup);
  const names = new Set(before.objects.map(({ key }) => nameOf(key)));
  for (const directory of backup.directories) {
    try {
      await backupDirectory(backup, directory, { before, names });
    } catch (error) {
      backup.signal.throwIfAborted();
      backup.onFailure(backup.explain(error, directory));
    }
  }
}

async function prepare(backup: FilesBackup): Promise<Before> {
  const { shelf, signal, log, local } = backup;
  const startedAt = backup.now();
  await local?.sweep();
  await shelf.destination.sweep(shelf.host, { signal });
  const adopted = await shelf.status.adopt({ signal });
  const swept = await shelf.manifests.sweep(shelf.host, {
    media: "files",
    status: adopted.status,
    before: startedAt,
    signal,
  });
  for (const key of swept) log.info(`removed "${key}", which an interrupted run had left`);
  for (const warning of adopted.warnings) log.warn(warning);
  if (adopted.doubtful) backup.onFailure(untrusted(shelf.host));
  const doubts = reconcile(adopted.status, adopted.objects);
  for (const [key, doubt] of doubts) log.warn(DOUBTS[doubt](key));
  return { ...adopted, doubts };
}

function untrusted(host: string): BackupError {
  return new BackupError(
    "DATA_DAMAGED",
    `Cannot trust the files status of "${host}": it was damaged or lost, and was recovered`,
    {
      hint: "Nothing was deleted in this run; look at the warnings above, and at what twindb-backup ls prints.",
    },
  );
}

/** The modifiers of a backup, with the second copy after compression and before encryption. */
function stepsOf({ compress, encrypt }: FilesBackup): Modifier[];
function stepsOf({ compress, encrypt }: FilesBackup, tap: Tap | undefined): (Modifier | Tap)[];
function stepsOf({ compress, encrypt }: FilesBackup, tap?: Tap): (Modifier | Tap)[] {
  return [compress, tap, encrypt].filter((step) => step !== undefined);
}

type Progress = { readonly before: Before; readonly names: Set<string> };

async function backupDirectory(backup: FilesBackup, directory: string, { before, names }: Progress): Promise<void> {
  const { shelf, interval, signal, log } = backup;
  const startedAt = backup.now();
  const code = directoryCode(directory);
  const own = [...names].filter((each) => parseFilesName(each)?.code === code);
  const { takenAt, clockBehind } = uniqueTimestamp(startedAt, own);
  const name = filesName(directory, takenAt);
  const key = copyKey({
    media: "files",
    host: shelf.host,
    interval,
    name: name + suffixesOf(stepsOf(backup)).join(""),
  });
  const last = before.status.copies.findLast((copy) => copy.directory === directory);
  const onProgress = backup.progress(directory, last?.rawBytes);

  await using capture = await backup.openSource(directory, name, onProgress).open({ signal });
  await using tap = await openTap(backup, key);
  let tapFailure: string | undefined;
  const content = applyAll(capture.content, stepsOf(backup, tap), {
    signal,
    idleSeconds: backup.idleSeconds,
    onTap: ({ warning, stderr }) => {
      if (warning) tapFailure = stderr.trim();
    },
  });
  const describe = (digest: { bytes: number; sha256: string }): FilesCopy => ({
    media: "files",
    key,
    host: shelf.host,
    interval,
    directory,
    suffixes: suffixesOf(stepsOf(backup)),
    ...digest,
    ...capture.facts(),
    verified: undefined,
    startedAt,
    finishedAt: backup.now(),
  });
  const { status } = await storeCopy(shelf, { key, content, describe }, { signal });
  names.add(nameOf(key));
  log.info(`stored "${key}"`);
  await finishLocal(backup, tap, tapFailure);
  if (clockBehind) throw clockError(key);
  if (!before.doubtful) await expire(backup, status, before);
}

/** The second copy lies before encryption, so its name lacks that suffix. */
function openTap({ local, encrypt, signal }: FilesBackup, key: Key): Promise<Tap> | undefined {
  return local?.open(toKey(key.slice(0, key.length - (encrypt?.suffix.length ?? 0))), { signal });
}

/** The copy is stored and recorded by now: whatever goes wrong here is told, and takes nothing away from it. */
async function finishLocal(backup: FilesBackup, tap: Tap | undefined, tapFailure: string | undefined): Promise<void> {
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

async function expire(backup: FilesBackup, status: Status<FilesCopy>, { doubts }: Before): Promise<void> {
  const decisions = decide(status.copies, backup.retention, { doubts, now: backup.now() });
  const goners = expired(decisions).filter(({ interval }) => interval === backup.interval);
  if (goners.length === 0) return;
  await removeCopies(backup.shelf, goners, { signal: backup.signal });
  for (const { key } of goners) backup.log.info(`expired "${key}"`);
}
