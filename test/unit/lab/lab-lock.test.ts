import { spawn } from "node:child_process";
import type * as NodeFs from "node:fs";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { prefix } from "../../../src/base/ipv4-addr.ts";
import { removeDeadLab } from "../../../src/lab/dead-lab.ts";
import { labDirs, makeRuntimeDir, makeStateDir, removeRuntimeDir } from "../../../src/lab/lab-dirs.ts";
import { deadLabs, type LabHolder, ownIdentity, runningLabs, takeLock } from "../../../src/lab/lab-lock.ts";
import { clearOrphans, noteChildren, refuseSharedUnderlay } from "../../../src/lab/lab-preflight.ts";
import { identify, isAlive, type ProcessIdentity } from "../../../src/lab/process-identity.ts";
import type { Lab } from "../../../src/lab/resolve-lab.ts";

/** A full disk takes new files, but nothing into them. */
const disk = vi.hoisted(() => ({ full: false }));
vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof NodeFs>();
  const write = (path: string, text: string, options?: { mode: number }): void => {
    fs.writeFileSync(path, disk.full ? "" : text, options);
    if (disk.full) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
  return { ...fs, writeFileSync: write };
});

let root: string;
let env: Record<string, string>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state") };
});
afterEach(() => {
  disk.full = false;
  rmSync(root, { recursive: true, force: true });
});

function holder(name: string, supervisor: ProcessIdentity, underlay = "192.168.56.0/24"): LabHolder {
  const dirs = labDirs(name, env);
  return {
    name,
    supervisor,
    startedAt: 0,
    state: dirs.state,
    socket: dirs.socket,
    underlay,
    carrier: "loopback",
  };
}

const me = (): ProcessIdentity => ownIdentity();
/** A process that is certainly gone: our own pid with another start time. */
const dead = (): ProcessIdentity => ({ pid: process.pid, startTicks: 1 });

describe("the lock of a lab", () => {
  test("is refused to a second one, naming who has it", () => {
    const dirs = labDirs("a", env);
    expect(takeLock(dirs, holder("a", me()))).toBeUndefined();
    expect(() => takeLock(dirs, holder("a", me()))).toThrow(
      expect.objectContaining({
        code: "PL_LAB_RUNNING",
        message: expect.stringContaining(String(process.pid)),
        remedy: expect.stringContaining("podloom down a"),
      }),
    );
    expect(runningLabs(env).map((lab) => lab.name)).toEqual(["a"]);
  });

  test("of a dead holder is taken over, even when its pid is in use again", () => {
    const dirs = labDirs("a", env);
    takeLock(dirs, holder("a", dead()));
    expect(runningLabs(env)).toEqual([]);
    expect(deadLabs(env)).toEqual([holder("a", dead())]);
    expect(takeLock(dirs, holder("a", me()))?.supervisor).toEqual(dead());
    expect(readdirSync(dirs.runtime)).toEqual(["lab.lock"]);
    expect(deadLabs(env)).toEqual([]);
  });

  test("that cannot be written says what to set, and leaves neither draft nor folder", () => {
    disk.full = true;
    expect(() => takeLock(labDirs("a", env), holder("a", me()))).toThrow(
      expect.objectContaining({
        code: "PL_RUNTIME_DIR",
        remedy: expect.stringMatching(/room.*XDG_RUNTIME_DIR/),
      }),
    );
    expect(readdirSync(root)).toEqual([]);
  });

  test("of a folder that no lab can be named after is no lab", () => {
    takeLock(labDirs("a", env), holder("a", dead()));
    renameSync(join(root, "podloom", "a"), join(root, "podloom", "A.b"));
    expect([runningLabs(env), deadLabs(env)]).toEqual([[], []]);
  });

  test("that holds nonsense is taken over", () => {
    const dirs = labDirs("a", env);
    makeRuntimeDir(dirs);
    writeFileSync(dirs.lock, "{ not json");
    expect(takeLock(dirs, holder("a", me()))).toBeUndefined();
    expect(runningLabs(env)).toHaveLength(1);
  });

  test("leaves nothing once it is given back", () => {
    const dirs = labDirs("a", env);
    takeLock(dirs, holder("a", me()));
    removeRuntimeDir(dirs);
    expect(existsSync(join(root, "podloom"))).toBe(false);
  });

  test("is not put where somebody else could write", () => {
    mkdirSync(join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), join(root, "podloom"));
    expect(() => takeLock(labDirs("a", env), holder("a", me()))).toThrow(
      expect.objectContaining({ code: "PL_RUNTIME_DIR" }),
    );
  });

  test("is not put where its socket could not be", () => {
    const deep = { ...env, XDG_RUNTIME_DIR: join(root, "x".repeat(90)) };
    expect(() => makeRuntimeDir(labDirs("a", deep))).toThrow(
      expect.objectContaining({ code: "PL_RUNTIME_DIR" }),
    );
  });
});

describe("two labs on one machine", () => {
  const lab = (name: string, subnet: string): Lab =>
    ({
      name,
      underlay: {
        segments: [{ name: "underlay", subnet: prefix(subnet), gateway: undefined }],
        carrier: "loopback",
        mtuBytes: 1500,
      },
    }) as unknown as Lab;

  test("must not share socket addresses; on loopback the first octet does not tell them apart", () => {
    takeLock(labDirs("a", env), holder("a", me(), "192.168.56.0/24"));
    expect(() => refuseSharedUnderlay(lab("b", "192.168.57.0/24"), env)).not.toThrow();
    for (const shared of ["192.168.56.0/24", "192.168.0.0/16", "10.168.56.128/25"]) {
      expect(() => refuseSharedUnderlay(lab("b", shared), env)).toThrow(
        expect.objectContaining({ code: "PL_UNDERLAY_IN_USE", message: expect.stringContaining('"a"') }),
      );
    }
  });
});

describe("what a killed supervisor left", () => {
  test("is removed: its processes, its files, its lock", async () => {
    const dirs = labDirs("a", env);
    takeLock(dirs, holder("a", dead()));
    makeStateDir(dirs);
    const quick = spawn("sleep", ["0.2"], { stdio: "ignore" });
    noteChildren(dirs, [identify(quick.pid as number) as ProcessIdentity]);
    // A disk that is full is the more reason to clean up.
    disk.full = true;
    expect(await removeDeadLab(holder("a", dead()), env)).toBe(0);
    expect(existsSync(join(root, "podloom"))).toBe(false);
    expect(readdirSync(dirs.state)).toEqual(["logs"]);
  });

  test("is left alone when somebody has started the lab anew, or when the folder is not ours", async () => {
    const dirs = labDirs("a", env);
    takeLock(dirs, holder("a", me()));
    await expect(removeDeadLab(holder("a", dead()), env)).rejects.toMatchObject({ code: "PL_LAB_RUNNING" });
    expect(runningLabs(env)).toHaveLength(1);
    chmodSync(dirs.runtime, 0o777);
    noteChildren(dirs, [me()]);
    await expect(removeDeadLab(holder("a", dead()), env)).rejects.toMatchObject({ code: "PL_RUNTIME_DIR" });
  });

  test("is waited for, and killed when it does not go", async () => {
    const dirs = labDirs("a", env);
    makeRuntimeDir(dirs);
    const quick = spawn("sleep", ["0.3"], { stdio: "ignore" });
    const stubborn = spawn("sleep", ["100"], { stdio: "ignore" });
    const ids = [quick, stubborn].map((child) => identify(child.pid as number) as ProcessIdentity);
    // A pid that now belongs to somebody else (us) must be left alone.
    noteChildren(dirs, [...ids, dead()]);
    expect(await clearOrphans(dirs, 600)).toBe(1);
    expect(ids.some(isAlive)).toBe(false);
  });
});
