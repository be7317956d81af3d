import { array, assert, constantFrom, nat, oneof, pre, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  escapedKey,
  escapedPrefix,
  keyUnder,
  readVersion,
  spellingsOf,
  versionOf,
} from "../../../src/destination/az-names.ts";

const paths = oneof(
  array(constantFrom("/", "//", "a", "backups", "mysql ", "ü"), { maxLength: 6 }).map((parts) => parts.join("")),
  string({ maxLength: 12 }),
);
const keys = array(constantFrom("a", "backups", "h", "daily", "x y", "ü"), { minLength: 1, maxLength: 4 }).map(
  (parts) => parts.join("/"),
);

describe("spellingsOf()", () => {
  test.each([
    ["/", ["", "//", "/"]],
    ["", ["", "/"]],
    ["/backups/mysql", ["backups/mysql/", "/backups/mysql/"]],
    ["backups/mysql/", ["backups/mysql/", "backups/mysql//"]],
    ["backups/mysql", ["backups/mysql/"]],
    ["/a/", ["a/", "/a//", "a//", "/a/"]],
    ["//a", ["a/", "//a/", "/a/"]],
  ])("spellingsOf(%j) is %j", (path, expected) => {
    expect(spellingsOf(path)).toEqual(expected);
  });

  test("spellingsOf() begins with the tidy one, holds the predecessor's, and none twice", () => {
    assert(
      property(paths, (path) => {
        const spellings = spellingsOf(path);
        expect(spellings[0]).not.toMatch(/^\/|\/\//);
        expect(spellings).toContain(`${path}/`);
        expect(new Set(spellings).size).toBe(spellings.length);
      }),
    );
  });

  test("spellingsOf() gives names of the same components only", () => {
    assert(
      property(paths, keys, (path, key) => {
        const [tidy = "", ...others] = spellingsOf(path).map((spelling) => `${spelling}${key}`);
        for (const name of others) expect(name.split("/").filter(Boolean).join("/")).toBe(tidy);
      }),
    );
  });
});

describe("keyUnder()", () => {
  test("keyUnder() gives each blob to exactly one spelling, and its key back", () => {
    assert(
      property(paths, keys, (path, key) => {
        const spellings = spellingsOf(path);
        for (const spelling of spellings) {
          const found = spellings.map((one) => keyUnder(one, `${spelling}${key}`));
          expect(found.filter((one) => one !== undefined)).toEqual([key]);
          expect(keyUnder(spelling, `${spelling}${key}`)).toBe(key);
        }
      }),
    );
  });

  test("keyUnder() knows no key for other blobs, nor for the folder itself", () => {
    expect(keyUnder("backups/", "backup/h/x")).toBeUndefined();
    expect(keyUnder("backups/", "backups/")).toBeUndefined();
    expect(keyUnder("", "/h/x")).toBeUndefined();
  });
});

describe("escapedKey()", () => {
  const texts = array(constantFrom("\\", "%", "5C", "25", "5", "2", "C", "a", "5c"), {
    minLength: 1,
    maxLength: 8,
  }).map((parts) => parts.join(""));

  test.each([
    ["a\\b", "a%5Cb"],
    ["a%5Cb", "a%255Cb"],
    ["a%255Cb", "a%25255Cb"],
    ["100%.tar %20 %5c", "100%.tar %20 %5c"],
  ])("escapedKey(%j) is %j", (key, name) => {
    expect(escapedKey(key)).toBe(name);
  });

  test("escapedKey() gives names without a backslash, and keyUnder() turns them around", () => {
    assert(
      property(texts, (key) => {
        expect(escapedKey(key)).not.toContain("\\");
        expect(keyUnder("", escapedKey(key))).toBe(key);
      }),
    );
  });

  test("keyUnder() gives names without a backslash a key that is written so again", () => {
    assert(
      property(texts, (text) => {
        const name = text.replaceAll("\\", "b");
        expect(escapedKey(keyUnder("", name) ?? "")).toBe(name);
      }),
    );
  });

  test("escapedPrefix() is one of every key with that prefix", () => {
    assert(
      property(texts, texts, (prefix, rest) => {
        expect(escapedKey(`${prefix}${rest}`).startsWith(escapedPrefix(prefix))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("versionOf()", () => {
  test("readVersion() turns it around", () => {
    assert(
      property(nat(9), string({ minLength: 1 }), (place, etag) => {
        pre(!/[\n\r\u2028\u2029]/.test(etag));
        expect(readVersion(versionOf(place, etag))).toEqual({ place, etag });
      }),
    );
  });

  test.each(["", "0:", ":x", "x", "a:b"])("readVersion(%j) is undefined", (text) => {
    expect(readVersion(text)).toBeUndefined();
  });
});
