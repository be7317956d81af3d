import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordMeasure } from "../../../src/job/measures.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "measures-test-"));
  path = join(directory, "measures.log");
});
afterEach(() => rmSync(directory, { recursive: true }));

function measures(): unknown[] {
  return (JSON.parse(readFileSync(path, "utf8")) as { measures: unknown[] }).measures;
}

test("recordMeasure() appends in seconds, and keeps the newest hundred", async () => {
  for (let second = 0; second < 103; second++)
    await recordMeasure(path, new Date(second * 1000), new Date(second * 1000 + 2500));
  expect(measures()).toHaveLength(100);
  expect(measures()[0]).toEqual({ start: 3, finish: 5.5, duration: 2.5 });
  expect(readdirSync(directory)).toEqual(["measures.log"]);
});

test.each(["", "{", '{"measures": 3}', "[]"])("recordMeasure() starts afresh after %j", async (text) => {
  writeFileSync(path, text);
  await recordMeasure(path, new Date(0), new Date(1000));
  expect(measures()).toEqual([{ start: 0, finish: 1, duration: 1 }]);
});
