// Where a lab keeps its things, and whom it lets at them.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  labDirs,
  makeRuntimeDir,
  makeStateDir,
  removeRunState,
  removeRuntimeDir,
} from "../../../src/lab/lab-dirs.ts";

let root: string;
let env: Record<string, string>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state"), HOME: root };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const refused = expect.objectContaining({
  code: "PL_RUNTIME_DIR",
  message: expect.stringContaining("is not a folder that only you can write to"),
  remedy: expect.stringContaining("XDG_RUNTIME_DIR"),
});

describe("the runtime folder", () => {
  test("is its owner's alone, and making it twice is no fault", () => {
    const dirs = labDirs("a", env);
    makeRuntimeDir(dirs);
    makeRuntimeDir(dirs);
    for (const folder of [dirs.runtime, join(root, "podloom")])
      expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test.each([0o777, 0o720, 0o702])("that others may write to is refused: %o", (mode) => {
    mkdirSync(join(root, "podloom"));
    chmodSync(join(root, "podloom"), mode);
    expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(refused);
  });

  test("that is a link, made by somebody who was faster, is refused", () => {
    mkdirSync(join(root, "elsewhere"), { mode: 0o700 });
    symlinkSync(join(root, "elsewhere"), join(root, "podloom"));
    expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(refused);
  });

  test.skipIf(process.getuid?.() !== 0)("of another user is refused (skipped without root)", () => {
    mkdirSync(join(root, "podloom"), { mode: 0o700 });
    chownSync(join(root, "podloom"), 65534, 65534);
    expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(refused);
  });

  test("below something that is no folder, or too deep for a socket: what to set instead", () => {
    writeFileSync(join(root, "file"), "");
    env.XDG_RUNTIME_DIR = join(root, "file");
    expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(
      expect.objectContaining({ code: "PL_RUNTIME_DIR", remedy: expect.stringContaining("XDG_RUNTIME_DIR") }),
    );
    env.XDG_RUNTIME_DIR = join(root, "d".repeat(90));
    expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/more than 93 bytes/) }),
    );
  });

  test("goes, and its parent with the last lab", () => {
    const [a, b] = [labDirs("a", env), labDirs("b", env)];
    makeRuntimeDir(a);
    makeRuntimeDir(b);
    removeRuntimeDir(a);
    expect(statSync(b.runtime).isDirectory()).toBe(true);
    removeRuntimeDir(b);
    expect(() => statSync(join(root, "podloom"))).toThrow("ENOENT");
  });
});

describe("the state folder", () => {
  test("is begun anew, and keeps its logs when the lab is down", () => {
    const dirs = labDirs("a", env);
    makeStateDir(dirs);
    for (const folder of [dirs.logs, dirs.nodes, dirs.store]) {
      expect(statSync(folder).mode & 0o077).toBe(0);
      writeFileSync(join(folder, "old"), "");
    }
    removeRunState(dirs);
    expect(statSync(join(dirs.logs, "old")).size).toBe(0);
    expect(() => statSync(dirs.nodes)).toThrow("ENOENT");
    makeStateDir(dirs);
    expect(() => statSync(join(dirs.logs, "old"))).toThrow("ENOENT");
  });

  test("that cannot be made says what to set", () => {
    writeFileSync(join(root, "file"), "");
    env.XDG_STATE_HOME = join(root, "file");
    expect(() => makeStateDir(labDirs("a", env))).toThrow(
      expect.objectContaining({ code: "PL_STATE_DIR", remedy: expect.stringContaining("XDG_STATE_HOME") }),
    );
  });
});
