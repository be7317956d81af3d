import type { BinlogCopy, Copy, FilesCopy, Media } from "./copy.ts";
import type { Key } from "./key.ts";
import { type ManifestState, parseManifestKey } from "./manifest.ts";
import { nameOf, parseBinlogName, parseCopyKey, parseFilesName, suffixesOf, withoutSuffixes } from "./names.ts";
import { type Status, statusOf } from "./status.ts";

/** One object as a listing shows it. */
export type StoredObject = { readonly key: Key; readonly bytes: number; readonly modifiedAt: Date };

/** Why a recorded copy cannot be good: its object is not there, or has another size than when it was stored. */
export type Doubt = "gone" | "resized";

/**
 * Compare what the status claims with what is there. Such a copy counts nowhere: not in retention, not as a parent.
 * Run `locateBinlogs()` first where the predecessor may have recorded binlogs.
 */
export function reconcile(status: Status<Copy>, objects: Iterable<StoredObject>): ReadonlyMap<Key, Doubt> {
  const sizes = new Map<Key, number>();
  for (const { key, bytes } of objects) sizes.set(key, bytes);
  const doubts = new Map<Key, Doubt>();
  for (const { key, bytes } of status.copies) {
    const found = sizes.get(key);
    if (found === undefined) doubts.set(key, "gone");
    else if (bytes !== undefined && bytes !== found) doubts.set(key, "resized");
  }
  return doubts;
}

/** The predecessor records a binlog without the suffixes of its object: take them from the object, where there is exactly one. */
export function locateBinlogs(status: Status<BinlogCopy>, objects: Iterable<StoredObject>): Status<BinlogCopy> {
  if (status.copies.every(({ bytes }) => bytes !== undefined)) return status;
  const byRecord = Map.groupBy(objects, ({ key }) => withoutSuffixes(key));
  const located = status.copies.map((copy) => {
    if (copy.bytes !== undefined) return copy;
    const [object, ...others] = byRecord.get(withoutSuffixes(copy.key)) ?? [];
    if (object === undefined || others.length > 0) return copy;
    return { ...copy, key: object.key, suffixes: suffixesOf(nameOf(object.key)) };
  });
  return statusOf(located);
}

/** What lies under a host that its status does not speak of. */
export type Unrecorded = {
  /** Described by a manifest: a run ended between manifest and status. Read the manifest and take the copy up. */
  readonly described: readonly Key[];
  /** Neither record nor manifest nor mark: not ours, so the predecessor's. */
  readonly foreign: readonly StoredObject[];
  /** Marked as no copy (any more): what a run left that was cut off. `since` is the store's time of the mark. */
  readonly unfinished: readonly { readonly key: Key; readonly since: Date }[];
  /** Recorded and described, with a mark left over: a run ended before it could take the mark away. */
  readonly stale: readonly Key[];
};

/**
 * Sort what the status does not speak of.
 *
 * The rule that tells our leftovers from the predecessor's copies: we set a mark *before* the first byte of a copy is written, and
 * before anything of it is removed. So an object with a mark is ours and no copy: it is never listed and may be swept.
 * An object without mark, manifest and record was never ours: it is the predecessor's, may be taken up and is never swept.
 * Where both mark and manifest are there the copy is complete (or its removal had not begun); the mark alone is stale.
 */
export function unrecorded(status: Status<Copy>, media: Media, objects: readonly StoredObject[]): Unrecorded {
  const recorded = new Set(status.copies.flatMap(({ key }) => [key, withoutSuffixes(key)]));
  const isRecorded = (key: Key): boolean =>
    recorded.has(key) || (media === "binlog" && recorded.has(withoutSuffixes(key)));
  const isMedia = (key: Key): boolean => parseCopyKey(key)?.media === media;

  const marks = manifestsOf(objects);
  const present = new Set(objects.map(({ key }) => key));
  const described = [...marks.complete.keys()].filter((key) => isMedia(key) && !isRecorded(key) && present.has(key));
  const foreign = objects.filter(
    ({ key }) => isMedia(key) && !isRecorded(key) && !marks.complete.has(key) && !marks.unfinished.has(key),
  );
  const marked = [...marks.unfinished].filter(([key]) => isMedia(key));
  const unfinished = marked
    .filter(([key]) => !isRecorded(key) && !marks.complete.has(key))
    .map(([key, since]) => ({ key, since }));
  const stale = marked.map(([key]) => key).filter((key) => isRecorded(key) && marks.complete.has(key));
  return { described, foreign, unfinished, stale };
}

function manifestsOf(objects: readonly StoredObject[]): Record<ManifestState, Map<Key, Date>> {
  const found = { complete: new Map<Key, Date>(), unfinished: new Map<Key, Date>() };
  for (const { key, modifiedAt } of objects) {
    const manifest = parseManifestKey(key);
    if (manifest) found[manifest.state].set(manifest.key, modifiedAt);
  }
  return found;
}

/** Records hold whole seconds. */
function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

function nothingKnown(object: StoredObject) {
  return {
    key: object.key,
    suffixes: suffixesOf(nameOf(object.key)),
    bytes: object.bytes,
    sha256: undefined,
    rawBytes: undefined,
    tool: undefined,
    toolVersion: undefined,
    // The predecessor left empty objects when its compressor or gpg failed.
    verified: object.bytes === 0 ? { at: wholeSeconds(object.modifiedAt), ok: false, level: "size" } : undefined,
  } as const;
}

/** A copy of the predecessor as far as its object tells: time from the name. `undefined` when the name is none of a files copy. */
export function adoptedFiles(object: StoredObject): FilesCopy | undefined {
  const parts = parseCopyKey(object.key);
  const name = parts && parseFilesName(parts.name);
  if (parts?.media !== "files" || name === undefined) return undefined;
  return {
    ...nothingKnown(object),
    media: "files",
    host: parts.host,
    interval: parts.interval,
    directory: undefined,
    startedAt: name.takenAt,
    finishedAt: undefined,
    warnings: [],
  };
}

/** A binlog as far as its object tells: time from the listing. `undefined` when the name is none of a binlog. */
export function adoptedBinlog(object: StoredObject): BinlogCopy | undefined {
  const parts = parseCopyKey(object.key);
  const name = parts && parseBinlogName(parts.name);
  if (parts?.media !== "binlog" || name === undefined) return undefined;
  return {
    ...nothingKnown(object),
    media: "binlog",
    host: parts.host,
    name: name.name,
    incarnation: parts.incarnation,
    createdAt: wholeSeconds(object.modifiedAt),
    serverUuid: undefined,
    serverVersion: undefined,
    gtid: undefined,
    log: undefined,
  };
}
