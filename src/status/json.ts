import { damaged } from "./damage.ts";

/** A JSON value. Objects are maps, so that no key is special; integers that a number cannot hold are bigints. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

export type JsonObject = ReadonlyMap<string, Json>;

const MAX_DEPTH = 32;

/** An integer that a number may not hold: it has to be read again, from its digits. */
class BigNumberError extends Error {}

function reviveNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? "";
  return typeof value === "number" && /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value;
}

function checked(value: number): number {
  if (!Number.isFinite(value)) throw new RangeError("a number is too large");
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new BigNumberError();
  return value;
}

function parse(text: string): unknown {
  try {
    return withMaps(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof BigNumberError)) throw error;
    return withMaps(JSON.parse(text, reviveNumber));
  }
}

/** What `JSON.parse()` made, with maps for objects. */
function withMaps(value: unknown, depth = 0): unknown {
  if (typeof value === "number") return checked(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) throw new RangeError("it nests too deep");
  if (Array.isArray(value)) return value.map((member) => withMaps(member, depth + 1));
  const map = new Map<string, unknown>();
  for (const key of Object.keys(value)) map.set(key, withMaps((value as Record<string, unknown>)[key], depth + 1));
  return map;
}

/**
 * Parse JSON that may come from anybody. `where` names it in errors.
 * @throws {BackupError} DATA_DAMAGED when it is no JSON or nests deeper than any of ours.
 */
export function parseJson(text: string, where: string): Json {
  try {
    return parse(text) as Json;
  } catch (error) {
    const isDeep = error instanceof RangeError && /nests too deep|call stack/.test(error.message);
    throw damaged(where, isDeep ? "its JSON nests too deep" : "it is no JSON", error);
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
