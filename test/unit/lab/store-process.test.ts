// The process of a store, with an etcd that only writes down what it was started with.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Child } from "../../../src/lab/child-process.ts";
import { labDirs, makeStateDir } from "../../../src/lab/lab-dirs.ts";
import { type StoreContext, startStore, startStoreOn, stopStore } from "../../../src/lab/store-process.ts";

let root: string;
let context: StoreContext;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  const env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state") };
  const dirs = labDirs("a", env);
  makeStateDir(dirs);
  mkdirSync(join(root, "bin"));
  context = {
    kind: "etcd",
    dirs,
    program: [],
    env: { ...env, PATH: `${join(root, "bin")}:${process.env.PATH}` },
    answers: () => Promise.resolve(written("args").includes("--data-dir")),
  };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function fakeEtcd(lines: string): void {
  const path = join(root, "bin", "etcd");
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o700);
}

function written(name: string): string {
  try {
    return readFileSync(join(root, name), "utf8");
  } catch {
    return "";
  }
}

test("etcd hears no ETCD_ variable of the user's: one that contradicts a flag would keep it from starting", async () => {
  fakeEtcd(`env > ${root}/env\necho "$@" > ${root}/args\nexec sleep 100`);
  const env = { ...context.env, ETCD_NAME: "mine", ETCD_DATA_DIR: "/elsewhere", MY_ETCD_X: "stays" };
  const started = await startStoreOn({ ...context, env }, { client: 23_999, peer: 23_998 });
  expect(started.ok).toBe(true);
  if (!started.ok) return;
  const child: Child = started.value;
  try {
    const names = written("env")
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names).toContain("MY_ETCD_X");
    expect(names.filter((name) => name?.startsWith("ETCD_"))).toEqual([]);
    expect(written("args")).toContain(`--data-dir ${join(context.dirs.store, "etcd")} `);
  } finally {
    // Its guard hears the end of the pipe and ends it: it need not be killed.
    expect(await stopStore(child, 5000)).toBe(false);
  }
  expect(child.exit?.signal).toBe("SIGTERM");
});

test("etcd that ends at once: its last words, and where its log is", async () => {
  fakeEtcd("echo 'panic: no such cluster' >&2; exit 3");
  await expect(startStore(context)).rejects.toMatchObject({
    code: "PL_STORE_FAILED",
    message: "the etcd on PATH did not start: exit code 3: panic: no such cluster",
    remedy: expect.stringContaining("store.log"),
  });
});

test("a folder for its data that cannot be made is a fault of the state folder", async () => {
  fakeEtcd("exec sleep 100");
  rmSync(context.dirs.store, { recursive: true });
  writeFileSync(context.dirs.store, "");
  await expect(startStore(context)).rejects.toMatchObject({
    code: "PL_STATE_DIR",
    message: expect.stringMatching(/^the etcd on PATH could not be started: cannot write to/),
    remedy: expect.stringContaining("XDG_STATE_HOME"),
  });
});
