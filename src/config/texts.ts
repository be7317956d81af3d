import type { Findings } from "./findings.ts";
import type { IniSection, IniText } from "./ini-text.ts";
import { interpolate, referencesOf } from "./interpolation.ts";
import { nearest } from "./nearest.ts";
import { FREE_SECTION, keysOf, SECTION_NAMES, type SectionName, type Texts } from "./schema.ts";

/** Where the predecessor took quotes around a value for part of it. */
const VERBATIM_SECTIONS: ReadonlySet<string> = new Set([
  "source",
  "destination",
  "retention",
  "retention_local",
  "intervals",
  "export",
]);

/** Keys of those sections in which quotes mean something. */
const QUOTES_COUNT: ReadonlySet<string> = new Set(["backup_dirs", "exclude_dirs", "tar_options", "app_key", "api_key"]);

/**
 * The texts of a section, its own and those inherited from `[DEFAULT]`: interpolated, and without quotes where quotes
 * are not part of the value. Keys that mean nothing are left out.
 */
export function textsOf(ini: IniText, name: SectionName, findings: Findings): Texts {
  const section = ini.sections.get(name);
  if (section === undefined) return {};
  const lookup = lookupIn(ini, section);
  const texts: Record<string, string> = {};
  for (const key of keysOf(name)) {
    const raw = lookup(key);
    if (raw === undefined) continue;
    const result = interpolate(raw, lookup);
    if ("problem" in result) {
      findings.problem(name, key, result.problem);
      continue;
    }
    if (result.isAmbiguous) {
      findings.warning(name, key, "the value holds a lone %, so all of it is taken as it is; write every % as %%");
    }
    texts[key] = withoutQuotes(result.value, { name, key, findings });
  }
  return texts;
}

/** What the section of a user's own driver says, as written: nothing is interpolated, and quotes belong to the value. */
export function freeTextsOf(ini: IniText): Texts {
  const entries = ini.sections.get(FREE_SECTION)?.entries.values() ?? [];
  return Object.fromEntries([...entries].map(({ key, value }) => [key, value]));
}

/** Note every section and key that means nothing here, with the name that was probably meant. */
export function findUnknown(ini: IniText, findings: Findings): void {
  for (const section of ini.sections.values()) {
    if (section.name === FREE_SECTION) continue;
    const name = SECTION_NAMES.find((known) => known === section.name);
    if (name === undefined) findings.problem(section.name, undefined, unknownSection(section.name));
    else findUnknownKeys(ini, { section, known: keysOf(name) }, findings);
  }
  const everyKey = new Set(SECTION_NAMES.flatMap(keysOf));
  const referred = [...ini.sections.values()].flatMap((section) => [...referencesIn(section)]);
  findUnknownKeys(ini, { section: ini.defaults, known: [...everyKey, ...referred] }, findings);
}

function unknownSection(name: string): string {
  const close = nearest(name.trim().toLowerCase(), [...SECTION_NAMES, FREE_SECTION, "DEFAULT"]);
  return `unknown section${close === undefined ? "" : `, did you mean [${close}]?`}`;
}

function findUnknownKeys(
  ini: IniText,
  { section, known }: { section: IniSection; known: readonly string[] },
  findings: Findings,
): void {
  const used = new Set([...known, ...referencesIn(section), ...referencesIn(ini.defaults)]);
  for (const key of section.entries.keys()) {
    if (!used.has(key)) findings.problem(section.name, key, unknownKey(key, known));
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const close = nearest(key, known);
  if (close !== undefined) return `unknown key, did you mean "${close}"?`;
  const homes = SECTION_NAMES.filter((name) => keysOf(name).includes(key)).map((name) => `[${name}]`);
  return homes.length === 0 ? "unknown key" : `unknown key here, it belongs in ${homes.join(" or ")}`;
}

function referencesIn(section: IniSection): Set<string> {
  return new Set([...section.entries.values()].flatMap(({ value }) => referencesOf(value)));
}

function lookupIn(ini: IniText, section: IniSection): (key: string) => string | undefined {
  return (key) => (section.entries.get(key) ?? ini.defaults.entries.get(key))?.value;
}

type Place = { readonly name: SectionName; readonly key: string; readonly findings: Findings };

function withoutQuotes(value: string, { name, key, findings }: Place): string {
  if (!VERBATIM_SECTIONS.has(name)) return value.replace(/^['"]+/, "").replace(/['"]+$/, "");
  const quoted = QUOTES_COUNT.has(key) ? undefined : /^(["'])(.*)\1$/s.exec(value)?.[2];
  if (quoted === undefined) return value;
  findings.warning(name, key, "the quotes are ignored, write the value without them");
  return quoted;
}
