import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";

/** Plain columns without lines between them, as kubectl prints. */
const BORDERLESS = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "   ",
};

/** The lines of a table. @param head undefined prints rows only @param right columns that are aligned to the right */
export function tableLines(
  head: readonly string[] | undefined,
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string[] {
  const all = head === undefined ? rows : [head, ...rows];
  const widths: number[] = [];
  for (const cells of all) {
    cells.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, stripVTControlCharacters(cell).length);
    });
  }
  const lines: string[] = [];
  for (let from = 0; from < all.length; from += SLICE_ROWS) {
    lines.push(...sliceLines(all.slice(from, from + SLICE_ROWS), widths, right));
  }
  return lines;
}

/** What the library lays out takes time by the square of its rows: a table of 10,000 would take 15 s in one piece. */
const SLICE_ROWS = 100;

function sliceLines(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  right: ReadonlySet<number>,
): string[] {
  const table = new Table({
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: widths.map((_, i) => (right.has(i) ? "right" : "left")),
    colWidths: [...widths],
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}

/** What goes before the first cell of a row that is gone. */
const REMOVED_MARK = "- ";

/** A table that is printed piece by piece: columns keep their places, and grow when a cell needs it. */
export class GrowingTable {
  readonly #widths: number[] = [];

  /** The lines of the next piece. @param head only for the first one @param removed rows that are gone, marked so */
  lines(
    head: readonly string[] | undefined,
    rows: readonly (readonly string[])[],
    removed: readonly (readonly string[])[] = [],
  ): string[] {
    const top = head === undefined ? [] : [head];
    const gone = removed.map(([first = "", ...rest]) => [REMOVED_MARK + first, ...rest]);
    this.#grow([...top, ...gone], 0);
    // The first column has room for the mark from the start, so that the mark moves nothing.
    this.#grow(rows, REMOVED_MARK.length);
    const all = [...top, ...gone, ...rows];
    return tableLines(
      undefined,
      all.map((cells) => cells.map((cell, i) => cell.padEnd(this.#widths[i] ?? 0))),
    );
  }

  #grow(rows: readonly (readonly string[])[], reserve: number): void {
    for (const cells of rows) {
      cells.forEach((cell, i) => {
        this.#widths[i] = Math.max(this.#widths[i] ?? 0, cell.length + (i === 0 ? reserve : 0));
      });
    }
  }
}
