import type { Copy, Mark, Preservation, StoredFacts, Verification } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import type { Key } from "../domain/key.ts";
import { nameOf, suffixesOf } from "../domain/names.ts";
import { parsePreservation, preservationText } from "../domain/preservation.ts";
import type { Fields } from "./fields.ts";
import { type Json, type JsonObject, jsonObject } from "./json.ts";

/** Where a record stands: its key, and the interval it is filed under (none for binlogs). */
type Place = { readonly key: Key; readonly interval: Interval | undefined };

/** Reads and writes the records of one media, the same in status and manifest. */
export type RecordCodec<C extends Copy> = {
  read(place: Place, fields: Fields): C;
  write(copy: C): JsonObject;
  /** What the copy is called in a status. */
  recordKey(copy: C): Key;
};

/** Whole seconds since 1970. */
export function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

function readVerification(fields: Fields | undefined): Verification | undefined {
  if (fields === undefined) return undefined;
  const at = fields.required("at", fields.time("at"));
  return { at, ok: fields.required("ok", fields.flag("ok")), level: fields.text("level") ?? "" };
}

function readMark(fields: Fields | undefined): { mark?: Mark } {
  if (fields === undefined) return {};
  const at = fields.required("at", fields.time("at"));
  const broken = fields.required("broken", fields.flag("broken"));
  return { mark: { broken, at, by: fields.text("by") ?? "", reason: fields.text("reason") } };
}

function readPreservation(fields: Fields): { preservedUntil?: Preservation } {
  const text = fields.text("preserved_until");
  if (text === undefined) return {};
  return { preservedUntil: fields.required("preserved_until", parsePreservation(text)) };
}

/** Read the facts that every record of ours may hold. `suffixes` are what the record says, else what its key says. */
export function readFacts(key: Key, fields: Fields): StoredFacts {
  const sha256 = fields.text("sha256");
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) throw fields.problem("sha256", "a SHA-256");
  fields.ignore("host", "run_type", "name");
  return {
    key,
    host: key.slice(0, key.indexOf("/")),
    suffixes: fields.texts("suffixes") ?? suffixesOf(nameOf(key)),
    bytes: fields.count("bytes"),
    sha256,
    rawBytes: fields.count("raw_bytes"),
    tool: fields.text("tool"),
    toolVersion: fields.text("tool_version"),
    verified: readVerification(fields.fields("verified")),
    ...readPreservation(fields),
    ...readMark(fields.fields("marked")),
  };
}

/** Add what was left over when a record was read. Call it last, when all known fields were asked for. */
export function withRest<C extends Copy>(copy: C, fields: Fields): C {
  const extra = fields.rest();
  return extra === undefined ? copy : { ...copy, extra };
}

function formatVerification(verified: Verification): JsonObject {
  return jsonObject({ at: seconds(verified.at), ok: verified.ok, level: verified.level });
}

function formatMark({ broken, at, by, reason }: Mark): JsonObject {
  return jsonObject({ broken, at: seconds(at), by, reason });
}

/** Write the facts of `readFacts()`. Suffixes are left out where a record of the predecessor has none and the key says them. */
export function writeFacts(copy: StoredFacts, recordKey: Key): JsonObject {
  const implied = suffixesOf(nameOf(recordKey)).join() === copy.suffixes.join();
  return jsonObject({
    bytes: copy.bytes,
    sha256: copy.sha256,
    raw_bytes: copy.rawBytes,
    suffixes: implied && copy.sha256 === undefined ? undefined : copy.suffixes,
    tool: copy.tool,
    tool_version: copy.toolVersion,
    verified: copy.verified && formatVerification(copy.verified),
    preserved_until: preservationText(copy.preservedUntil),
    marked: copy.mark && formatMark(copy.mark),
  });
}

/** Join the parts of a record; the fields nobody knows come last. */
export function joinRecord(copy: StoredFacts, ...parts: readonly JsonObject[]): JsonObject {
  const known = new Map(parts.flatMap((part) => [...part]));
  for (const [name, value] of copy.extra ?? []) if (!known.has(name)) known.set(name, value as Json);
  return known;
}
