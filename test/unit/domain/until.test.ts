import { expect, test } from "vitest";
import { parseUntil } from "../../../src/domain/until.ts";

const NOW = new Date(2026, 10, 21, 12, 0, 0);

test.each([
  ["2026-12-31T18:00:00Z", new Date("2026-12-31T18:00:00Z")],
  ["2026-12-31t18:00z", new Date("2026-12-31T18:00:00Z")],
  ["2026-12-31T18:00:00.75+02:00", new Date("2026-12-31T16:00:00Z")],
  ["2026-12-31", new Date(2026, 11, 31, 23, 59, 59)],
  // Today is not over yet.
  ["2026-11-21", new Date(2026, 10, 21, 23, 59, 59)],
  ["90m", new Date(2026, 10, 21, 13, 30, 0)],
  ["4h", new Date(2026, 10, 21, 16, 0, 0)],
  ["2d", new Date(NOW.getTime() + 2 * 86_400_000)],
])("parseUntil() reads %s", (text, expected) => {
  expect(parseUntil(text, NOW)).toEqual(expected);
});

test.each([
  "",
  "soon",
  "4",
  "4 h",
  "-4h",
  "0h",
  "2026-02-30",
  "2027-02-30T00:00:00Z",
  "2027-01-01T25:00:00Z",
  "2027-01-01T00:00:00",
  "2027-01-01 00:00:00Z",
  "2026-11-20",
  "2026-11-21T00:00:00Z",
  "01/02/2027",
])('parseUntil() refuses "%s"', (text) => {
  expect(() => parseUntil(text, NOW)).toThrow(expect.objectContaining({ code: "USAGE" }) as Error);
});
