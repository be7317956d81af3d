import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type IniSection, parseIni } from "../../../src/config/ini-text.ts";
import { interpolate } from "../../../src/config/interpolation.ts";

type Vector = { name: string; text: string; sections: Record<string, [string, string][]> };

/** What configparser of Python 3.11 makes of each text; never rewrite it from our own output. */
const VECTORS = JSON.parse(
  readFileSync(new URL("../../golden/config/dialect.json", import.meta.url), "utf8"),
) as Vector[];

/** Sections as sorted lists of key and value, the inherited keys included. */
function valuesOf(text: string): Record<string, [string, string][]> {
  const { sections, defaults, problems } = parseIni(text);
  expect(problems).toEqual([]);
  return Object.fromEntries([...sections].map(([name, section]) => [name, entriesOf(section, defaults)]));
}

function entriesOf(section: IniSection, defaults: IniSection): [string, string][] {
  const raw = new Map([...defaults.entries, ...section.entries]);
  return [...raw.keys()].sort().map((key) => {
    const result = interpolate(raw.get(key)?.value ?? "", (other) => raw.get(other)?.value);
    return [key, "value" in result ? result.value : result.problem];
  });
}

function sorted(sections: Vector["sections"]): Vector["sections"] {
  return Object.fromEntries(
    Object.entries(sections).map(([name, entries]) => [name, entries.sort(([a], [b]) => (a < b ? -1 : 1))]),
  );
}

describe("parseIni() reads as the predecessor:", () => {
  test.each(VECTORS)("$name", ({ text, sections }) => {
    expect(valuesOf(text)).toEqual(sorted(sections));
  });
});

test("parseIni() skips a byte order mark", () => {
  expect(valuesOf("\uFEFF[ssh]\nport = 1\n")).toEqual({ ssh: [["port", "1"]] });
});

test("parseIni() knows the line of every section and key", () => {
  const { sections } = parseIni("# one\n[a]\n\nx = 1\n  2\ny = 3\r\n[b]\rz = 4");
  const places = [...sections.values()].flatMap(({ name, line, entries }) => [
    `${name}:${line}`,
    ...[...entries.values()].map((entry) => `${entry.key}:${entry.line}`),
  ]);
  expect(places).toEqual(["a:2", "x:4", "y:6", "b:7", "z:8"]);
});

test("parseIni() reports every bad line, and goes on", () => {
  const { problems, sections } = parseIni("early\n[a]\nx = 1\nX: 2\nlonely\n= 3\n[a]\ny = 4\n[b] c = 5\nz = 0\0\n");
  expect(problems.map(({ line, place, text }) => `${line} ${place} ${text}`)).toEqual([
    "1  the line stands before the first [section]",
    "4 [a] x the key stands in line 3 already",
    '5 [a] the line has no "=" after a key',
    '6 [a] the line has no key before "="',
    "7 [a] the section stands in line 2 already",
    "9 [b] text follows the section's name, it belongs in a line of its own",
    "10 [b] the line holds a NUL byte",
  ]);
  expect([...(sections.get("a")?.entries.values() ?? [])].map(({ value }) => value)).toEqual(["1", "4"]);
});

test("parseIni() never repeats a line that it cannot read", () => {
  const problems = parseIni("[s3]\naws_secret_access_key = abc\nSecretRest+/xyz\n").problems;
  expect(problems).toHaveLength(1);
  expect(JSON.stringify(problems)).not.toContain("SecretRest");
});

const NAME = fc.stringMatching(/^[a-zA-Z_][\w .-]{0,10}[\w]$/);
const VALUE_LINE = fc
  .string({ unit: "binary", maxLength: 20 })
  .map((text) => text.replaceAll(/[\p{Z}\p{Cc}\uFEFF]/gu, "·").replace(/^[#;]/, "·"));
const VALUE = fc
  .tuple(VALUE_LINE, fc.array(VALUE_LINE, { maxLength: 3 }))
  .map((lines) => lines.flat().join("\n").replace(/\n+$/, ""));
const SECTIONS = fc.uniqueArray(
  fc.tuple(
    NAME.filter((name) => name !== "DEFAULT"),
    fc.uniqueArray(
      fc.tuple(
        NAME.map((name) => name.toLowerCase()),
        VALUE,
      ),
      { selector: ([key]) => key, maxLength: 5 },
    ),
  ),
  { selector: ([name]) => name, maxLength: 5 },
);

type Layout = { readonly separator: string; readonly lineEnd: string };

function format(sections: [string, [string, string][]][], { separator, lineEnd }: Layout): string {
  const lines = sections.flatMap(([name, entries]) => [
    `[${name}]`,
    ...entries.map(([key, value]) => key + separator + value.replaceAll("%", "%%").replaceAll("\n", `${lineEnd} `)),
  ]);
  return lines.join(lineEnd) + lineEnd;
}

test("parseIni() gives back what was written", () => {
  const layout = fc.record({
    separator: fc.constantFrom("=", " = ", ":", ":\t"),
    lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
  });
  fc.assert(
    fc.property(SECTIONS, layout, (sections, how) => {
      expect(valuesOf(format(sections, how))).toEqual(sorted(Object.fromEntries(sections)));
    }),
  );
});
