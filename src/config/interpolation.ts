/** A value ready to use, or what is wrong with it. */
export type Interpolated = { readonly value: string; readonly isAmbiguous: boolean } | { readonly problem: string };

const REFERENCE = /%\(([^)]+)\)s/g;
const TOKEN = /%%|%\(([^)]+)\)s/g;
/** As deep as the predecessor followed references. */
const MAX_DEPTH = 10;

/** The keys a raw value refers to as `%(key)s`, in lower case. */
export function referencesOf(raw: string): string[] {
  return [...raw.matchAll(REFERENCE)].map(([, name = ""]) => name.toLowerCase());
}

/**
 * Replace `%%` by `%` and `%(key)s` by the value of that key, which `lookup` returns raw.
 *
 * A value with any other `%` (secret keys have them) stopped the predecessor; here it is taken as it is, all of it.
 * `isAmbiguous` tells that such a value also holds `%%` or a reference, which then stay too.
 */
export function interpolate(raw: string, lookup: (key: string) => string | undefined, depth = 1): Interpolated {
  if (!raw.includes("%")) return { value: raw, isAmbiguous: false };
  if (depth > MAX_DEPTH) return { problem: "its %(key)s refer to one another without end" };
  if (raw.replaceAll(TOKEN, "").includes("%")) return { value: raw, isAmbiguous: raw.search(TOKEN) !== -1 };

  let value = "";
  let isAmbiguous = false;
  let end = 0;
  for (const token of raw.matchAll(TOKEN)) {
    const part = replacement(token[1], lookup, depth);
    if ("problem" in part) return part;
    value += raw.slice(end, token.index) + part.value;
    isAmbiguous ||= part.isAmbiguous;
    end = token.index + token[0].length;
  }
  return { value: value + raw.slice(end), isAmbiguous };
}

function replacement(
  name: string | undefined,
  lookup: (key: string) => string | undefined,
  depth: number,
): Interpolated {
  if (name === undefined) return { value: "%", isAmbiguous: false };
  const raw = lookup(name.toLowerCase());
  if (raw === undefined) {
    return { problem: `it refers to ${JSON.stringify(name)}, which is not set; a plain % is written %%` };
  }
  return interpolate(raw, lookup, depth + 1);
}
