import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BackupError } from "../../../src/domain/errors.ts";
import { parseCheckpoints, parseSummary } from "../../../src/engine/info-files.ts";
import { sample } from "./samples.ts";

const CHECKPOINTS = sample("xtrabackup-8.0", "increment", "xtrabackup_checkpoints");
const INFO = sample("xtrabackup-2.4", "full", "xtrabackup_info");

/** Files as a crash, a full disk or a broken disk leaves them: cut, with pieces lost, or nothing like them at all. */
function damagedFrom(text: string) {
  const lines = text.split("\n");
  return fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.nat(text.length).map((length) => text.slice(0, length)),
    fc.shuffledSubarray(lines).map((some) => some.join("\n")),
    fc.tuple(fc.nat(text.length - 1), fc.string({ unit: "binary", maxLength: 3 })).map(([at, more]) => {
      return text.slice(0, at) + more + text.slice(at + 1);
    }),
  );
}

describe("parseCheckpoints()", () => {
  test("parseCheckpoints() reads an increment", () => {
    expect(parseCheckpoints({ name: "x", text: CHECKPOINTS }, "PROGRAM_FAILED")).toEqual({
      type: "incremental",
      fromLsn: 19_646_156n,
      toLsn: 29_367_758n,
    });
  });

  test("parseCheckpoints() keeps every digit, in any order of lines", () => {
    const text = `to_lsn = ${2n ** 64n - 1n}\nfrom_lsn = 9007199254740993\nlast_lsn = 0\nbackup_type = incremental\n`;
    expect(parseCheckpoints({ name: "x", text }, "PROGRAM_FAILED")).toEqual({
      type: "incremental",
      fromLsn: 9_007_199_254_740_993n,
      toLsn: 2n ** 64n - 1n,
    });
  });

  test("parseCheckpoints() never takes a number that was cut for the whole", () => {
    const whole = sample("xtrabackup-8.0", "full", "xtrabackup_checkpoints");
    for (let length = 0; length < whole.length; length++) {
      const text = whole.slice(0, length);
      try {
        expect(parseCheckpoints({ name: "x", text }, "PROGRAM_FAILED").toLsn).toBe(19_646_156n);
      } catch (error) {
        expect(error).toBeInstanceOf(BackupError);
      }
    }
  });

  test.each(["PROGRAM_FAILED", "DATA_DAMAGED"] as const)(
    "parseCheckpoints() of anything is a value in order, or %s",
    (blame) => {
      fc.assert(
        fc.property(damagedFrom(CHECKPOINTS), (text) => {
          try {
            const { fromLsn, toLsn } = parseCheckpoints({ name: "x", text }, blame);
            expect(toLsn >= fromLsn && fromLsn >= 0n && toLsn < 2n ** 64n).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(BackupError);
            expect(error).toMatchObject({ code: blame });
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});

describe("parseSummary()", () => {
  test("parseSummary() puts a set of many lines back together", () => {
    expect(parseSummary({ name: "x", text: INFO }, "PROGRAM_FAILED")).toMatchObject({
      gtid: "0dfc1ecd-6bf0-11e8-b64a-525400486aa0:1-6,fee9c8e2-6bef-11e8-b310-525400486aa0:1-2128",
      binlog: { file: "mysql-bin.000003", offset: 1291 },
      serverVersion: "5.7.44-log",
    });
  });

  test.each([
    ["", undefined, undefined],
    ["filename 'b.1', position '4'", { file: "b.1", offset: 4 }, undefined],
    ["filename 'b.1', position '4', GTID of the last change ''", { file: "b.1", offset: 4 }, undefined],
    ["filename 'b.1', position '4', GTID of the last change ' \n '", { file: "b.1", offset: 4 }, undefined],
    ["GTID of the last change '0-1-2,1-1-3'", undefined, "0-1-2,1-1-3"],
    ["filename '', position '0'", undefined, undefined],
    ["filename 'b.1', position 'x'", undefined, undefined],
  ])("parseSummary() reads the position %j", (position, binlog, gtid) => {
    const text = `incremental = N\nbinlog_pos = ${position}\npartial = N\n`;
    expect(parseSummary({ name: "x", text }, "PROGRAM_FAILED")).toMatchObject({ binlog, gtid });
  });

  test("parseSummary() of anything throws nothing but BackupError", () => {
    fc.assert(
      fc.property(damagedFrom(INFO), (text) => {
        try {
          parseSummary({ name: "x", text }, "DATA_DAMAGED");
        } catch (error) {
          expect(error).toBeInstanceOf(BackupError);
          expect(error).toMatchObject({ code: "DATA_DAMAGED" });
        }
      }),
      { numRuns: 500 },
    );
  });
});
