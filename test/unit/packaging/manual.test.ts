import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Entry, flat, program, type Word } from "../../../packaging/commands.ts";
import { commandPages, configPage, type Page, roff } from "../../../packaging/manual.ts";

const EDITION = { version: "4.0.0", date: "2026-11-21" };
const SAMPLE = readFileSync(new URL("../../../etc/twindb-backup.cfg", import.meta.url), "utf8");
const PAGES = commandPages(program(), EDITION);

const entries: readonly Entry[] = flat(program());

function pageOf({ words }: Entry): Page | undefined {
  return PAGES.find(({ file }) => file === `man1/${["twindb-backup", ...words].join("-")}.1`);
}

/** What a help of the program names: `--dst <dir>`, `<copy>`. */
function usagesIn(help: string): string[] {
  return help.split("\n").flatMap((line) => /^ {2}(-\S+(?:,? \S+)*)(?: {2,}|$)/.exec(line)?.[1] ?? []);
}

test("there is one page for each command, and it names each of its options and arguments", () => {
  expect(entries.length).toBeGreaterThan(25);
  expect(PAGES).toHaveLength(entries.length);
  for (const entry of entries) {
    const text = pageOf(entry)?.text ?? "";
    for (const { usage, meaning } of [...entry.options, ...(entry.words.length > 0 ? entry.arguments : [])]) {
      expect(text).toContain(`.B ${roff(usage)}\n${roff(meaning)}\n`);
    }
    for (const { words } of entry.below)
      expect(text).toContain(`.BR ${roff(["twindb-backup", ...words].join("-"))} (1)`);
  }
});

test("the tree that the pages are made of is that of the help", () => {
  const golden = new URL("../../golden/cli/", import.meta.url);
  for (const { words, options } of entries) {
    const help = readFileSync(new URL(`help-${words.join("-") || "twindb-backup"}.txt`, golden), "utf8");
    const named = options.map(({ usage }: Word) => usage);
    expect(named.toSorted()).toEqual(usagesIn(help).toSorted());
  }
});

test("the page of the config has every section and key of the sample", () => {
  const { text } = configPage(SAMPLE, EDITION);
  const sections = [...SAMPLE.matchAll(/^#?(\[[a-z_]+\])$/gm)].map(([, section]) => section);
  expect(sections.length).toBeGreaterThan(10);
  for (const section of sections) expect(text).toContain(`.SH ${section}\n`);
  const keys = [...SAMPLE.matchAll(/^#?([a-z_0-9]+ = )/gm)].map(([, key = ""]) => key);
  expect(keys.length).toBeGreaterThan(60);
  for (const key of keys) expect(text).toContain(`.TP\n.B ${roff(key)}`);
  expect(text).toContain(".B exclude_dirs = /home/lost+found \\(dq/home/build cache\\(dq\nDirectories below them");
});

describe.skipIf(spawnSync("man", ["--version"]).status !== 0)("man", () => {
  test("finds nothing to complain about, and shows quotes and dashes as they are typed", () => {
    const pages = [...PAGES, configPage(SAMPLE, EDITION)].map(({ text }) => text);
    const wide = { ...process.env, MANWIDTH: "200", LC_ALL: "C" };
    const words = ["--warnings", "--local-file", "-"];
    const shown = spawnSync("man", words, { input: pages.join("\n"), encoding: "utf8", env: wide });
    expect(shown).toMatchObject({ status: 0, stderr: "" });
    expect(shown.stdout).toContain("--replication-password-file <path>");
    expect(shown.stdout).toContain('/home/lost+found "/home/build cache"');
  });
});
