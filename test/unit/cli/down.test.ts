// `podloom down` where supervisors were killed: which labs it means, what it removes and what it says.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCommandLine } from "../../../src/cli/command-line.ts";
import { Terminal } from "../../../src/cli/terminal.ts";
import { IpcServer } from "../../../src/io/ipc/server.ts";
import { labDirs, makeStateDir } from "../../../src/lab/lab-dirs.ts";
import { takeLock } from "../../../src/lab/lab-lock.ts";
import { identify, type ProcessIdentity } from "../../../src/lab/process-identity.ts";

let root: string;
let env: Record<string, string>;
let err = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state"), HOME: root };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function leave(name: string, supervisor: ProcessIdentity = { pid: process.pid, startTicks: 1 }): void {
  const dirs = labDirs(name, env);
  const { state, socket } = dirs;
  makeStateDir(dirs);
  const lab = { name, startedAt: 0, state, socket, underlay: "10.9.0.0/24", carrier: "loopback" };
  takeLock(dirs, { ...lab, supervisor });
}

async function podloom(...argv: string[]): Promise<number> {
  err = "";
  const stderr = {
    write: (text: string) => {
      err += text;
    },
  };
  return runCommandLine(argv, { terminal: new Terminal({ write: () => {} }, stderr, env), env, cwd: root });
}

const left = (): string[] => (existsSync(join(root, "podloom")) ? readdirSync(join(root, "podloom")) : []);

test("without a name, the only dead one is cleaned up, and the next `down` finds nothing", async () => {
  leave("a");
  expect(await podloom("down")).toBe(0);
  expect(err).toMatch(/the supervisor of "a", process \d+, was killed; what it left is removed/);
  expect(left()).toEqual([]);
  expect(readdirSync(join(root, "state/podloom/a"))).toEqual(["logs"]);
  expect(await podloom("down")).toBe(1);
  expect(err).toMatch(/no lab runs/);
});

test("of several dead ones the one must be named; --all means them all", async () => {
  for (const name of ["a", "b", "c"]) leave(name);
  expect(await podloom("down")).toBe(2);
  expect(err).toMatch(/killed: a, b, c .*\n.*--all/);
  expect(left()).toEqual(["a", "b", "c"]);
  expect(await podloom("down", "b")).toBe(0);
  expect(left()).toEqual(["a", "c"]);
  expect(await podloom("down", "--all")).toBe(0);
  expect(err.match(/was killed; what it left is removed/g)).toHaveLength(2);
  expect(left()).toEqual([]);
});

test("--all goes on when one lab cannot be ended, and fails at the end", async () => {
  // A supervisor that lives and listens nowhere: this process.
  leave("a", identify(process.pid));
  leave("b");
  expect(await podloom("down", "--all")).toBe(1);
  expect(err).toMatch(/the supervisor of "b", .* is removed[\s\S]*"a", process \d+, is still being set up/);
  expect(left()).toEqual(["a"]);
});

test("without a name a lab that runs goes before a dead one, which is pointed out", async () => {
  const supervisor = spawn("sleep", ["100"], { stdio: "ignore" });
  leave("a", identify(supervisor.pid as number));
  leave("b");
  const { socket, runtime } = labDirs("a", env);
  const server = await IpcServer.listen(socket, {
    from: "supervisor",
    onRequest: (request) => {
      request.done({ killed: [] });
      rmSync(runtime, { recursive: true });
      supervisor.kill();
    },
  });
  try {
    expect(await podloom("down")).toBe(0);
    expect(err).toMatch(/lab "a" is down/);
    expect(err).toMatch(
      /the supervisor of "b", process \d+, was killed: podloom down b removes what it left/,
    );
    expect(left()).toEqual(["b"]);
  } finally {
    supervisor.kill();
    await server.close();
  }
});

test.each(["../../x", "..", "A"])("%s is no lab, and nothing is touched", async (name) => {
  leave("a");
  expect(await podloom("down", name)).toBe(2);
  expect(err).toMatch(/cannot be a lab's name \[PL_USAGE\]\n {2}.*lower-case/);
  expect(await podloom("logs", "--lab", name)).toBe(2);
  expect(err).toMatch(/cannot be a lab's name/);
  expect(left()).toEqual(["a"]);
});

test("a folder among the labs that no lab can be named after is passed over", async () => {
  mkdirSync(join(root, "state/podloom/.Trash-0/logs"), { recursive: true });
  mkdirSync(join(root, "podloom/.Trash-0"), { recursive: true });
  expect(await podloom("logs")).toBe(1);
  expect(err).toMatch(/no lab has run yet/);
  expect(await podloom("down", "--all")).toBe(0);
});
