import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { shellCommand, shellQuote } from "../../../src/lib/shell-quote.ts";

const WORDS = [
  "plain",
  "two words",
  "it's",
  "$(id)",
  "`id`",
  "-rf",
  'a"b',
  "a\\b",
  "wow!",
  "*",
  "",
  "~",
  "a;b&c|d",
  "é",
];

test.each(WORDS)("shellQuote() passes %j through a shell as one word", (word) => {
  const out = execFileSync("/bin/sh", ["-c", `printf %s ${shellQuote(word)}`], { encoding: "utf8" });
  expect(out).toBe(word);
});

test("shellCommand() gives a script its arguments exactly", () => {
  const line = shellCommand(`for word in "$@"; do printf '%s|' "$word"; done`, WORDS);
  expect(execFileSync("/bin/bash", ["-c", line], { encoding: "utf8" })).toBe(`${WORDS.join("|")}|`);
});

test("shellQuote() leaves no backslash or exclamation mark between the quotes", () => {
  expect(shellQuote("a\\b!c'd")).toBe(String.raw`'a'\\'b'\!'c'\''d'`);
});
