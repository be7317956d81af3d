import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import type { Key } from "../domain/key.ts";
import { withoutSuffixes } from "../domain/names.ts";
import { adoptedBinlog, adoptedFiles, locateBinlogs, type StoredObject, unrecorded } from "../domain/reconcile.ts";
import { withRemembered } from "../domain/remembered.ts";
import { type Status, statusOf } from "../domain/status.ts";
import type { DamagedManifest } from "./manifests.ts";

/** What is left to build a status from when the current one is lost. */
export type Evidence<C extends Copy> = {
  /** The last status that could be read. */
  readonly known: Status<C> | undefined;
  readonly manifests: readonly C[];
  readonly damaged: readonly DamagedManifest[];
  /** Everything that lies under the host. */
  readonly objects: readonly StoredObject[];
};

/** A status built from evidence, and one line for everything that is not in it. */
export type Recovered<C extends Copy> = { readonly status: Status<C>; readonly warnings: readonly string[] };

const ADOPT: { readonly [M in Media]: (object: StoredObject) => CopyOf<M> | undefined } = {
  files: adoptedFiles,
  binlog: adoptedBinlog,
  // Whether it is full, and what it is based on, stands nowhere but in the lost record.
  mysql: () => undefined,
};

/** The copies of one media out of all. */
export function ofMedia<M extends Media>(copies: readonly Copy[], media: M): CopyOf<M>[] {
  return copies.filter((copy): copy is CopyOf<M> => copy.media === media);
}

/** The copy, known to be damaged when its object has another size than was recorded. */
export function sized<C extends Copy>(copy: C, object: StoredObject): C {
  if (copy.bytes === undefined || copy.bytes === object.bytes) return copy;
  return { ...copy, verified: { at: object.modifiedAt, ok: false, level: "size" } };
}

/** Take up what the predecessor left. Of two objects of one binlog neither is, for one of them is no copy. */
export function adoptAll<M extends Media>(media: M, objects: readonly StoredObject[]): CopyOf<M>[] {
  const adopt: (object: StoredObject) => CopyOf<M> | undefined = ADOPT[media];
  const groups = Map.groupBy(objects, ({ key }) => (media === "binlog" ? withoutSuffixes(key) : key));
  return [...groups.values()].flatMap(([object, ...twins]) => {
    const copy = object && twins.length === 0 ? adopt(object) : undefined;
    return copy === undefined ? [] : [copy];
  });
}

function withPlaces<M extends Media>(media: M, known: Status<CopyOf<M>>, objects: readonly StoredObject[]) {
  if (media !== "binlog") return known.copies;
  return ofMedia(locateBinlogs({ copies: ofMedia(known.copies, "binlog") }, objects).copies, media);
}

/**
 * Build a status from what is left: records of the last readable status, then manifests, then objects that speak for
 * themselves. Nothing is listed whose object is not there, that is marked as unfinished, or that has to be guessed.
 */
export function recover<M extends Media>(media: M, evidence: Evidence<CopyOf<M>>): Recovered<CopyOf<M>> {
  const { known, manifests, damaged, objects } = evidence;
  const byKey = new Map<Key, StoredObject>(objects.map((object) => [object.key, object]));
  const nothing: Status<CopyOf<M>> = { copies: [] };
  const unfinished = new Set(unrecorded(nothing, media, objects).unfinished.map(({ key }) => key));

  const remembered = new Map(manifests.map((copy) => [copy.key, copy]));
  const recorded = withPlaces(media, known ?? nothing, objects);
  const claimed = [...manifests, ...recorded.map((copy) => withRemembered(copy, remembered.get(copy.key)))];
  const present = claimed.flatMap((copy) => {
    const object = byKey.get(copy.key);
    return object && !unfinished.has(copy.key) ? [sized(copy, object)] : [];
  });
  const proven = statusOf(present);
  const { foreign } = unrecorded(proven, media, objects);
  const adopted = adoptAll(media, foreign);

  const taken = new Set(adopted.map(({ key }) => key));
  const gone = new Set(claimed.map(({ key }) => key).filter((key) => !byKey.has(key)));
  return {
    status: statusOf([...proven.copies, ...adopted]),
    warnings: [
      ...[...gone].map((key) => `"${key}" was recorded but is not there`),
      ...damaged.map(({ problem }) => problem.message),
      ...foreign
        .filter(({ key }) => !taken.has(key))
        .map(({ key }) => `"${key}" has no record, and none can be made from it`),
    ],
  };
}
