import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseBinlogInfo } from "../../../src/domain/binlog-info.ts";

const UUID = "3f6cd603-8d0b-11f1-8432-d00dc21b3e49";

test.each([
  ["a position alone", "mysql-bin.000003\t154\n", { file: "mysql-bin.000003", offset: 154 }, undefined],
  ["a blank set", "mysql-bin.000003\t154\t\n", { file: "mysql-bin.000003", offset: 154 }, undefined],
  [
    "MariaDB's position",
    "mysql-bin.000002\t968\t0-7-4,1-9-40\n",
    { file: "mysql-bin.000002", offset: 968 },
    "0-7-4,1-9-40",
  ],
  ["one line", `b.1\t197\t${UUID}:1-5\n`, { file: "b.1", offset: 197 }, `${UUID}:1-5`],
  [
    "a set of many lines",
    `b.1\t197\t${UUID}:1-5,\n${UUID}:7:tag:1\n`,
    { file: "b.1", offset: 197 },
    `${UUID}:1-5,${UUID}:7:tag:1`,
  ],
  ["several rows", "b.1\t4\t\nb.2\t8\t0-1-2\n", { file: "b.2", offset: 8 }, "0-1-2"],
  ["nothing", "", undefined, undefined],
  ["nonsense", "\t\t\n", undefined, undefined],
] as const)("parseBinlogInfo() reads %s", (_, text, binlog, gtid) => {
  expect(parseBinlogInfo(text)).toEqual({ binlog, gtid });
});

test("parseBinlogInfo() of anything is a position that makes sense, or none", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("b", ".", "1", "\t", "\n", "-", UUID), maxLength: 30 }), (text) => {
      const { binlog, gtid } = parseBinlogInfo(text);
      if (binlog !== undefined) expect(Number.isSafeInteger(binlog.offset)).toBe(true);
      expect(binlog?.file).not.toBe("");
      expect(gtid ?? "x").toMatch(/^\S+$/);
    }),
  );
});
