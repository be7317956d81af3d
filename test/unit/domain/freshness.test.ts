import { assert, constantFrom, double, property, uniqueArray } from "fast-check";
import { expect, test } from "vitest";
import { lateRuns, limitsOf, PERIOD_SECONDS, type Run } from "../../../src/domain/freshness.ts";
import { INTERVALS, type Interval } from "../../../src/domain/interval.ts";
import { at } from "../../support/copies.ts";

const run = (interval: Interval, startedAt: Date, good = true): Run => ({ interval, startedAt, good });

test("lateRuns() expects what is there: each run type that left a copy once", () => {
  expect(lateRuns([], at(9))).toEqual([]);
  expect(lateRuns([run("daily", at(8))], at(9))).toEqual([]);
  expect(lateRuns([run("daily", at(7))], at(9))).toEqual([{ interval: "daily", ageSeconds: 2 * 86_400 }]);
});

test("lateRuns() names a longer type that stopped while a shorter one goes on", () => {
  const runs = [run("daily", at(5)), run("hourly", at(9))];
  expect(lateRuns(runs, at(9, 1))).toEqual([{ interval: "daily", ageSeconds: 4 * 86_400 + 3600 }]);
});

test("lateRuns() takes a copy of any type for one of the shortest", () => {
  expect(lateRuns([run("hourly", at(8)), run("daily", at(9))], at(9, 1))).toEqual([]);
});

test("lateRuns() counts good copies only", () => {
  const runs = [run("daily", at(6)), run("daily", at(9), false)];
  expect(lateRuns(runs, at(9, 1))).toEqual([{ interval: "daily", ageSeconds: 3 * 86_400 + 3600 }]);
  expect(lateRuns([run("weekly", at(9), false)], at(9))).toEqual([{ interval: "weekly", ageSeconds: undefined }]);
});

test("lateRuns() is silent as long as every run type goes on, and never before half a period has passed", () => {
  const interval = constantFrom(...INTERVALS);
  assert(
    property(uniqueArray(interval, { minLength: 1 }), double({ min: 0, max: 1.5, noNaN: true }), (seen, part) => {
      const now = at(9);
      const runs = seen.map((each) => run(each, new Date(now.getTime() - PERIOD_SECONDS[each] * part * 1000)));
      expect(lateRuns(runs, now)).toEqual([]);
    }),
  );
});

test("limitsOf() leaves a daily copy a day and a half", () => {
  expect(limitsOf("daily")).toEqual({ warning: 36 * 3600, critical: 72 * 3600 });
});
