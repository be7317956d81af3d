/** A tag that opens an element. */
export type Tag = { readonly name: string; readonly attributes: Readonly<Record<string, string>> };

const VOID = new Set(["meta", "input", "br", "path"]);

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

function decoded(text: string): string {
  if (/[<>]/.test(text)) throw new Error(`a bare bracket in: ${text}`);
  return text.replaceAll(/&([^;]*;?)/g, (whole, name: string) => {
    const character = name.endsWith(";") ? ENTITIES[name.slice(0, -1)] : undefined;
    if (character === undefined) throw new Error(`no entity: ${whole}`);
    return character;
  });
}

function attributesOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  const rest = text.replaceAll(/\s([a-z][A-Za-z0-9-]*)(?:="([^"<>]*)")?(?=[\s/]|$)/g, (_, name: string, value = "") => {
    if (name in found) throw new Error(`${name} comes twice in: ${text}`);
    found[name] = decoded(String(value));
    return "";
  });
  if (rest.replace("/", "").trim() !== "") throw new Error(`no attributes: ${text}`);
  return found;
}

/**
 * The tags of a page of ours, which is stricter than HTML has to be: every element is closed in order, every value is quoted, every bracket and
 * ampersand of a text is an entity.
 * @throws {Error} where that is not so.
 */
export function tagsOf(page: string): Tag[] {
  const tags: Tag[] = [];
  const open: string[] = [];
  // What a style or a script holds is no markup.
  const text = page.replaceAll(/(<(style|script)>)[^]*?(<\/\2>)/g, "$1$3").replace("<!doctype html>", "");
  let at = 0;
  for (const match of text.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
    const [whole, slash, name = "", rest = ""] = match;
    decoded(text.slice(at, match.index));
    at = match.index + whole.length;
    if (slash === "/") {
      const last = open.pop();
      if (last !== name) throw new Error(`</${name}> closes <${String(last)}>`);
      continue;
    }
    tags.push({ name, attributes: attributesOf(rest) });
    if (!VOID.has(name)) open.push(name);
  }
  decoded(text.slice(at));
  if (open.length > 0) throw new Error(`never closed: ${open.join()}`);
  return tags;
}
