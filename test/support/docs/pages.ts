import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LEDGER } from "./ledger.ts";

const HOME = new URL("../../../", import.meta.url).pathname;

/** One block of code of a document. */
export type Block = {
  /** Document, heading and number below that heading: `docs/restore.md: By hand 1`. */
  readonly id: string;
  /** First word behind the fence; "" for an indented block. */
  readonly language: string;
  readonly text: string;
};

/** README.md and every document of docs/. */
export function documents(): string[] {
  const docs = readdirSync(`${HOME}docs`).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.sort().map((name) => `docs/${name}`)];
}

/** Text of a file of this project. */
export function readProject(path: string): string {
  return readFileSync(`${HOME}${path}`, "utf8");
}

/** Every block of a document, fenced or indented, also those in lists. */
export function blocksIn(path: string, markdown: string = readProject(path)): Block[] {
  const found: Block[] = [];
  let heading = "";
  let number = 0;
  const add = (language: string, lines: readonly string[]) => {
    number += 1;
    found.push({ id: `${path}: ${heading} ${number}`, language, text: `${lines.join("\n")}\n` });
  };
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const [, title] = /^#+ (.*)$/.exec(line) ?? [];
    const [, indent = "", language] = /^( *)```(\S*)/.exec(line) ?? [];
    if (title !== undefined) [heading, number] = [title, 0];
    else if (language !== undefined) {
      const end = lines.indexOf(`${indent}\`\`\``, at + 1);
      if (end === -1) throw new Error(`${path}: a block below "${heading}" does not end`);
      add(
        language,
        lines.slice(at + 1, end).map((each) => each.slice(indent.length)),
      );
      at = end;
    } else if (/^ {4,}\S/.test(line) && lines[at - 1]?.trim() === "") {
      const rest = lines.slice(at);
      const length = rest.findIndex((each) => !/^ {4}/.test(each) && each.trim() !== "");
      const block = rest.slice(0, length === -1 ? rest.length : length);
      add(
        "",
        block
          .join("\n")
          .trimEnd()
          .split("\n")
          .map((each) => each.trim()),
      );
      at += block.length - 1;
    }
  }
  return found;
}

/** The names in the first column of a table. */
export function namesIn(markdown: string): string[] {
  const rows = markdown.matchAll(/^\| (`[^|]*`) \|/gm);
  return [...rows].flatMap(([, cell = ""]) => [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, name = ""]) => name));
}

/** The blocks that the ledger gives to one test, and which of them it has had so far. */
export class Pages {
  readonly #own: ReadonlySet<string>;
  readonly #left: Set<string>;
  readonly #blocks: ReadonlyMap<string, Block>;

  /** @param url of the test. */
  constructor(url: string) {
    const test = fileURLToPath(url).slice(HOME.length);
    this.#own = new Set(LEDGER[test]);
    this.#left = new Set(this.#own);
    this.#blocks = new Map(documents().flatMap((path) => blocksIn(path).map((block) => [block.id, block])));
  }

  /** Text of a block, which counts as held from now on. @throws when the document has none of that name, or the ledger gives it to another. */
  take(id: string): string {
    const block = this.#blocks.get(id);
    if (block === undefined) throw new Error(`there is no block "${id}"`);
    if (!this.#own.has(id)) throw new Error(`the ledger gives "${id}" to another test`);
    this.#left.delete(id);
    return block.text;
  }

  /** The blocks that were not taken. */
  left(): string[] {
    return [...this.#left];
  }
}
