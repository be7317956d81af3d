import { expect, test } from "vitest";
import { secondsOf } from "../../../src/cli/duration.ts";

test.each([
  ["90s", 90],
  ["15m", 900],
  ["1h", 3600],
  ["7d", 604_800],
  ["3600", 3600],
])("secondsOf() reads %s", (text, seconds) => {
  expect(secondsOf(text)).toBe(seconds);
});

test.each(["", "0", "0h", "h", "1.5h", "-1h", "1 h", "1w", "1H", "9999999999"])("secondsOf() refuses %j", (text) => {
  expect(secondsOf(text)).toBeUndefined();
});
