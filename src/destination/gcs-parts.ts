import { createHash } from "node:crypto";
import type { StoredObject } from "./driver.ts";
import { parsePartName } from "./gcs-names.ts";

/** An object as the store has it; `key` is its name below the prefix. */
export type GcsObject = StoredObject & { readonly generation: string };

/** Objects that hold one copy of the predecessor, by number. */
export type PartSet = { readonly key: string; readonly parts: readonly (GcsObject & { readonly number: number })[] };

/** The bytes of one object that are a piece of a range. */
export type Piece = { readonly object: GcsObject; readonly offset: number; readonly bytes: number };

/** Those of `objects` that are parts of `key`. */
export function partSet(key: string, objects: readonly GcsObject[]): PartSet {
  const parts = objects.flatMap((object) => {
    const name = parsePartName(object.key);
    return name?.key === key ? [{ ...object, number: name.number }] : [];
  });
  return { key, parts: parts.sort((a, b) => a.number - b.number) };
}

/**
 * The number of the first part that is not there; `undefined` when none is missing.
 * A removal takes part 0 first, so that what it leaves is never taken for a copy.
 */
export function missingPart({ parts }: PartSet): number | undefined {
  if (parts.length === 0) return 0;
  const gap = parts.findIndex(({ number }, index) => number !== index);
  return gap < 0 ? undefined : gap;
}

/** A set as one object. Its version tells when any part was written again. */
export function asOne({ key, parts }: PartSet): StoredObject {
  const generations = parts.map(({ generation }) => generation).join(" ");
  return {
    key,
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    modifiedAt: new Date(Math.max(...parts.map(({ modifiedAt }) => modifiedAt.getTime()))),
    version: `parts-${createHash("sha256").update(generations).digest("hex")}`,
  };
}

/** Whether a version is that of a set. */
export function isSetVersion(version: string): boolean {
  return version.startsWith("parts-");
}

/** Which bytes of which parts make up a range of the whole. */
export function piecesOf({ parts }: PartSet, offset: number, bytes: number): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  for (const object of parts) {
    const first = Math.max(offset - start, 0);
    const last = Math.min(offset + bytes - start, object.bytes);
    if (first < last) pieces.push({ object, offset: first, bytes: last - first });
    start += object.bytes;
  }
  return pieces;
}

/** What is seen in a listing: an object, or all parts of a set that are there. */
export type Seen =
  | { readonly kind: "object"; readonly object: GcsObject }
  | { readonly kind: "set"; readonly set: PartSet };

/**
 * Puts the parts of a listing together. Objects come in the store's order, which is that of the bytes of their names: the
 * parts of a copy in a row, and after an object of the copy's own name, which hides them.
 */
export class Joiner {
  /** Objects whose names the present one begins with. */
  #plain: string[] = [];
  #key: string | undefined;
  #parts: GcsObject[] = [];

  /** @returns what is complete now that `object` has come. */
  add(object: GcsObject): Seen[] {
    const part = parsePartName(object.key);
    const done = part?.key === this.#key ? [] : this.flush();
    this.#plain = this.#plain.filter((key) => object.key.startsWith(key));
    if (part === undefined) {
      this.#plain.push(object.key);
      return [...done, { kind: "object", object }];
    }
    if (this.#plain.includes(part.key)) return done;
    this.#key = part.key;
    this.#parts.push(object);
    return done;
  }

  /** @returns the set that was being put together. Call it at the end. */
  flush(): Seen[] {
    if (this.#key === undefined) return [];
    const set = partSet(this.#key, this.#parts);
    this.#key = undefined;
    this.#parts = [];
    return [{ kind: "set", set }];
  }
}
