// Columns for a person: as wide as their widest cell, numbers to the right. Cells are plain text; colours come after the widths.
import { colors } from "./colors.ts";

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  cell(row: Row): string | number;
}

export function textTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => String(column.cell(row))));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((line) => line[at]!.length)));
  const lineOf = (line: readonly string[]): string =>
    line
      .map((text, at) => (columns[at]!.align === "right" ? text.padStart(widths[at]!) : text.padEnd(widths[at]!)))
      .join("  ")
      .trimEnd();
  const head = lineOf(columns.map(({ title }) => title));
  return `${[colors.dim(head), ...cells.map(lineOf)].join("\n")}\n`;
}

/** `name  value` lines, the names as wide as the widest. */
export function textPairs(pairs: readonly (readonly [name: string, value: string | number])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${colors.dim(name.padEnd(width))}  ${value}\n`).join("");
}
