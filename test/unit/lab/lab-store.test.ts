// A store that does not come back, and one that comes back only as its folder does.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PodloomError } from "../../../src/io/podloom-error.ts";
import type { ChildExit } from "../../../src/lab/child-process.ts";
import { type LabDirs, labDirs, logPath, makeStateDir } from "../../../src/lab/lab-dirs.ts";
import { LabStore } from "../../../src/lab/lab-store.ts";
import type { Lab } from "../../../src/lab/resolve-lab.ts";

const STORE = fileURLToPath(new URL("../../../dist/bundle/store.js", import.meta.url));

let root: string;
let dirs: LabDirs;
let ends: ChildExit[];
let backs: number;
let lost: PodloomError[];
let store: LabStore | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  dirs = labDirs("a", { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state") });
  makeStateDir(dirs);
  ends = [];
  backs = 0;
  lost = [];
  store = undefined;
});
afterEach(async () => {
  await store?.stop(3000);
  rmSync(root, { recursive: true, force: true });
});

/** Opens a store whose process is a script: the embedded store, unless the file `sick` is there; it does not begin while `slow` is. */
async function open(backoffMs = 10): Promise<LabStore> {
  const script = join(root, "store.mjs");
  const sick = `if (existsSync(${JSON.stringify(join(root, "sick"))})) {
    process.stderr.write("podloom store: PL_STORE_DATA: no more\\n");
    process.exit(5);
  }`;
  const slow = `while (existsSync(${JSON.stringify(join(root, "slow"))})) await new Promise((resolve) => setTimeout(resolve, 10));`;
  writeFileSync(
    script,
    `import { appendFileSync, existsSync } from "node:fs";\nappendFileSync(${JSON.stringify(join(root, "started"))}, process.pid + "\\n");\n${sick}\n${slow}\nawait import(${JSON.stringify(STORE)});\n`,
  );
  store = await LabStore.open({
    lab: { store: { kind: "embedded" }, etcdPrefix: "/net", networkJson: "{}" } as unknown as Lab,
    dirs,
    program: [process.execPath, script],
    env: process.env,
    forceConfig: false,
    onEnded: (exit) => ends.push(exit),
    onBack: () => backs++,
    onLost: (error) => lost.push(error),
    backoffMs,
    bgpPort: 1790,
  });
  return store;
}

test("that ends again and again is started five times, then given up, with its cause and its log", async () => {
  const opened = await open();
  writeFileSync(join(root, "sick"), "");
  opened.child?.signal("SIGKILL");
  await vi.waitUntil(() => lost.length > 0, { timeout: 15_000 });
  // The first end, and that of the restarts but the last.
  expect(ends.map((exit) => exit.cause)).toEqual([
    "signal SIGKILL",
    ...Array.from({ length: 4 }, () => "exit code 5: PL_STORE_DATA: no more"),
  ]);
  expect(lost).toMatchObject([
    {
      code: "PL_STORE_FAILED",
      message:
        "the store ended with exit code 5: PL_STORE_DATA: no more; it was started again 5 times in a row and ended within 30 s each time",
      remedy: expect.stringContaining(logPath(dirs, "store")),
    },
  ]);
  expect(backs).toBe(0);
  expect(opened.describe().pid).toBeUndefined();
});

test("whose log cannot be written comes back when it can", async () => {
  const opened = await open();
  const log = logPath(dirs, "store");
  rmSync(log);
  mkdirSync(log);
  opened.child?.signal("SIGKILL");
  await vi.waitUntil(() => ends.length >= 2, { timeout: 10_000 });
  expect(ends[1]?.cause).toMatch(/^it could not be started: .*EISDIR/);
  rmdirSync(log);
  await vi.waitUntil(() => backs === 1, { timeout: 10_000 });
  expect(lost).toEqual([]);
  expect(existsSync(log)).toBe(true);
});

test("that is stopped while it is being started again leaves no process", async () => {
  const opened = await open();
  const pids = (): number[] => readFileSync(join(root, "started"), "utf8").trim().split("\n").map(Number);
  // One more than one where somebody had taken the first port.
  const before = pids().length;
  // Whether the second is still reading its data or serves already when we stop must not matter; this one never gets there.
  writeFileSync(join(root, "slow"), "");
  opened.child?.signal("SIGKILL");
  await vi.waitUntil(() => pids().length > before, { interval: 1, timeout: 10_000 });
  const second = pids().at(-1) as number;
  expect(await opened.stop(200)).toBe(true);
  expect(() => process.kill(second, 0)).toThrow("ESRCH");
  expect([opened.child?.exit?.signal, ends.length, backs, lost]).toEqual(["SIGKILL", 1, 0, []]);
});

test("that is stopped while it serves again ends by itself", async () => {
  const opened = await open();
  opened.child?.signal("SIGKILL");
  await vi.waitUntil(() => backs === 1, { timeout: 15_000 });
  // More than one where somebody had taken its port meanwhile.
  const before = ends.length;
  expect(await opened.stop(15_000)).toBe(false);
  expect([opened.child?.exit?.code, ends.length, lost]).toEqual([0, before, []]);
});

test("that is stopped in the pause before its next start is not started any more", async () => {
  const opened = await open(500);
  const starts = (): number => readFileSync(join(root, "started"), "utf8").trim().split("\n").length;
  const before = starts();
  opened.child?.signal("SIGKILL");
  await vi.waitUntil(() => ends.length === 1, { timeout: 10_000 });
  await opened.stop(3000);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect([starts(), backs, lost]).toEqual([before, 0, []]);
});
