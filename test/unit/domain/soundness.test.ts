import { expect, test } from "vitest";
import { isBroken, whyBroken, withMark } from "../../../src/domain/soundness.ts";
import { at, filesCopy } from "../../support/copies.ts";

const PASSED = { at: at(2), ok: true, level: "checksum" };
const FAILED = { at: at(2), ok: false, level: "checksum" };
const BROKEN = { broken: true, at: at(3), by: "root@db7", reason: "taken during the migration" };
const GOOD = { broken: false, at: at(4), by: "root@db7", reason: undefined };

test("isBroken() goes by the last word of a person and by what a verify found", () => {
  expect(isBroken(filesCopy(at(1)))).toBe(false);
  expect(isBroken(filesCopy(at(1), { verified: FAILED }))).toBe(true);
  // A verify cannot see why a person marked the copy.
  expect(isBroken(filesCopy(at(1), { mark: BROKEN, verified: PASSED }))).toBe(true);
  expect(isBroken(filesCopy(at(1), { mark: GOOD, verified: FAILED }))).toBe(true);
});

test("withMark() takes back an earlier mark and what a verify found wrong, not what it found right", () => {
  const good = withMark(filesCopy(at(1), { mark: BROKEN, verified: FAILED }), GOOD);
  expect(good).toMatchObject({ mark: GOOD, verified: undefined });
  expect(isBroken(good)).toBe(false);
  expect(withMark(filesCopy(at(1), { verified: PASSED }), GOOD)).toMatchObject({ verified: PASSED });
  expect(withMark(filesCopy(at(1), { verified: FAILED }), BROKEN)).toMatchObject({ verified: FAILED, mark: BROKEN });
});

test("whyBroken() names who said so, when and why", () => {
  expect(whyBroken(filesCopy(at(1), { mark: GOOD, verified: PASSED }))).toBeUndefined();
  expect(whyBroken(filesCopy(at(1), { mark: BROKEN, verified: FAILED }))).toBe(
    `was marked as broken by root@db7 at ${at(3).toISOString()}: taken during the migration`,
  );
  const odd = { ...BROKEN, by: "\u001b[2J", reason: "a\nb" };
  expect(whyBroken(filesCopy(at(1), { mark: odd }))).toBe(
    `was marked as broken by \\u001b[2J at ${at(3).toISOString()}: a\\nb`,
  );
  expect(whyBroken(filesCopy(at(1), { verified: FAILED }))).toBe(
    `was found broken by a verify at ${at(2).toISOString()}`,
  );
});
