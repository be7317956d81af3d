import { BackupError } from "../domain/errors.ts";

/** `!include` and `!includedir`: where more options stand. The path is as written. */
export type Include = { readonly kind: "file" | "directory"; readonly path: string };

/** One option, such as `ssl-ca` of the group `client`; the value is `undefined` where the line has no `=`. */
export type Option = {
  readonly kind: "option";
  /** Lower case. */
  readonly group: string;
  /** As written, save that `_` reads `-`, and `loose-` is gone. */
  readonly name: string;
  readonly value: string | undefined;
};

/** What a line of an option file says. */
export type OptionLine = Option | Include;

/** What the servers and clients take for white space. */
const SPACE = " \t\n\v\f\r";

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  s: " ",
  '"': '"',
  "'": "'",
  "\\": "\\",
};

/**
 * Read the text of an option file as the servers, clients and backup tools do.
 * @throws {BackupError} CONFIG_INVALID for a file that these refuse; `path` names it.
 */
export function parseOptionFile(text: string, path: string): OptionLine[] {
  const found: OptionLine[] = [];
  let group: string | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const content = strip(raw);
    const refuse = (what: string) => unreadable(path, index + 1, what);
    if (content.includes("\0")) throw refuse("it holds a NUL byte");
    if (/^[#;]|^$/.test(content)) continue;
    if (content.startsWith("[")) {
      group = groupOf(content);
      if (group === undefined) throw refuse('its group has no "]"');
      continue;
    }
    const line = content.startsWith("!") ? includeOf(content) : optionOf(content, group);
    if (line === "homeless") throw refuse("it stands before the first [group]");
    if (line !== undefined) found.push(line);
  }
  return found;
}

/** The `!include` or `!includedir` of a line; `undefined` for any other line. */
export function includeOf(line: string): Include | undefined {
  const [, word, path] = /^!\s*(include|includedir)\s+(\S.*)$/.exec(strip(line)) ?? [];
  return path === undefined ? undefined : { kind: word === "include" ? "file" : "directory", path };
}

function unreadable(path: string, line: number, what: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot read line ${line} of "${path}": ${what}`, {
    hint: "Correct the line; the client programs of the server refuse such a file as well.",
  });
}

function groupOf(content: string): string | undefined {
  const end = content.indexOf("]");
  return end === -1 ? undefined : content.slice(1, end).trimEnd().toLowerCase();
}

function optionOf(line: string, group: string | undefined): Option | "homeless" {
  if (group === undefined) return "homeless";
  const content = withoutComment(line);
  const separator = content.indexOf("=");
  if (separator === -1) return { kind: "option", group, name: optionName(content), value: undefined };
  const name = optionName(content.slice(0, separator));
  return { kind: "option", group, name, value: readValue(content.slice(separator + 1)) };
}

/** `loose_ssl_ca ` → `ssl-ca`. */
export function optionName(text: string): string {
  return strip(text)
    .replaceAll("_", "-")
    .replace(/^loose-/, "");
}

/** A text between quotes, a character outside of them, or a quote that nothing closes, which reaches to the end. */
const PIECES = /(["'])(?:\\.|(?!\1)[^\\])*(?:\1|\\?$)|[^"']/gs;

/** A `#` begins a comment unless it stands between quotes, wherever these are. */
function withoutComment(line: string): string {
  const comment = [...line.matchAll(PIECES)].find(([piece]) => piece === "#");
  return line.slice(0, comment?.index);
}

/** Quotes count only around the whole value; an unknown escape stays as it is. */
function readValue(text: string): string {
  const value = strip(text);
  const isQuoted = value.length > 1 && /^["']/.test(value) && value.endsWith(value.charAt(0));
  const inner = isQuoted ? value.slice(1, -1) : value;
  return inner.replaceAll(/\\(.)/gs, (whole, character: string) => ESCAPES[character] ?? whole);
}

function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && SPACE.includes(text.charAt(start))) start += 1;
  while (end > start && SPACE.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
