import { expect, test } from "vitest";
import type { Media } from "../../../src/domain/copy.ts";
import { INTERVALS } from "../../../src/domain/interval.ts";
import { runParts, WAIT_SECONDS } from "../../../src/job/run.ts";

function part(name: Media, ran: string[], fail?: Error) {
  return {
    name,
    async run() {
      ran.push(name);
      if (fail !== undefined) throw fail;
    },
  };
}

test("runParts() runs every part, and tells each failure", async () => {
  const [ran, failures]: [string[], unknown[]] = [[], []];
  const error = new Error("no server");
  const parts = [part("mysql", ran, error), part("files", ran)];
  await runParts(parts, (failure) => failures.push(failure), new AbortController().signal);
  expect(ran).toEqual(["mysql", "files"]);
  expect(failures).toEqual([error]);
});

test("runParts() ends with the reason of an abort, and starts nothing after it", async () => {
  const controller = new AbortController();
  const ran: string[] = [];
  const failures: unknown[] = [];
  const stop = {
    name: "mysql" as const,
    run() {
      controller.abort(new Error("enough"));
      return Promise.reject(new Error("broken pipe"));
    },
  };
  await expect(runParts([stop, part("files", ran)], (each) => failures.push(each), controller.signal)).rejects.toThrow(
    "enough",
  );
  expect([ran, failures]).toEqual([[], []]);
});

test("WAIT_SECONDS is half the time to the next run", () => {
  expect(INTERVALS.map((interval) => WAIT_SECONDS[interval] / 1800)).toEqual([1, 24, 168, 720, 8760]);
});
