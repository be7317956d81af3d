import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextPartBytes, type PartPlan, POOL_BYTES, partPlan } from "../../src/destination/part-plan.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

const S3 = { leastPartBytes: 5 * MIB, mostPartBytes: 5 * GIB, mostParts: 10_000, mostObjectBytes: 5 * TIB };
const AZURE = { leastPartBytes: 1, mostPartBytes: 4000 * MIB, mostParts: 50_000, mostObjectBytes: 190 * TIB };
const GOOGLE = { leastPartBytes: 256 * 1024, mostPartBytes: 5 * TIB, mostParts: 2 ** 31, mostObjectBytes: 5 * TIB };

/** Sizes of the parts of content that is as long, or as long as there may be parts. */
function sizes(plan: PartPlan, bytes: number, mostParts: number): number[] {
  const found: number[] = [];
  for (let sent = 0; sent < bytes && found.length < mostParts; sent += found.at(-1) ?? 0) {
    found.push(nextPartBytes(plan, sent));
  }
  return found;
}

/** What a plan promises: larger copies than 8 TiB are planned for where they are expected only. */
const promised = (mostObjectBytes: number, expected: number) =>
  Math.min(mostObjectBytes, Math.max(8 * TIB, 2 * expected));

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

/** Limits of some store: with room in them for parts of the unit, and objects that fit into the parts. */
const limits = fc
  .record({
    leastPartBytes: fc.integer({ min: 1, max: 16 * MIB }),
    span: fc.integer({ min: 1, max: 400 }),
    mostParts: fc.integer({ min: 1, max: 20_000 }),
    fullness: fc.double({ min: 0.0001, max: 1, noNaN: true }),
  })
  .map(({ leastPartBytes, span, mostParts, fullness }) => {
    const mostPartBytes = Math.ceil(leastPartBytes / MIB) * MIB * span;
    return {
      leastPartBytes,
      mostPartBytes,
      mostParts,
      mostObjectBytes: Math.ceil(mostPartBytes * mostParts * fullness),
    };
  });

describe("partPlan()", () => {
  test.each([
    ["S3", S3],
    ["Azure", AZURE],
  ])("partPlan() of %s has room for the largest object, whatever was expected", (_, store) => {
    for (const expected of [0, 1, GIB, TIB, 5 * TIB, 500 * TIB]) {
      const most = promised(store.mostObjectBytes, expected);
      expect(sum(sizes(partPlan(store, expected), most, store.mostParts))).toBeGreaterThanOrEqual(most);
    }
  });

  test("partPlan() keeps parts at 5 MiB where there may be any number of them", () => {
    const plan = partPlan(GOOGLE);
    expect([nextPartBytes(plan, 0), nextPartBytes(plan, 4 * TIB)]).toEqual([5 * MIB, 5 * MIB]);
  });

  test("partPlan() keeps what is said of S3: 70 MiB up to 31 GiB, a five-hundredth above, 2.25 GiB at most", () => {
    const plan = partPlan(S3);
    let sent = 0;
    while (sent < 5 * TIB) {
      const pool = Math.max(POOL_BYTES, 2 * nextPartBytes(plan, sent));
      if (sent < 31 * GIB) expect(pool).toBe(70 * MIB);
      expect(pool).toBeLessThanOrEqual(Math.min(Math.max(70 * MIB, (sent / 500) * 1.125 + MIB), 2.25 * GIB));
      sent += nextPartBytes(plan, sent);
    }
  });

  test("partPlan() keeps parts of a known length small: 144 MiB for 1 TiB instead of 1.1 GiB", () => {
    expect(nextPartBytes(partPlan(S3, TIB), TIB - 1)).toBe(144 * MIB);
    expect(nextPartBytes(partPlan(S3), TIB - 1)).toBe(1152 * MIB);
  });

  test("partPlan() stays within the limits of any store, never shrinks, and has room for its largest object", () => {
    fc.assert(
      fc.property(limits, fc.double({ min: 0, max: 1.5, noNaN: true }), (store, part) => {
        const expected = store.mostObjectBytes * part;
        const most = promised(store.mostObjectBytes, expected);
        const found = sizes(partPlan(store, expected), most, store.mostParts);
        expect(Math.min(...found)).toBeGreaterThanOrEqual(store.leastPartBytes);
        expect(Math.max(...found)).toBeLessThanOrEqual(store.mostPartBytes);
        expect(found.every((size, index) => index === 0 || size >= (found[index - 1] ?? 0))).toBe(true);
        expect(found.every((size) => size % (256 * 1024) === 0)).toBe(true);
        expect(sum(found)).toBeGreaterThanOrEqual(most);
      }),
      { numRuns: 200 },
    );
  });
});
