import { BackupError } from "./errors.ts";

declare const brand: unique symbol;

/** A relative path on a destination, such as `db7/daily/files/_etc-2026-11-21_02_36_45.tar.gz`. Built by `toKey()` only. */
export type Key = string & { readonly [brand]: "Key" };

const MAX_KEY_BYTES = 1024;
const MAX_COMPONENT_BYTES = 255;

/** Whether the UTF-8 of a text is longer than `limit`. A code unit takes 1 to 3 bytes, so most texts need no counting. */
function isLonger(text: string, limit: number): boolean {
  return text.length > limit || (text.length * 3 > limit && utf8Length(text) > limit);
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** Most keys: few enough letters for a component, of which none is, or begins with, a dot. */
const PLAIN_KEY = /^[\w-][\w.:+@=-]*(?:\/[\w-][\w.:+@=-]*)*$/;

/** Why `text` cannot be a key, or `undefined` when it can. */
export function keyProblem(text: string): string | undefined {
  return text.length <= MAX_COMPONENT_BYTES && PLAIN_KEY.test(text) ? undefined : problemOf(text);
}

function problemOf(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (isLonger(text, MAX_KEY_BYTES)) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  if (/\p{Cc}/u.test(text)) return "it holds a control character";
  for (const component of text.split("/")) {
    if (component === "" || component === "." || component === "..") return `it has the component "${component}"`;
    if (isLonger(component, MAX_COMPONENT_BYTES)) return `a component is longer than ${MAX_COMPONENT_BYTES} bytes`;
  }
  return undefined;
}

/** `text` as a key, or `undefined` when it cannot be one. */
export function asKey(text: string): Key | undefined {
  return keyProblem(text) === undefined ? (text as Key) : undefined;
}

/**
 * Check that `text` is a relative path that stays below the destination.
 * @throws {BackupError} DATA_DAMAGED when it is not.
 */
export function toKey(text: string): Key {
  const problem = keyProblem(text);
  if (problem === undefined) return text as Key;
  throw new BackupError("DATA_DAMAGED", `Cannot use ${JSON.stringify(text.slice(0, 200))} as a key: ${problem}`);
}
