import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quoteShellWord, splitShellWords } from "../../../src/config/shell-words.ts";

/** What shlex.split() of Python 3.11 makes of each line; never rewrite it from our own output. */
const VECTORS = JSON.parse(readFileSync(new URL("../../golden/config/shell-words.json", import.meta.url), "utf8")) as [
  string,
  string[],
][];

describe("splitShellWords() splits as the predecessor:", () => {
  test.each(VECTORS)("%j", (line, words) => {
    expect(splitShellWords(line)).toEqual({ words });
  });
});

test("splitShellWords() refuses what does not end", () => {
  expect(splitShellWords("/a '/b")).toEqual({ problem: "a ' is not closed" });
  expect(splitShellWords('/a "/b\\"')).toEqual({ problem: 'a " is not closed' });
  expect(splitShellWords("/a\\")).toEqual({ problem: "it ends with a backslash" });
});

test("splitShellWords() gives back quoted words", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (words) => {
      expect(splitShellWords(words.map(quoteShellWord).join(" "))).toEqual({ words });
    }),
  );
});
