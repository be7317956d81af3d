import { BackupError } from "../domain/errors.ts";
import type { IniText } from "./ini-text.ts";

/** Something said about a line of the file; `line` is `undefined` when no line can be named. */
type Finding = { readonly line: number | undefined; readonly place: string; readonly text: string };

/** Every problem of a config, so that one correction suffices. */
export class ConfigError extends BackupError {
  override readonly name: string = "ConfigError";
  /** One line each, such as `line 12: [retention] dialy_copies: unknown key, did you mean "daily_copies"?`. */
  readonly problems: readonly string[];

  constructor(path: string, problems: readonly string[]) {
    const all = problems.length === 1 ? problems.join() : [`${problems.length} problems`, ...problems].join("\n  ");
    super("CONFIG_INVALID", `Cannot load "${path}": ${all}`, { hint: "Correct the config file." });
    this.problems = problems;
  }
}

/** Collects what is wrong (problems) or odd (warnings) in one file. */
export class Findings {
  readonly #ini: IniText;
  readonly #problems: Finding[];
  readonly #warnings: Finding[] = [];

  constructor(ini: IniText) {
    this.#ini = ini;
    this.#problems = [...ini.problems];
  }

  /** Note what makes the config unusable. */
  problem(section: string, key: string | undefined, text: string): void {
    this.#problems.push(this.#finding(section, key, text));
  }

  /** Note that a key is needed, unless something was found wrong with it, or its section is missing, already. */
  missing(section: string, key: string, text: string): void {
    if (!this.#ini.sections.has(section)) return;
    const finding = this.#finding(section, key, text);
    if (!this.#problems.some(({ place }) => place === finding.place)) this.#problems.push(finding);
  }

  /** Note what the user should change although the config is used. */
  warning(section: string, key: string | undefined, text: string): void {
    this.#warnings.push(this.#finding(section, key, text));
  }

  /** One line each, in file order. */
  get problems(): string[] {
    return inFileOrder(this.#problems);
  }

  /** One line each, in file order. */
  get warnings(): string[] {
    return inFileOrder(this.#warnings);
  }

  #finding(section: string, key: string | undefined, text: string): Finding {
    const found = section === this.#ini.defaults.name ? this.#ini.defaults : this.#ini.sections.get(section);
    const inherited = this.#ini.defaults.entries.get(key ?? "");
    const line = found && (found.entries.get(key ?? "") ?? inherited ?? found).line;
    return { line, place: placeOf(section, key), text };
  }
}

/** The rest of a secret that was broken over two lines looks like a key: show names only. */
function placeOf(section: string, key: string | undefined): string {
  if (key === undefined) return `[${section}]`;
  return `[${section}] ${/^[\w. -]{1,40}$/.test(key) ? key : "(not shown)"}`;
}

function inFileOrder(findings: readonly Finding[]): string[] {
  return [...findings]
    .sort((a, b) => (a.line ?? Number.MAX_SAFE_INTEGER) - (b.line ?? Number.MAX_SAFE_INTEGER))
    .map(render);
}

function render({ line, place, text }: Finding): string {
  return [line === undefined ? "" : `line ${line}`, place, text].filter((part) => part !== "").join(": ");
}
