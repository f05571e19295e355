import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogFollower, lastErrorIn, parseLogLine, tailLines } from "../../../src/lab/log-file.ts";

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pl-"));
  log = join(folder, "node1.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const info = '{"level":30,"time":1000,"node":"node1","msg":"hello"}';
const fault =
  '{"level":50,"time":2000,"node":"node1","code":"PL_PORT_IN_USE","msg":"127.168.56.2:8472 is in use"}';

describe("the last error of a log", () => {
  test("is the last line of that level, with its code", () => {
    writeFileSync(log, `${fault.replace("8472", "1")}\n${fault}\n${info}\n`);
    expect(lastErrorIn(log)).toMatchObject({
      code: "PL_PORT_IN_USE",
      message: "127.168.56.2:8472 is in use",
    });
  });

  test("may be the runtime's own: a crash prints no JSON", () => {
    writeFileSync(
      log,
      `${info}\nfile:///x.js:3\n    throw new Error("boom");\n\nError: boom\n    at x.js:3:1\n\nNode.js v20\n`,
    );
    expect(lastErrorIn(log)?.message).toBe("Error: boom");
  });

  test("may be what one of our programs says when it gives up", () => {
    writeFileSync(log, "podloom store: PL_STORE_LISTEN: port 1 is in use\n  Stop what listens there.\n");
    expect(lastErrorIn(log)).toMatchObject({
      code: "PL_STORE_LISTEN",
      message: "port 1 is in use",
      remedy: "Stop what listens there.",
    });
  });

  test("counts from where the present process began", () => {
    writeFileSync(log, `${fault}\n`);
    const from = fault.length + 1;
    appendFileSync(log, `${info}\n`);
    expect(lastErrorIn(log, from)).toBeUndefined();
    expect(lastErrorIn(log)?.code).toBe("PL_PORT_IN_USE");
  });

  test("of no log is none", () => {
    expect(lastErrorIn(join(folder, "absent.log"))).toBeUndefined();
  });
});

test("a line keeps what it says even when it is no JSON", () => {
  expect(parseLogLine(info)).toMatchObject({ level: "info", message: "hello", at: 1000 });
  expect(parseLogLine("Killed")).toMatchObject({ level: "error", message: "Killed", at: undefined });
  expect(parseLogLine("5")).toMatchObject({ message: "5" });
});

test("tail answers the last lines, however many there are", () => {
  writeFileSync(log, "a\nb\nc\n");
  expect(tailLines(log, 2)).toEqual(["b", "c"]);
  expect(tailLines(log, 9)).toEqual(["a", "b", "c"]);
  expect(tailLines(join(folder, "absent.log"), 9)).toEqual([]);
});

test("a follower hears whole lines only, and notices that the file was begun anew", () => {
  writeFileSync(log, "a\n");
  const follower = new LogFollower(log, 2);
  expect(follower.poll()).toEqual([]);
  appendFileSync(log, "b\nc");
  expect(follower.poll()).toEqual(["b"]);
  appendFileSync(log, "c\n");
  expect(follower.poll()).toEqual(["cc"]);
  writeFileSync(log, "n\n");
  expect(follower.poll()).toEqual(["n"]);
});
