import { printable } from "../domain/human.ts";

type Column<Row> = {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: "left" | "right";
};

/** Lines of a table whose columns are as wide as their widest value; the last column is not padded. */
export function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => printable(value(row))));
  const lines = [columns.map(({ title }) => title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ""))));
  return lines.map((line) =>
    line
      .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]))
      .join("  ")
      .trimEnd(),
  );
}

function pad<Row>(cell: string, width: number, column: Column<Row> | undefined): string {
  const fill = " ".repeat(Math.max(0, width - widthOf(cell)));
  return column?.align === "right" ? fill + cell : cell + fill;
}

/** Characters rather than UTF-16 code units: close enough to columns of a terminal. */
function widthOf(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : Array.from(text).length;
}
