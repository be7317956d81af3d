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

/** A block as it stands in a document, and how many lines it takes there. */
type Found = { readonly language: string; readonly lines: readonly string[]; readonly length: number };

/** A block between fences that begins with the first line, if any. */
function fenced([first = "", ...rest]: readonly string[]): Found | undefined {
  const [, indent = "", language] = /^( *)```(\S*)/.exec(first) ?? [];
  if (language === undefined) return undefined;
  const end = rest.indexOf(`${indent}\`\`\``);
  if (end === -1) throw new Error(`a block does not end: ${first} ${rest[0]}`);
  return { language, lines: rest.slice(0, end).map((line) => line.slice(indent.length)), length: end + 2 };
}

/** A block that is indented, behind an empty line. */
function indented(lines: readonly string[], before: string): Found | undefined {
  if (before.trim() !== "" || !/^ {4,}\S/.test(lines[0] ?? "")) return undefined;
  const end = lines.findIndex((line) => !/^ {4}/.test(line) && line.trim() !== "");
  const block = lines.slice(0, end === -1 ? lines.length : end);
  const text = block.join("\n").trimEnd().split("\n");
  return { language: "", lines: text.map((line) => line.trim()), length: block.length };
}

/** Every block of a document, fenced or indented, also those in lists. */
export function blocksIn(path: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split("\n");
  let heading = "";
  let number = 0;
  for (let at = 0; at < lines.length; ) {
    const [, title] = /^#+ (.*)$/.exec(lines[at] ?? "") ?? [];
    if (title !== undefined) [heading, number] = [title, 0];
    const rest = lines.slice(at);
    const found = fenced(rest) ?? indented(rest, lines[at - 1] ?? "");
    at += found?.length ?? 1;
    if (found === undefined) continue;
    number += 1;
    blocks.push({ id: `${path}: ${heading} ${number}`, language: found.language, text: `${found.lines.join("\n")}\n` });
  }
  return blocks;
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
    this.#blocks = new Map(
      documents().flatMap((path) => blocksIn(path, readProject(path)).map((block) => [block.id, block])),
    );
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
