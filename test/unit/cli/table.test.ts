import { expect, test } from "vitest";
import { tableOf } from "../../../src/cli/table.ts";

type Row = { readonly name: string; readonly size: number };

const COLUMNS = [
  { title: "SIZE", value: ({ size }: Row) => String(size), align: "right" },
  { title: "NAME", value: ({ name }: Row) => name },
  { title: "END", value: () => "x" },
] as const;

test("tableOf() makes columns as wide as their widest cell, counted in characters", () => {
  const rows = [
    { name: "grün😀", size: 5 },
    { name: "a", size: 123_456 },
  ];
  expect(tableOf(COLUMNS, rows)).toEqual(["  SIZE  NAME   END", "     5  grün😀  x", "123456  a      x"]);
});

test("tableOf() shows control characters, and no blanks at the end of a line", () => {
  expect(tableOf([{ title: "NAME", value: (name: string) => name }], ["a\u001b[1m", "b  "])).toEqual([
    "NAME",
    "a\\u001b[1m",
    "b",
  ]);
});

test("tableOf() of nothing is its head", () => {
  expect(tableOf(COLUMNS, [])).toEqual(["SIZE  NAME  END"]);
});
