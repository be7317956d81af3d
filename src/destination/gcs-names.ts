import { asKey } from "../domain/key.ts";
import { parseCopyKey } from "../domain/names.ts";

/** Which part of which copy an object is. */
export type PartName = { readonly key: string; readonly number: number };

const PART = /^(.+)\/part-(\d{16})$/s;

/**
 * The predecessor cut a copy into objects `KEY/part-0000000000000000` and so on.
 * Only what can be the key of a copy has parts: an object of that name elsewhere is somebody else's.
 * @returns `undefined` for any other name.
 */
export function parsePartName(key: string): PartName | undefined {
  const [, whole = "", digits = ""] = PART.exec(key) ?? [];
  return mayHaveParts(whole) ? { key: whole, number: Number(digits) } : undefined;
}

/** Whether the predecessor may have stored something under `key` in parts. */
function mayHaveParts(key: string): boolean {
  const checked = asKey(key);
  const parsed = checked && parseCopyKey(checked);
  if (parsed === undefined) return false;
  return parsed.media !== "binlog" || parsed.incarnation === undefined;
}

/** How the names of all parts of a copy begin. */
export function partPrefix(key: string): string {
  return `${key}/part-`;
}

/** Bytes that the server of a resumable upload has, by the header `range` of its answer: `bytes=0-262143` → 262144. */
export function storedBytes(range: string | undefined): number {
  if (range === undefined) return 0;
  const [, last] = /^bytes=0-(\d+)$/.exec(range.trim()) ?? [];
  return last === undefined ? Number.NaN : Number(last) + 1;
}

/** Where the bytes of an answer begin and how many they are: `bytes 5-9/100` → offset 5, bytes 5. */
export function contentRange(header: string | undefined): { offset: number; bytes: number } | undefined {
  const [, first, last] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(header?.trim() ?? "") ?? [];
  return first === undefined || last === undefined
    ? undefined
    : { offset: Number(first), bytes: Number(last) - Number(first) + 1 };
}

/** The folders above a name, outermost first: `a/b/c` → `a/`, `a/b/`. */
export function foldersOf(name: string): string[] {
  const folders: string[] = [];
  for (let end = name.indexOf("/"); end >= 0; end = name.indexOf("/", end + 1)) folders.push(name.slice(0, end + 1));
  return folders;
}

/** The least text that sorts after everything in a folder: `a/b/` → `a/b0`. */
export function behindFolder(folder: string): string {
  return `${folder.slice(0, -1)}0`;
}
