// Tables with lines around their cells, as calicoctl prints them.

/** What calicoctl's library puts to the right. */
const NUMBER = /^-?\d+(\.\d+)?%?$/;

/** The lines of a table. */
export function boxLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((text, i) => Math.max(text.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+`;
  const line = (cells: readonly string[], place: (text: string, width: number) => string): string =>
    `|${widths.map((width, i) => ` ${place(cells[i] ?? "", width)} `).join("|")}|`;
  return [
    rule,
    line(head, centred),
    rule,
    ...rows.map((row) =>
      line(row, (text, width) => (NUMBER.test(text) ? text.padStart(width) : text.padEnd(width))),
    ),
    rule,
  ];
}

function centred(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return " ".repeat(left) + text.padEnd(width - left);
}
