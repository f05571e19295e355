import { describe, expect, test } from "vitest";
import { formatAge, formatBytes, formatElapsed, formatMs, parseDurationMs } from "../../../src/cli/format.ts";
import { Progress } from "../../../src/cli/progress.ts";
import { tableLines } from "../../../src/cli/table.ts";
import { Terminal } from "../../../src/cli/terminal.ts";

test("ages as kubectl writes them", () => {
  const want: Record<number, string> = {
    0: "0s",
    119: "119s",
    120: "2m",
    185: "3m5s",
    600: "10m",
    10_740: "179m",
    10_800: "3h",
    172_800: "2d",
  };
  for (const [sec, text] of Object.entries(want)) expect(formatAge(Number(sec))).toBe(text);
});

test("bytes, milliseconds, elapsed", () => {
  expect([0, 1023, 1024, 46_137_344, 1_288_490_189].map(formatBytes)).toEqual([
    "0B",
    "1023B",
    "1.0Ki",
    "44Mi",
    "1.2Gi",
  ]);
  expect([412, 3180, 14_040, 140_200].map(formatMs)).toEqual(["0.412", "3.18", "14.0", "140"]);
  expect([1400, 125_000].map(formatElapsed)).toEqual(["1.4s", "2m5s"]);
});

test("durations with a unit, seconds without; nothing else", () => {
  expect(["500ms", "60s", "1.5m", "2h", "7"].map(parseDurationMs)).toEqual([
    500, 60_000, 90_000, 7_200_000, 7000,
  ]);
  for (const bad of ["", "s", "-1s", "1d", "1 s", "1e3"]) expect(parseDurationMs(bad)).toBeUndefined();
});

test("a table has no lines, no trailing blanks, and columns as wide as their widest cell", () => {
  const lines = tableLines(
    ["NAME", "N"],
    [
      ["a", "1"],
      ["longer", "200"],
    ],
    new Set([1]),
  );
  expect(lines).toEqual(["NAME       N", "a          1", "longer   200"]);
  expect(tableLines(undefined, [])).toEqual([]);
});

describe("a terminal", () => {
  const said = (
    isTTY: boolean,
    env: Record<string, string>,
    act: (terminal: Terminal) => void,
    columns = 80,
  ): string => {
    let text = "";
    const sink = { write: (more: string) => (text += more), isTTY, columns, hasColors: () => isTTY };
    act(new Terminal(sink, sink, env));
    return text;
  };
  const step = (terminal: Terminal): void => {
    const progress = new Progress(terminal);
    progress.begin("store", "embedded");
    progress.done("ready");
    progress.end();
  };

  test("shows colours and moving lines; a pipe and NO_COLOR do not", () => {
    expect(said(true, {}, step)).toContain("embedded\r\u001b[K\u001b[32m✔\u001b[39m store       ready");
    expect(
      said(true, { NO_COLOR: "1" }, (terminal) => terminal.print(terminal.style("out", "red", "x"))),
    ).toBe("x\n");
    const piped = said(false, {}, step);
    expect(piped).toMatch(/^✔ store {7}ready {2}0\.\ds\n$/);
  });

  test("that is dumb, or only the log of a CI job, is none: no colour, no moving line, no width", () => {
    for (const env of [{ TERM: "dumb" }, { CI: "true" }, { CI: "1", TERM: "xterm" }]) {
      expect(said(true, env, step)).toMatch(/^✔ store {7}ready {2}0\.\ds\n$/);
      said(true, env, (terminal) => {
        expect([terminal.noteIsTerminal, terminal.outColumns]).toEqual([false, undefined]);
        expect(terminal.style("out", "red", "x")).toBe("x");
      });
    }
    for (const env of [{ TERM: "xterm" }, { CI: "" }, { CI: "false" }])
      expect(said(true, env, step)).toContain("\u001b[K");
  });

  /** The moving lines of a step, without what clears them. */
  const drawn = (columns: number): string[] =>
    said(
      true,
      {},
      (terminal) => {
        const progress = new Progress(terminal);
        progress.begin("nodes", "x".repeat(60));
        progress.end();
      },
      columns,
    ).split("\r\u001b[K");

  test("that is narrow cuts the moving line, so that it stays one line and can be cleared", () => {
    expect(drawn(20)[0]).toBe("⠙ nodes       xxxxx");
    expect(drawn(20)[0]).toHaveLength(19);
    expect(drawn(60)[0]).toHaveLength(59);
    expect(drawn(200)[0]).toBe(`⠙ nodes       ${"x".repeat(60)}`);
  });

  test("that says it has no columns is taken for one of 80", () => {
    expect(drawn(0)[0]).toBe(drawn(80)[0]);
    said(true, {}, (terminal) => expect([terminal.noteColumns, terminal.outColumns]).toEqual([80, 80]), 0);
  });
});
