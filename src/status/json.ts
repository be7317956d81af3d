import { damaged } from "./damage.ts";

/** A JSON value. Objects are maps, so that no key is special; integers that a number cannot hold are bigints. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

export type JsonObject = ReadonlyMap<string, Json>;

const MAX_DEPTH = 32;

/** Index of the quote that ends the text starting at `start`. A loop, because a regular expression overflows on megabytes. */
function endOfText(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === "\\") index++;
    else if (text[index] === '"') return index;
  }
  return text.length;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '"') index = endOfText(text, index);
    else if (character === "{" || character === "[") deepest = Math.max(deepest, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  return deepest;
}

/** Only a number of this many digits can be one that a JavaScript number does not hold. */
const MAY_HOLD_BIG = /\d{16}/;

/** What `JSON.parse()` made, with maps for objects. As `revive()` does it for texts without big integers, at a third of the cost. */
function withMaps(value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("a number is too large");
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withMaps);
  return new Map(Object.entries(value).map(([key, member]) => [key, withMaps(member)]));
}

function revive(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new RangeError("a number is too large");
    const source = context?.source ?? "";
    return /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value;
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? new Map(Object.entries(value)) : value;
}

/**
 * Parse JSON that may come from anybody. `where` names it in errors.
 * @throws {BackupError} DATA_DAMAGED when it is no JSON or nests deeper than any of ours.
 */
export function parseJson(text: string, where: string): Json {
  if (depthOf(text) > MAX_DEPTH) throw damaged(where, "its JSON nests too deep");
  try {
    return (MAY_HOLD_BIG.test(text) ? JSON.parse(text, revive) : withMaps(JSON.parse(text))) as Json;
  } catch (error) {
    throw damaged(where, "it is no JSON", error);
  }
}

/** @returns `value` as an object. @throws {BackupError} DATA_DAMAGED when it is none. */
export function asObject(value: Json | undefined, where: string): JsonObject {
  if (value instanceof Map) return value;
  throw damaged(where, "an object is missing in its JSON");
}

function quote(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Write JSON as Python does by default: ASCII on one line, `", "` and `": "` between. Keys keep their order. */
export function formatJson(value: Json): string {
  if (typeof value === "string") return quote(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(formatJson).join(", ")}]`;
  const members = [...(value as JsonObject)].map(([key, member]) => `${quote(key)}: ${formatJson(member)}`);
  return `{${members.join(", ")}}`;
}

/** An object of the given members in their order, without the undefined ones. */
export function jsonObject(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  const defined = Object.entries(members).filter((member): member is [string, Json] => member[1] !== undefined);
  return new Map(defined);
}
