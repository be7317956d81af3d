/** One `key = value`; the value is as written, its continuation lines joined by line feeds. */
type IniEntry = { readonly key: string; readonly value: string; readonly line: number };

/** A section in file order. Keys are lower case. */
export type IniSection = {
  readonly name: string;
  readonly line: number;
  readonly entries: ReadonlyMap<string, IniEntry>;
};

/** A line that cannot be read. `place` is the section, or the section and the key. */
type IniProblem = { readonly line: number; readonly place: string; readonly text: string };

/** A whole file. `defaults` holds the keys of `[DEFAULT]`, which every section inherits. */
export type IniText = {
  readonly sections: ReadonlyMap<string, IniSection>;
  readonly defaults: IniSection;
  readonly problems: readonly IniProblem[];
};

type OpenEntry = { key: string; parts: string[]; line: number };
type OpenSection = { name: string; line: number; entries: Map<string, OpenEntry> };

const DEFAULTS = "DEFAULT";

/**
 * Read INI text in the dialect of Python's `configparser`, which the predecessor used: `=` or `:` separates, whichever
 * comes first; keys ignore case, sections do not; only whole lines are comments; a line indented deeper than its key
 * continues the value. Values are not interpolated yet. A byte order mark and all three kinds of line end are accepted.
 */
export function parseIni(text: string): IniText {
  const reader = new IniReader();
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  for (const [index, line] of lines.entries()) reader.read(line, index + 1);
  return reader.finish();
}

class IniReader {
  readonly #sections = new Map<string, OpenSection>();
  readonly #defaults: OpenSection = { name: DEFAULTS, line: 0, entries: new Map() };
  readonly #problems: IniProblem[] = [];
  #section: OpenSection | undefined;
  #entry: OpenEntry | undefined;
  #indent = 0;

  read(line: string, number: number): void {
    const content = strip(line);
    if (content.includes("\0")) {
      this.#problem(number, "the line holds a NUL byte");
    } else if (content === "") {
      this.#entry?.parts.push("");
    } else if (!content.startsWith("#") && !content.startsWith(";")) {
      this.#readContent(content, indentOf(line), number);
    }
  }

  finish(): IniText {
    const sections = new Map([...this.#sections].map(([name, section]) => [name, closed(section)]));
    return { sections, defaults: closed(this.#defaults), problems: this.#problems };
  }

  #readContent(content: string, indent: number, line: number): void {
    if (this.#entry !== undefined && indent > this.#indent) {
      this.#entry.parts.push(content);
      return;
    }
    this.#indent = indent;
    const [, name, rest = ""] = /^\[([^\]]+)\]\s*(.*)$/s.exec(content) ?? [];
    if (name !== undefined) {
      this.#openSection(name, line);
      // The predecessor ignored such text; a setting must not get lost in it.
      if (/^[^#;]/.test(rest)) this.#problem(line, "text follows the section's name, it belongs in a line of its own");
    } else if (this.#section === undefined) this.#problem(line, "the line stands before the first [section]");
    else this.#openEntry(this.#section, content, line);
  }

  #openSection(name: string, line: number): void {
    const known = name === DEFAULTS ? this.#defaults : this.#sections.get(name);
    this.#section = known ?? { name, line, entries: new Map() };
    this.#entry = undefined;
    if (known === undefined) this.#sections.set(name, this.#section);
    else if (known !== this.#defaults) this.#problem(line, `the section stands in line ${known.line} already`);
  }

  #openEntry(section: OpenSection, content: string, line: number): void {
    const separator = content.search(/[=:]/);
    const key = strip(content.slice(0, Math.max(separator, 0))).toLowerCase();
    if (separator === -1) this.#problem(line, 'the line has no "=" after a key');
    else if (key === "") this.#problem(line, `the line has no key before "${content.charAt(separator)}"`);
    if (key === "") return;
    this.#entry = { key, parts: [strip(content.slice(separator + 1))], line };
    const known = section.entries.get(key);
    if (known === undefined) section.entries.set(key, this.#entry);
    else this.#problem(line, `the key stands in line ${known.line} already`, key);
  }

  #problem(line: number, text: string, key?: string): void {
    const section = this.#section === undefined ? "" : `[${this.#section.name}]`;
    this.#problems.push({ line, place: key === undefined ? section : `${section} ${key}`, text });
  }
}

function closed({ name, line, entries }: OpenSection): IniSection {
  const finished = [...entries.values()].map(({ key, parts, line }): [string, IniEntry] => {
    const value = parts.join("\n");
    return [key, { key, value: value.slice(0, endOf(value)), line }];
  });
  return { name, line, entries: new Map(finished) };
}

/** Python's idea of white space, which differs from that of `trim()` in six characters. */
function isSpace(character: string): boolean {
  return "\u001c\u001d\u001e\u001f\u0085".includes(character) || (character !== "\uFEFF" && /\s/.test(character));
}

function indentOf(line: string): number {
  let start = 0;
  while (start < line.length && isSpace(line.charAt(start))) start += 1;
  return start;
}

function endOf(line: string): number {
  let end = line.length;
  while (end > 0 && isSpace(line.charAt(end - 1))) end -= 1;
  return end;
}

function strip(line: string): string {
  return line.slice(indentOf(line), endOf(line));
}
