import { describe, expect, test } from "vitest";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { CopyError } from "../../../src/domain/copy-error.ts";
import { toKey } from "../../../src/domain/key.ts";
import { type Candidate, newestRestorable, planRestore } from "../../../src/domain/restore-plan.ts";
import { at, fullCopy, increment } from "../../support/copies.ts";

const FULL = fullCopy(at(1), { bytes: 100, rawBytes: 1000, toLsn: 50n });
const FIRST = increment(at(1, 1), FULL.key, { bytes: 10, rawBytes: 40, fromLsn: 50n, toLsn: 70n });
const SECOND = increment(at(1, 2), FIRST.key, { bytes: 5, rawBytes: 20, fromLsn: 70n, toLsn: 90n });
const NEWER = fullCopy(at(2), { bytes: 100, rawBytes: 1000, toLsn: 200n });

function listed(...copies: readonly MysqlCopy[]): Candidate[] {
  return copies.map((copy) => ({ copy, doubt: undefined }));
}

function errorOf(work: () => unknown): CopyError {
  try {
    work();
  } catch (error) {
    if (error instanceof CopyError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("planRestore()", () => {
  test("planRestore() takes the recorded parents, the full copy first, whatever is newer", () => {
    const plan = planRestore(SECOND, listed(FULL, FIRST, SECOND, NEWER));
    expect(plan.parts.map(({ copy }) => copy.key)).toEqual([FULL.key, FIRST.key, SECOND.key]);
    expect(plan).toMatchObject({ fetchBytes: 115, space: { bytes: 1060, isEstimate: false }, warnings: [] });
  });

  test("planRestore() needs nothing else for a full copy", () => {
    expect(planRestore(FULL, listed(FULL, FIRST)).parts.map(({ copy }) => copy.key)).toEqual([FULL.key]);
  });

  test("planRestore() estimates from what is stored where the size before compression is unknown", () => {
    const old = fullCopy(at(1));
    const plan = planRestore(old, [{ copy: old, doubt: undefined, storedBytes: 100 }]);
    expect(plan).toMatchObject({ fetchBytes: 100, space: { bytes: 400, isEstimate: true } });
    const plain = fullCopy(at(1), { suffixes: [".gpg"] });
    expect(planRestore(plain, [{ copy: plain, doubt: undefined, storedBytes: 100 }]).space).toEqual({
      bytes: 100,
      isEstimate: true,
    });
    expect(planRestore(old, listed(old))).toMatchObject({ fetchBytes: undefined, space: undefined });
  });

  test("planRestore() names the missing parent, and what restores instead", () => {
    const error = errorOf(() => planRestore(SECOND, listed(FULL, SECOND)));
    expect(error).toMatchObject({ code: "NOT_FOUND", key: FIRST.key });
    expect(error.message).toBe(`Cannot restore "${SECOND.key}": "${FIRST.key}", which it needs, is not recorded`);
    expect(error.hint).toBe(`Restore "${FULL.key}", the newest copy that has all its parts.`);
  });

  test.each([
    ["NOT_FOUND", "has no object any more", { doubt: "gone" }],
    ["DATA_DAMAGED", "has another size than the 100 bytes recorded", { doubt: "resized" }],
    ["DATA_DAMAGED", "is empty", { doubt: undefined, storedBytes: 0 }],
  ] as const)("planRestore() refuses a parent with %s when it %s", (code, what, facts) => {
    const error = errorOf(() => planRestore(FIRST, [{ copy: FULL, ...facts }, ...listed(FIRST)]));
    expect(error).toMatchObject({ code, key: FULL.key, message: expect.stringContaining(what) as string });
    expect(error.hint).toContain("No other copy of this host is whole");
  });

  test("planRestore() says so when the copy itself is gone", () => {
    const error = errorOf(() => planRestore(FULL, [{ copy: FULL, doubt: "gone" }, ...listed(NEWER)]));
    expect(error.message).toBe(`Cannot restore "${FULL.key}": it has no object any more`);
    expect(error.hint).toContain(NEWER.key);
  });

  test("planRestore() ends at parents that go in a circle", () => {
    const one = increment(at(1, 1), SECOND.key);
    const other = { ...SECOND, parent: one.key };
    expect(errorOf(() => planRestore(one, listed(one, other)))).toMatchObject({ code: "DATA_DAMAGED" });
    const itself = increment(at(1, 1), one.key);
    expect(errorOf(() => planRestore(itself, listed(itself)))).toMatchObject({ code: "DATA_DAMAGED", key: itself.key });
  });

  test("planRestore() takes no parent of another host", () => {
    const foreign = fullCopy(at(1), {
      host: "db8",
      key: toKey("db8/daily/mysql/mysql-2026-05-01_00_00_02.xbstream.gz"),
    });
    const copy = increment(at(1, 1), foreign.key);
    expect(errorOf(() => planRestore(copy, listed(foreign, copy)))).toMatchObject({ code: "NOT_FOUND" });
  });

  test("planRestore() refuses an increment that does not start where its parent ends", () => {
    const gap = { ...FIRST, fromLsn: 51n };
    expect(errorOf(() => planRestore(gap, listed(FULL, gap)))).toMatchObject({
      code: "DATA_DAMAGED",
      key: FIRST.key,
      message: expect.stringContaining(`it starts at LSN 51, its parent "${FULL.key}" ends at 50`) as string,
    });
    const old = fullCopy(at(1), { lsn: 50n });
    expect(planRestore(FIRST, listed(old, FIRST)).parts).toHaveLength(2);
  });

  test("planRestore() warns of a part that a verify found broken, and goes on", () => {
    const broken = { ...FULL, verified: { at: at(3), ok: false, level: "checksum" } };
    expect(planRestore(FIRST, listed(broken, FIRST)).warnings).toEqual([
      `"${FULL.key}" was found broken by a verify at ${at(3).toISOString()}`,
    ]);
  });
});

describe("newestRestorable()", () => {
  test("newestRestorable() passes over copies that lack a part", () => {
    const orphan = increment(at(3), toKey("db7/daily/mysql/mysql-2026-04-01_00_00_02.xbstream.gz"));
    expect(newestRestorable(listed(FULL, FIRST, SECOND, orphan), "db7")?.key).toBe(SECOND.key);
  });

  test("newestRestorable() passes over increments on a copy that is broken", () => {
    const broken = { ...NEWER, verified: { at: at(3), ok: false, level: "boot" } };
    const onBroken = increment(at(2, 1), NEWER.key);
    expect(newestRestorable(listed(FULL, FIRST, broken, onBroken), "db7")?.key).toBe(FIRST.key);
  });

  test("newestRestorable() knows none of another host, and none of no copies", () => {
    expect(newestRestorable(listed(FULL), "db8")).toBeUndefined();
    expect(newestRestorable([], "db7")).toBeUndefined();
  });
});
