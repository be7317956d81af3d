import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { MysqlCopy } from "../../src/domain/copy.ts";
import { CopyError } from "../../src/domain/copy-error.ts";
import { type Candidate, newestRestorable, planRestore } from "../../src/domain/restore-plan.ts";
import { at, fullCopy, increment } from "../support/copies.ts";

type Drawn = {
  readonly parent: number;
  readonly isFull: boolean;
  readonly isGone: boolean;
  readonly isBroken: boolean;
};

/** A status in which a copy may name any other as its parent, itself and newer ones too. */
const STATUS = fc
  .array(fc.record<Drawn>({ parent: fc.nat(15), isFull: fc.boolean(), isGone: fc.boolean(), isBroken: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((drawn): Candidate[] => {
    const fulls = drawn.map((_, index) => fullCopy(at(1, index)));
    const [first = fullCopy(at(1))] = fulls;
    return drawn.map(({ parent, isFull, isGone, isBroken }, index) => {
      const full = fulls[index] ?? first;
      const parentKey = (fulls[parent] ?? fullCopy(at(9))).key;
      const verified = isBroken ? { at: at(2), ok: false, level: "boot" } : undefined;
      const copy: MysqlCopy = isFull
        ? { ...full, verified }
        : { ...increment(at(1, index), parentKey), key: full.key, interval: full.interval, verified };
      return { copy, doubt: isGone ? "gone" : undefined };
    });
  });

/** What has to hold for every plan that is made. */
function expectWhole(copy: MysqlCopy, candidates: readonly Candidate[]): void {
  const doubted = new Set(candidates.filter(({ doubt }) => doubt !== undefined).map((each) => each.copy.key));
  const chain = planRestore(copy, candidates).parts.map((part) => part.copy);
  expect(chain[0]?.kind).toBe("full");
  expect(chain.at(-1)).toEqual(copy);
  expect(chain.filter(({ key }) => doubted.has(key))).toEqual([]);
  for (const [index, part] of chain.slice(1).entries())
    expect(part).toMatchObject({ kind: "incremental", parent: chain[index]?.key });
}

test("planRestore() gives a whole chain, or names a culprit; nothing else", () => {
  fc.assert(
    fc.property(STATUS, (candidates) => {
      for (const { copy } of candidates) {
        try {
          expectWhole(copy, candidates);
        } catch (error) {
          if (!(error instanceof CopyError)) throw error;
          expect(error.message).toContain(copy.key);
          const isListed = candidates.some((each) => each.copy.key === error.key);
          expect(isListed || error.message.includes("is not recorded")).toBe(true);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("newestRestorable() can be planned without a warning, and nothing newer can", () => {
  fc.assert(
    fc.property(STATUS, (candidates) => {
      const isClean = (copy: MysqlCopy): boolean => {
        try {
          return planRestore(copy, candidates).warnings.length === 0;
        } catch {
          return false; // It names its culprit, as the test above shows.
        }
      };
      const newest = candidates.findLast(({ copy }) => isClean(copy))?.copy.key;
      expect(newestRestorable(candidates, "db7")?.key).toBe(newest);
    }),
    { numRuns: 500 },
  );
});
