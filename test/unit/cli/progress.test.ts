import { expect, test } from "vitest";
import { progressLine } from "../../../src/cli/progress.ts";

const MIB = 1024 * 1024;

test.each([
  ["nothing yet", { bytes: 0, seconds: 0, expected: undefined }, "/etc  0 B  0 B/s  0:00"],
  ["an unknown size", { bytes: 10 * MIB, seconds: 5, expected: undefined }, "/etc  10 MiB  2.0 MiB/s  0:05"],
  ["a known size", { bytes: 10 * MIB, seconds: 5, expected: 40 * MIB }, "/etc  10 MiB  2.0 MiB/s  25 %  ETA 0:15"],
  ["more than was expected", { bytes: 10 * MIB, seconds: 5, expected: MIB }, "/etc  10 MiB  2.0 MiB/s  99 %  ETA 0:00"],
  ["an empty copy before", { bytes: 10 * MIB, seconds: 5, expected: 0 }, "/etc  10 MiB  2.0 MiB/s  0:05"],
])("progressLine() with %s", (_what, facts, line) => {
  expect(progressLine({ label: "/etc", ...facts })).toBe(line);
});
