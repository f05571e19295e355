// Where a lab keeps its things, and whom it lets at them.
import {
  chmodSync,
  chownSync,
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
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  labDirs,
  makeRuntimeDir,
  makeStateDir,
  removeFailedStart,
  removeLab,
  removeRunState,
  removeRuntimeDir,
  writeLabJson,
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

  test.skipIf(!existsSync("/proc/self"))(
    "below /proc, which answers as if there were no parent, ends too",
    () => {
      env.XDG_STATE_HOME = "/proc/podloom";
      env.XDG_RUNTIME_DIR = "/proc/podloom";
      expect(() => makeStateDir(labDirs("a", env))).toThrow(
        expect.objectContaining({ code: "PL_STATE_DIR" }),
      );
      expect(() => makeRuntimeDir(labDirs("a", env))).toThrow(
        expect.objectContaining({ code: "PL_RUNTIME_DIR" }),
      );
    },
  );
});

describe("what a start that failed left", () => {
  test("goes as if it had never been, but for logs that say something", () => {
    const dirs = labDirs("a", env);
    const make = (log: string): void => {
      makeRuntimeDir(dirs);
      makeStateDir(dirs);
      writeLabJson(dirs, {});
      writeFileSync(join(dirs.logs, "supervisor.log"), log);
    };
    make("");
    removeFailedStart(dirs);
    expect(readdirSync(root)).toEqual(["state"]);
    expect(readdirSync(join(root, "state"))).toEqual([]);
    make("why");
    removeFailedStart(dirs);
    expect(readdirSync(root)).toEqual(["state"]);
    expect(readdirSync(dirs.state).sort()).toEqual(["lab.json", "logs"]);
  });

  test("in a state folder that cannot be touched: the lock goes all the same, and the first fault is told", () => {
    // No path has a NUL: to touch it fails whoever asks, root too, and on every system alike.
    const dirs = labDirs("a", { ...env, XDG_STATE_HOME: `${root}/\0` });
    makeRuntimeDir(dirs);
    expect(() => removeLab(dirs)).toThrow(expect.objectContaining({ code: "PL_STATE_DIR" }));
    expect(existsSync(join(root, "podloom"))).toBe(false);
    expect(() => removeFailedStart(dirs)).not.toThrow();
  });
});

test.each(["../../x", "..", "", "a/b", "A", "-a", "a.b", "a".repeat(64)])(
  "%j is no lab's name, and never becomes a path",
  (name) => {
    expect(() => labDirs(name, env)).toThrow(
      expect.objectContaining({ code: "PL_USAGE", remedy: expect.stringContaining("lower-case letters") }),
    );
  },
);
