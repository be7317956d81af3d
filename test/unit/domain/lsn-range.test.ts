import { expect, test } from "vitest";
import { lsnProblem, parseLsnRange } from "../../../src/domain/lsn-range.ts";
import { at, fullCopy, increment } from "../../support/copies.ts";

const FULL = fullCopy(at(1), { lsn: undefined, toLsn: 50n });
const INCREMENT = increment(at(1, 1), FULL.key, { lsn: 70n });

test("parseLsnRange() reads what the tools write", () => {
  const text = "backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 18446744073709551615\nlast_lsn = 5\n";
  expect(parseLsnRange(text)).toEqual({ fromLsn: 0n, toLsn: 18446744073709551615n });
  expect(parseLsnRange("from_lsn = 0\nto_lsn = x\n")).toBeUndefined();
  expect(parseLsnRange("")).toBeUndefined();
});

test.each([
  [FULL, { fromLsn: 0n, toLsn: 50n }, undefined, undefined],
  [FULL, { fromLsn: 0n, toLsn: 51n }, undefined, "it is another copy"],
  [FULL, { fromLsn: 10n, toLsn: 50n }, undefined, "it is an increment"],
  [FULL, undefined, undefined, "does not say"],
  [INCREMENT, { fromLsn: 50n, toLsn: 70n }, { fromLsn: 0n, toLsn: 50n }, undefined],
  [INCREMENT, { fromLsn: 50n, toLsn: 71n }, { fromLsn: 0n, toLsn: 50n }, "it is another copy"],
  [INCREMENT, { fromLsn: 50n, toLsn: 70n }, { fromLsn: 0n, toLsn: 40n }, "what it is applied to ends at 40"],
  [fullCopy(at(1), { lsn: undefined }), { fromLsn: 0n, toLsn: 1n }, undefined, undefined],
])("lsnProblem() of case %#", (...[copy, found, base, words]) => {
  const problem = lsnProblem(copy, found, base);
  if (words === undefined) expect(problem).toBeUndefined();
  else expect(problem).toContain(words);
});
