import type * as NodeFs from "node:fs";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Logger } from "../../../src/io/logger.ts";
import { makeFolder } from "../../../src/io/make-folder.ts";

// A folder named so finds the disk full.
vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof NodeFs>();
  const mkdirSync = (path: string, options?: { mode: number }): string | undefined => {
    if (basename(path) !== "full") return fs.mkdirSync(path, options) as undefined;
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
  return { ...fs, mkdirSync };
});

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("makes what is missing on the way, for its owner; what is there stays as it is", () => {
  mkdirSync(join(root, "a"), { mode: 0o755 });
  makeFolder(join(root, "a/b/c"), 0o700);
  makeFolder(join(root, "a/b/c"), 0o755);
  expect(statSync(join(root, "a")).mode & 0o777).toBe(0o755);
  for (const folder of ["a/b", "a/b/c"]) expect(statSync(join(root, folder)).mode & 0o777).toBe(0o700);
});

test("goes through a link to a folder", () => {
  mkdirSync(join(root, "real"));
  symlinkSync(join(root, "real"), join(root, "link"));
  makeFolder(join(root, "link/deeper"), 0o700);
  expect(existsSync(join(root, "real/deeper"))).toBe(true);
});

test("a file in the way, or a link that leads nowhere, is a fault", () => {
  writeFileSync(join(root, "file"), "");
  symlinkSync(join(root, "nowhere"), join(root, "link"));
  for (const path of ["file", "file/below/it", "link"])
    expect(() => makeFolder(join(root, path), 0o700)).toThrow(/ENOTDIR|EEXIST/);
});

test("leaves nothing of what it made when it cannot make the rest", () => {
  mkdirSync(join(root, "a"));
  expect(() => makeFolder(join(root, "a/b/c/full/d"), 0o700)).toThrow("ENOSPC");
  expect(readdirSync(join(root, "a"))).toEqual([]);
});

test.skipIf(!existsSync("/proc/self"))(
  "ends where mkdir answers that there is no parent, though there is",
  () => {
    expect(() => makeFolder("/proc/podloom/a/b", 0o700)).toThrow("ENOENT");
  },
);

test.skipIf(!existsSync("/proc/self"))("a log below it is refused, not tried for ever", () => {
  expect(() => new Logger({ node: "n", level: "info", file: "/proc/podloom/x.log" })).toThrow(
    expect.objectContaining({ code: "PL_LOG_FAILED" }),
  );
});
