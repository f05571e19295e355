import { spawnSync } from "node:child_process";
import {
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogWriter } from "../../../src/io/log-writer.ts";
import { Logger } from "../../../src/io/logger.ts";
import { processMemory } from "../../../src/io/memory.ts";
import { describeError, PodloomError } from "../../../src/io/podloom-error.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pl-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lines = (file: string): Record<string, unknown>[] =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("writes JSON lines with node, room and event, all of them by the time it is closed", () => {
  const file = join(folder, "logs", "node1.log");
  const logger = new Logger({ node: "node1", level: "info", file });
  logger.log("debug", "agent", "noise", "not written");
  for (let i = 0; i < 500; i++) logger.log("info", "agent", "lease", `number ${i}`, { i });
  logger.close();
  logger.log("info", "agent", "late", "lost");
  const written = lines(file);
  expect(written).toHaveLength(500);
  expect(written[499]).toMatchObject({
    level: 30,
    node: "node1",
    room: "agent",
    event: "lease",
    msg: "number 499",
    i: 499,
  });
  expect(written[0]?.time).toEqual(expect.any(Number));
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("appends to what an earlier process wrote", () => {
  const file = join(folder, "x.log");
  for (const message of ["first", "second"]) {
    const logger = new Logger({ node: "n", level: "info", file });
    logger.log("info", "node", "e", message);
    logger.close();
  }
  expect(lines(file).map((line) => line.msg)).toEqual(["first", "second"]);
});

test("an error has its code and remedy, or its stack and cause", () => {
  const file = join(folder, "x.log");
  const logger = new Logger({ node: "n", level: "info", file });
  logger.error("node", "listen", new PodloomError("PL_PORT_IN_USE", "in use", { remedy: "stop it" }));
  logger.error("node", "crash", new TypeError("bug", { cause: new Error("deeper") }), "fatal");
  logger.close();
  const [known, bug] = lines(file);
  expect(known).toMatchObject({ level: 50, code: "PL_PORT_IN_USE", remedy: "stop it", msg: "in use" });
  expect(known).not.toHaveProperty("err");
  expect(bug).toMatchObject({ level: 60, msg: "bug", err: { type: "TypeError" } });
  expect(bug?.err).toHaveProperty("stack", expect.stringContaining("deeper"));
});

test("a log that cannot be written says which, and what to do", () => {
  writeFileSync(join(folder, "file"), "");
  const file = join(folder, "file", "x.log");
  expect(() => new Logger({ node: "n", level: "info", file })).toThrow(
    expect.objectContaining({
      code: "PL_LOG_FAILED",
      message: expect.stringContaining(file),
      remedy: expect.any(String),
    }),
  );
});

// Only Linux has a file that is always full.
describe.skipIf(!existsSync("/dev/full"))("a disk that is full", () => {
  const line = `${"x".repeat(999)}\n`;

  test("costs lines, and neither the process nor its end", () => {
    symlinkSync("/dev/full", join(folder, "full.log"));
    const logger = new Logger({ node: "n", level: "info", file: join(folder, "full.log") });
    for (let i = 0; i < 100; i++) logger.log("info", "node", "e", line);
    logger.flush();
    logger.log("info", "node", "e", line);
    logger.close();
  });

  test("in the background, too", async () => {
    const writer = new LogWriter(openSync("/dev/full", "a"), true);
    for (let i = 0; i < 10; i++) writer.write(line);
    await expect.poll(() => writer.lostLines).toBe(10);
    // As much as may wait: what is more is lost at once.
    for (let i = 0; i < 5000; i++) writer.write(line);
    expect(writer.lostLines).toBeGreaterThan(500);
    writer.flushSync();
    writer.end();
    await expect.poll(() => writer.lostLines).toBe(5010);
  });

  test("and works again: how much was lost is told", () => {
    // A pipe that nobody reads is full as well, and can be emptied.
    const fifo = join(folder, "fifo");
    spawnSync("mkfifo", [fifo]);
    const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const writer = new LogWriter(fd, false);
    const told: number[] = [];
    writer.onRecovered = (lines) => told.push(lines);
    while (writer.lostLines < 5) writer.write(line);
    const into = Buffer.alloc(1 << 20);
    const read = readSync(fd, into);
    writer.write(line);
    writer.write(line);
    expect(told).toEqual([5]);
    expect(readSync(fd, into)).toBe(2 * line.length);
    expect(read % line.length).toBe(0);
    writer.end();
  });
});

test("an error is described with its remedy on a line of its own", () => {
  expect(describeError(new PodloomError("PL_X", "It broke", { remedy: "Mend it." }))).toBe(
    "PL_X: It broke\n  Mend it.",
  );
  expect(describeError(new Error("plain"))).toBe("plain");
});

test("memory: the proportional share is no more than the resident set", () => {
  const own = processMemory();
  expect(own?.rssBytes).toBeGreaterThan(10_000_000);
  if (process.platform === "linux") {
    expect(own?.pssBytes).toBeGreaterThan(1_000_000);
    expect(own?.pssBytes).toBeLessThanOrEqual(own?.rssBytes as number);
  }
  const { pid } = spawnSync("true");
  expect(processMemory(pid)).toBeUndefined();
});
