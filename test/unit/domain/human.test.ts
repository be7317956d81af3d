import { expect, test } from "vitest";
import { clockSeconds, humanAge, humanBytes, humanSeconds, humanTime, printable } from "../../../src/domain/human.ts";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 KiB"],
  [10_240, "10 KiB"],
  [1_023_999, "1000 KiB"],
  [1_048_576, "1.0 MiB"],
  [5e15, "4.4 PiB"],
  [5e19, "44409 PiB"],
])("humanBytes() writes %d as %s", (bytes, text) => {
  expect(humanBytes(bytes)).toBe(text);
});

test.each([
  [-5, "0 s"],
  [0.9, "0 s"],
  [59, "59 s"],
  [60, "1 min"],
  [3599, "59 min"],
  [7199, "1 h"],
  [86_400, "1 d"],
  [8_640_000, "100 d"],
])("humanSeconds() writes %d as %s", (seconds, text) => {
  expect(humanSeconds(seconds)).toBe(text);
});

test("clockSeconds() pads minutes and seconds", () => {
  expect([0, 61, 3661, -1].map(clockSeconds)).toEqual(["0:00", "1:01", "1:01:01", "0:00"]);
});

test("humanTime() is local, to the second", () => {
  expect(humanTime(new Date(2026, 0, 2, 3, 4, 5))).toBe("2026-01-02 03:04:05");
});

test("printable() shows control characters instead of sending them", () => {
  expect(printable("a\u001b[2Jb\n\u009bgrün日本")).toBe("a\\u001b[2Jb\\n\\u009bgrün日本");
});

test.each([
  [-5, "0 s"],
  [179, "179 s"],
  [180, "3 min"],
  [10_799, "179 min"],
  [133_200, "37 h"],
  [259_200, "3 d"],
])("humanAge() writes %d as %s", (seconds, text) => {
  expect(humanAge(seconds)).toBe(text);
});
