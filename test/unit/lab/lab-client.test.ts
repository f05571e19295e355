// Which lab is meant, and what is said when there is none that answers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findLab, LabClient } from "../../../src/lab/lab-client.ts";
import { labDirs, removeRuntimeDir } from "../../../src/lab/lab-dirs.ts";
import { type LabHolder, ownIdentity, takeLock } from "../../../src/lab/lab-lock.ts";

let root: string;
let env: Record<string, string>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state") };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Leaves the lock of a lab, of a supervisor that lives (this process) or that is gone. */
function lock(name: string, alive: boolean): LabHolder {
  const dirs = labDirs(name, env);
  const supervisor = alive ? ownIdentity() : { pid: process.pid, startTicks: 1 };
  const { state, socket } = dirs;
  const holder = {
    name,
    supervisor,
    startedAt: 0,
    state,
    socket,
    underlay: "10.9.0.0/24",
    carrier: "loopback",
  };
  takeLock(dirs, holder);
  return holder;
}

describe("findLab", () => {
  test("the only one that runs is meant, whatever else was left", () => {
    const a = lock("a", true);
    lock("b", false);
    expect(findLab(env, undefined)).toEqual(a);
    expect(findLab(env, "a")).toEqual(a);
  });

  test("one whose supervisor was killed is named, with what to do", () => {
    lock("b", false);
    for (const name of [undefined, "b"]) {
      expect(() => findLab(env, name)).toThrow(
        expect.objectContaining({
          code: "PL_LAB_KILLED",
          message: `the supervisor of "b" (process ${process.pid}) was killed`,
          remedy: "`podloom down b` removes what it left, `podloom up` starts anew.",
        }),
      );
    }
    lock("c", false);
    expect(() => findLab(env, undefined)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^the supervisors of "b" \(process \d+\), "c" .* were killed$/),
        remedy: expect.stringContaining("podloom down --all"),
      }),
    );
  });

  test("several that run, none that runs, and what is no name", () => {
    expect(() => findLab(env, undefined)).toThrow(expect.objectContaining({ code: "PL_NO_LAB" }));
    expect(() => findLab(env, "../..")).toThrow(expect.objectContaining({ code: "PL_USAGE" }));
    lock("a", true);
    lock("b", true);
    expect(() => findLab(env, undefined)).toThrow(expect.objectContaining({ code: "PL_AMBIGUOUS_LAB" }));
    expect(() => findLab(env, "x")).toThrow(
      expect.objectContaining({ message: 'no lab "x" runs; there are a, b' }),
    );
  });
});

describe("a socket that nobody listens on", () => {
  const connecting = (lab: LabHolder) => expect(LabClient.connect(lab)).rejects;

  test("while its supervisor lives: the lab is being set up", async () => {
    await connecting(lock("a", true)).toMatchObject({
      code: "PL_LAB_STARTING",
      message: `the lab "a", process ${process.pid}, is still being set up`,
      remedy: expect.stringContaining(`kill ${process.pid}`),
    });
  });

  test("of a dead supervisor", async () => {
    await connecting(lock("a", false)).toMatchObject({ code: "PL_LAB_KILLED" });
  });

  test("of a lab that has ended in between", async () => {
    const lab = lock("a", true);
    removeRuntimeDir(labDirs("a", env));
    await connecting(lab).toMatchObject({
      code: "PL_SOCKET_GONE",
      remedy: expect.stringContaining("podloom up"),
    });
  });
});
