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
  const width = head?.length ?? rows[0]?.length ?? 0;
  const table = new Table({
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: Array.from({ length: width }, (_, i) => (right.has(i) ? "right" : "left")),
  });
  if (head !== undefined) table.push([...head]);
  for (const row of rows) table.push([...row]);
  if (table.length === 0) return [];
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
