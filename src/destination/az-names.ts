/** Where the blobs of a destination are: texts that come before the key, the first of them for new blobs. */
export type Spellings = readonly [string, ...string[]];

/**
 * The prefixes under which blobs of a remote path may be, each once, such as `["", "//", "/"]` for `/`.
 *
 * The predecessor puts one more slash behind the path and tidies nothing: `/` gives `//HOST/…`, `/a` gives `/a/HOST/…`, `a/` gives
 * `a//HOST/…`. Some of its clients lose slashes at the front. New blobs get the tidy one.
 */
export function spellingsOf(remotePath: string): Spellings {
  const tidy = remotePath.split("/").filter(Boolean).join("/");
  const canonical = tidy === "" ? "" : `${tidy}/`;
  const raw = `${remotePath}/`;
  const leading = raw.length - raw.replace(/^\/+/, "").length;
  const shortened = Array.from({ length: leading }, (_, count) => raw.slice(count + 1));
  const others = [raw, ...shortened, ...(leading > 0 ? [`/${canonical}`] : [])];
  return [canonical, ...new Set(others.filter((spelling) => spelling !== canonical))];
}

/** The key of a blob under a spelling; `undefined` when the blob belongs to another one, or to nobody. */
export function keyUnder(spelling: string, name: string): string | undefined {
  if (!name.startsWith(spelling)) return undefined;
  const key = name.slice(spelling.length);
  return key === "" || key.startsWith("/") ? undefined : readEscaped(key);
}

/**
 * How a key is written in the name of a blob. Azure turns `\` into `/`, so it is written as `%5C`, and where a key holds that text
 * already it becomes `%255C`, and so on. Other keys stay as they are.
 */
export function escapedKey(key: string): string {
  return key.replace(/%((?:25)*5C)/g, "%25$1").replaceAll("\\", "%5C");
}

/** A text with which the escaped forms of all keys start that start with `prefix`. */
export function escapedPrefix(prefix: string): string {
  return escapedKey(prefix.replace(/%[25]*$/, "%"));
}

function readEscaped(text: string): string {
  return text.replace(/%(25)?((?:25)*5C)/g, (_, again: string | undefined, rest: string) =>
    again === undefined ? "\\" : `%${rest}`,
  );
}

/** A version that tells where the object was found as well: what is replaced is replaced there. */
export function versionOf(place: number, etag: string): string {
  return `${place}:${etag}`;
}

/** Turn `versionOf()` around; `undefined` when the text is none of its versions. */
export function readVersion(version: string): { readonly place: number; readonly etag: string } | undefined {
  const match = /^(\d+):(.+)$/.exec(version);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { place: Number(match[1]), etag: match[2] };
}
