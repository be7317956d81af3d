import { isPlain, printable } from "../domain/human.ts";

type Column<Row> = {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: "left" | "right";
};

/** Lines of a table whose columns are as wide as their widest value; the last column is not padded. */
export function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const padded = columns.map(({ title, value, align }) => {
    const cells = [title, ...rows.map((row) => printable(value(row)))];
    return pad(cells, align);
  });
  return Array.from({ length: rows.length + 1 }, (_, line) =>
    padded
      .map((cells) => cells[line])
      .join("  ")
      .trimEnd(),
  );
}

function pad(cells: readonly string[], align: "left" | "right" = "left"): readonly string[] {
  const widths = cells.map(widthOf);
  const width = widths.reduce((widest, each) => Math.max(widest, each), 0);
  return cells.map((cell, index) => {
    const fill = " ".repeat(width - (widths[index] ?? 0));
    return align === "right" ? fill + cell : cell + fill;
  });
}

/** Characters rather than UTF-16 code units: close enough to columns of a terminal. */
function widthOf(text: string): number {
  return isPlain(text) ? text.length : Array.from(text).length;
}
