import { expect, test } from "vitest";
import { exitStatusOf } from "../../../src/cli/exit-status.ts";
import { Interruption } from "../../../src/cli/interruption.ts";
import { BackupError, type ErrorCode, EXIT_STATUS } from "../../../src/domain/errors.ts";

test.each([
  ["FAILED", 1],
  ["PROGRAM_FAILED", 1],
  ["NO_SPACE", 1],
  ["ALREADY_EXISTS", 1],
  ["CONFLICT", 1],
  ["USAGE", 2],
  ["DATA_DAMAGED", 65],
  ["NOT_FOUND", 66],
  ["UNREACHABLE", 69],
  ["LOCKED", 75],
  ["NOT_PERMITTED", 77],
  ["CONFIG_INVALID", 78],
] as const)("exitStatusOf() gives %s the status %d, for ever", (code: ErrorCode, status) => {
  expect(exitStatusOf(new BackupError(code, "Cannot go on"))).toBe(status);
  expect(Object.keys(EXIT_STATUS)).toHaveLength(12);
});

test("exitStatusOf() gives a signal 128 more than its number, and a defect 1", () => {
  expect(exitStatusOf(new Interruption("SIGINT"))).toBe(130);
  expect(exitStatusOf(new Interruption("SIGTERM"))).toBe(143);
  expect(exitStatusOf(new TypeError("no such property"))).toBe(1);
});
