import { describe, expect, test } from "vitest";
import { tableLines } from "../../../src/cli/table.ts";

describe("a table", () => {
  test("has its columns under each other from the first row to the last, however many there are", () => {
    const rows = Array.from({ length: 1234 }, (_, i) => [
      `row${i}`,
      i === 1200 ? "a very wide cell" : "x",
      "end",
    ]);
    const lines = tableLines(["NAME", "CELL", "LAST"], rows);
    expect(lines).toHaveLength(1235);
    const column = lines[0]?.indexOf("LAST");
    expect(column).toBe("row1000   a very wide cell   ".length);
    for (const line of lines.slice(1)) expect(line.indexOf("end")).toBe(column);
  });

  test("aligns to the right where asked, and knows that colours take no room", () => {
    expect(
      tableLines(
        ["A", "N"],
        [
          ["\u001B[31mred\u001B[39m", "1"],
          ["r", "100"],
        ],
        new Set([1]),
      ),
    ).toEqual(["A       N", "\u001B[31mred\u001B[39m     1", "r     100"]);
  });

  test("without anything is nothing", () => {
    expect(tableLines(undefined, [])).toEqual([]);
  });
});
