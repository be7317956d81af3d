import { expect, test } from "vitest";
import { formatPause, isPaused, newPause, parsePause } from "../../../src/domain/pause.ts";
import { at } from "../../support/copies.ts";

const PAUSE = { until: at(2), since: at(1), by: "root@db7" };
const HOUR = 3_600_000;

test("isPaused() holds from now until its end", () => {
  expect(isPaused(undefined, at(1))).toBe(false);
  expect(isPaused(PAUSE, at(1, 23))).toBe(true);
  expect(isPaused(PAUSE, at(2))).toBe(false);
});

test("isPaused() lets runs go on when the clock says that a pause is longer than any", () => {
  expect(isPaused(PAUSE, new Date(at(2).getTime() - 30 * 24 * HOUR))).toBe(true);
  expect(isPaused(PAUSE, new Date(at(2).getTime() - 31 * 24 * HOUR))).toBe(false);
});

test("newPause() refuses more than 30 days", () => {
  const now = at(1);
  const after = (days: number) => new Date(now.getTime() + days * 24 * HOUR);
  expect(newPause(after(30), { now, by: "root@db7" })).toEqual({ until: after(30), since: now, by: "root@db7" });
  expect(() => newPause(after(30.01), { now, by: "" })).toThrow(expect.objectContaining({ code: "USAGE" }) as Error);
});

test("parsePause() reads what formatPause() wrote, and nothing else", () => {
  expect(parsePause(formatPause(PAUSE))).toEqual(PAUSE);
  for (const text of [
    "",
    "null",
    "[]",
    "{}",
    '{"until": 1}',
    '{"until": "soon", "since": "now"}',
    formatPause(PAUSE).slice(5),
  ])
    expect(parsePause(text)).toBeUndefined();
});
