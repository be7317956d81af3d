import { expect, test } from "vitest";
import { explain } from "../../../src/cli/explain.ts";
import { Interruption } from "../../../src/cli/interruption.ts";
import { BackupError } from "../../../src/domain/errors.ts";

function failure(message: string, hint?: string): string {
  return explain(new BackupError("FAILED", message, { hint }));
}

test("explain() joins what is and what to do in one line", () => {
  expect(failure('Cannot open "x": it is shut', "Open it.")).toBe('Cannot open "x": it is shut. Open it.');
  expect(failure('Cannot open "x": did you mean "y"?', "Open it.")).toBe('Cannot open "x": did you mean "y"? Open it.');
  expect(failure('Cannot open "x": it is shut')).toBe('Cannot open "x": it is shut');
});

test("explain() puts what to do below a list", () => {
  expect(failure("Cannot open: 2 problems\n  one\n  two", "Open it.")).toBe(
    "Cannot open: 2 problems\n  one\n  two\n  Open it.",
  );
});

test("explain() sends no control character of a name to the terminal", () => {
  expect(failure('Cannot find "\u001b]0;owned\u0007"')).toBe('Cannot find "\\u001b]0;owned\\u0007"');
});

test("explain() says which signal ended the program, without a stack", () => {
  expect(explain(new Interruption("SIGTERM"))).toBe("ended by SIGTERM");
});

test("explain() shows the stack of a defect, and whatever else is thrown", () => {
  expect(explain(new TypeError("no such property"))).toMatch(/^TypeError: no such property\n {4}at /);
  expect(explain("a text")).toBe("a text");
});
