import { describe, expect, test } from "vitest";
import { problemOf } from "../../../src/mysql/check-tables.ts";

function rows(...said: [type: string, text: string][]) {
  return said.map(([type, text]) => ({ Table: "d.t", Op: "check", Msg_type: type, Msg_text: text }));
}

describe("problemOf()", () => {
  test.each([
    [rows(["status", "OK"])],
    [rows(["status", "Table is already up to date"])],
    [rows(["note", "The storage engine for the table doesn't support check"])],
    [rows(["warning", "1 client is using or hasn't closed the table properly"], ["status", "OK"])],
    [rows(["error", 'Table rebuild required. Please do "ALTER TABLE `t` FORCE" or dump/reload to fix it!'])],
    [rows(["status", "Table upgrade required. Please do REPAIR TABLE `t`"])],
  ])("is silent about %j", (answer) => {
    expect(problemOf(answer)).toBeUndefined();
  });

  test.each([
    [
      rows(["Warning", "InnoDB: The B-tree of index b is corrupted."], ["error", "Corrupt"]),
      "InnoDB: The B-tree of index b is corrupted.; Corrupt",
    ],
    [
      rows(["Error", "Table 'd.t' doesn't exist"], ["status", "Operation failed"]),
      "Table 'd.t' doesn't exist; Operation failed",
    ],
    [rows(["error", "Corrupt"], ["error", "Corrupt"]), "Corrupt"],
  ])("tells of %j", (answer, message) => {
    expect(problemOf(answer)).toBe(message);
  });
});
