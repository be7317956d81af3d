import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseBinlogInfo } from "../../../src/domain/binlog-info.ts";

const UUID = "3f6cd603-8d0b-11f1-8432-d00dc21b3e49";

const B1 = { file: "b.1", offset: 197 };

test.each([
  { what: "a position alone", text: "b.1\t197\n", binlog: B1, gtid: undefined },
  { what: "a blank set", text: "b.1\t197\t\n", binlog: B1, gtid: undefined },
  { what: "MariaDB's position", text: "b.1\t197\t0-7-4,1-9-40\n", binlog: B1, gtid: "0-7-4,1-9-40" },
  { what: "one line", text: `b.1\t197\t${UUID}:1-5\n`, binlog: B1, gtid: `${UUID}:1-5` },
  {
    what: "a set of many lines",
    text: `b.1\t197\t${UUID}:1-5,\n${UUID}:7:tag:1\n`,
    binlog: B1,
    gtid: `${UUID}:1-5,${UUID}:7:tag:1`,
  },
  { what: "several rows", text: "b.0\t4\t\nb.1\t197\t0-1-2\n", binlog: B1, gtid: "0-1-2" },
  { what: "nothing", text: "", binlog: undefined, gtid: undefined },
  { what: "nonsense", text: "\t\t\n", binlog: undefined, gtid: undefined },
])("parseBinlogInfo() reads $what", ({ text, binlog, gtid }) => {
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
