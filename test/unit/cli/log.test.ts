import { expect, test } from "vitest";
import { createLog } from "../../../src/cli/log.ts";
import { redactor } from "../../../src/cli/redactor.ts";
import { Secret } from "../../../src/domain/secret.ts";

function logged(level: "debug" | "info" | "warn"): string[] {
  const lines: string[] = [];
  const log = createLog({ level, redact: redactor([new Secret("hunter22")]), write: (text) => void lines.push(text) });
  log.debug("one");
  log.info("two");
  log.warn('three "hunter22"');
  return lines;
}

test("createLog() writes one line each, with the local time, and no secret", () => {
  expect(logged("debug")).toEqual([
    expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d DEBUG: one\n$/),
    expect.stringMatching(/ INFO: two\n$/),
    expect.stringMatching(/ WARNING: three "\[hidden\]"\n$/),
  ]);
});

test("createLog() leaves out what is below its level", () => {
  expect(logged("info")).toHaveLength(2);
  expect(logged("warn")).toHaveLength(1);
});

test("redactor() hides every occurrence of every secret, and leaves ordinary short words alone", () => {
  const redact = redactor([new Secret("hunter22"), new Secret("a.b*c"), new Secret("no")]);
  expect(redact("hunter22 a.b*c hunter22 axbbc no")).toBe("[hidden] [hidden] [hidden] axbbc no");
});
