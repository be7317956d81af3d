import { afterEach, beforeEach, expect, test } from "vitest";
import { formatStamp, timeAfter } from "../../../src/domain/timestamp.ts";

const before = process.env["TZ"];

beforeEach(() => {
  process.env["TZ"] = "Europe/Berlin";
});

afterEach(() => {
  if (before === undefined) delete process.env["TZ"];
  else process.env["TZ"] = before;
});

/** Names that runs get, one every ten minutes from `from` on, when each sees those of the runs before it. */
function walk(from: string, runs: number): string[] {
  const stamps: string[] = [];
  for (let run = 0; run < runs; run++) {
    const now = new Date(Date.parse(from) + run * 600_000);
    stamps.push(formatStamp(timeAfter(now, stamps).takenAt));
  }
  return stamps;
}

test("timeAfter() keeps names growing through the hour that comes twice", () => {
  const stamps = walk("2026-10-25T00:00:00Z", 18);
  expect(stamps[5]).toBe("2026-10-25_02_50_00");
  expect(stamps[6]).toBe("2026-10-25_02_50_01");
  expect(stamps).toEqual([...new Set(stamps)].sort());
});

test("timeAfter() keeps names growing over the hour that is missing", () => {
  const stamps = walk("2026-03-29T00:30:00Z", 6);
  expect(stamps).toEqual([...new Set(stamps)].sort());
  // A name from another time zone may lie in the missing hour.
  expect(formatStamp(timeAfter(new Date("2026-03-29T00:30:00Z"), ["2026-03-29_02_29_59"]).takenAt)).toBe(
    "2026-03-29_03_30_00",
  );
});
