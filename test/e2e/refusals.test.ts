import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(async () => {
  // Whatever was refused has left nothing.
  expect(box.processes()).toEqual([]);
  expect(box.runtimeFiles()).toEqual([]);
  await box.dispose();
});

for (const detach of [false, true]) {
  test(`a port in use stops everything and is named${detach ? " (detached)" : ""}`, async () => {
    const third = detach ? 232 : 231;
    const thief = createSocket("udp4").bind(8472, `127.168.${third}.3`);
    await once(thief, "listening");
    try {
      const file = box.labFile(third, "name: full\n");
      const up = await box.run("up", "-f", file, ...(detach ? ["-d"] : []));
      expect(up.code).toBe(5);
      expect(up.stderr).toMatch(new RegExp(`node node2: .*127\\.168\\.${third}\\.3:8472.* in use`));
      expect(up.stderr).toMatch(/ss -lunp/);
      expect(up.stdout).toBe("");
    } finally {
      thief.close();
    }
  });
}

test("a network without a subnet for every node is refused before anything starts", async () => {
  const file = box.labFile(233, "network: { Network: 10.1.0.0/22, SubnetLen: 24 }\nnodes: { count: 4 }\n");
  const up = await box.run("up", "-f", file);
  expect(up).toMatchObject({ code: 2, stdout: "" });
  expect(up.stderr).toMatch(
    /lab\.yaml:3:21: network\.Network: out of subnets: 10\.1\.0\.0\/22 has 3 of \/24, the lab has 4 nodes/,
  );
});

describe("a bad lab file: exit 2, with file, line, key and remedy", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      "unknown backend",
      "network: { Backend: { Type: ipip } }\n",
      /lab\.yaml:3:29: network\.Backend\.Type: unknown backend type: ipip\n {2}podloom has: vxlan/,
    ],
    [
      "overlapping subnets",
      "network: { Network: 192.168.0.0/16 }\n",
      /lab\.yaml:3:21: network\.Network: .* overlaps the underlay/,
    ],
    [
      "one address twice",
      "nodes: [{ name: a, address: 192.168.234.2 }, { name: b, address: 192.168.234.2 }]\n",
      /lab\.yaml:3:\d+: nodes\[1\]\.address: 192\.168\.234\.2 is the address of both a and b/,
    ],
    ["unknown key", "nodez: 3\n", /lab\.yaml:3:1: nodez: unknown key "nodez"\n {2}Did you mean "nodes"\?/],
    ["not YAML", "nodes: [\n", /lab\.yaml:\d+:\d+: /],
  ];
  for (const [name, text, message] of cases) {
    test(name, async () => {
      const up = await box.run("up", "-f", box.labFile(234, text));
      expect(up).toMatchObject({ code: 2, stdout: "" });
      expect(up.stderr).toMatch(message);
    });
  }
});

test("a store that refuses is named, with what to do", async () => {
  const up = await box.run("up", "-f", box.labFile(235), "--store", "http://127.0.0.1:9");
  expect(up).toMatchObject({ code: 5, stdout: "" });
  expect(up.stderr).toMatch(/no etcd answers at http:\/\/127\.0\.0\.1:9/);
  expect(up.stderr).toMatch(/--store embedded needs none/);
});

test("etcd that is not on PATH is named, with what to do", async () => {
  box.env.PATH = "/nowhere";
  const up = await box.run("up", "-f", box.labFile(236), "--store", "etcd");
  expect(up).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(/no `etcd` on PATH[\s\S]*--store embedded/),
  });
});

test("a lab that does not converge in time is stopped, with exit code 4 and what it waited for", async () => {
  const up = await box.run("up", "-f", box.labFile(237), "--timeout", "1ms");
  expect(up.code).toBe(4);
  expect(up.stderr).toMatch(/not converged after .*: \d of 3 nodes ready; waiting for node/);
});

describe("folders that cannot be written: exit 5, what to set, and nothing is left", () => {
  const modes = [
    ["", []],
    [" (detached)", ["-d"]],
  ] as const;
  for (const [mode, flags] of modes) {
    for (const [folder, code] of [
      ["XDG_STATE_HOME", "PL_STATE_DIR"],
      ["XDG_RUNTIME_DIR", "PL_RUNTIME_DIR"],
    ] as const) {
      for (const [what, place] of [
        ["is below a file", "file/x"],
        ["is below /proc", "/proc/podloom"],
      ] as const) {
        test(`${folder} ${what}${mode}`, async () => {
          const file = box.labFile(238, "name: full\n");
          writeFileSync(join(box.root, "file"), "");
          const before = readdirSync(box.root);
          const own = { ...box.env };
          box.env[folder] = resolve(box.root, place);
          // A making of folders that never ends must not hold up the suite.
          const up = box.start("up", "-f", file, ...flags);
          const watchdog = setTimeout(() => up.child.kill("SIGKILL"), 30_000);
          const end = await up.finished;
          clearTimeout(watchdog);
          expect(end).toMatchObject({ code: 5, stdout: "" });
          expect(end.stderr).toMatch(
            new RegExp(`error: cannot .*${place}.* \\[${code}\\]\\n  Set ${folder} to`),
          );
          expect(end.stderr).not.toMatch(/^ {4}at /m);
          Object.assign(box.env, own);
          const left = readdirSync(box.root).filter((name) => !before.includes(name));
          // Where logs would have gone there may be an empty folder of the user's own making, nothing of ours.
          expect(left.flatMap((name) => readdirSync(join(box.root, name)))).toEqual([]);
        });
      }
    }

    // A limit on the size of files does to a write what a full disk does: the file is there, and nothing goes in.
    for (const [what, blocks, code] of [
      ["not even the lock", 0, "PL_RUNTIME_DIR"],
      ["the lock, but not the lab", 1, "PL_STATE_DIR"],
    ] as const) {
      test(`a full disk takes ${what}${mode}`, async () => {
        const file = box.labFile(239, "name: full\n");
        const end = await limited(blocks, "up", "-f", file, ...flags);
        expect(end).toMatchObject({ code: 5, stdout: "" });
        expect(end.stderr).toMatch(new RegExp(`EFBIG.* \\[${code}\\]\\n  .*XDG_`));
        expect(box.runtimeFiles()).toEqual([]);
        expect(existsSync(join(box.root, "podloom"))).toBe(false);
        expect(existsSync(join(box.root, "state/podloom"))).toBe(false);
        // The next one finds nothing to clean up after.
        const up = await box.run("up", "-f", file, "-d", "--nodes", "1", "--pods", "0");
        expect(up).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/cleaned up/) });
        await box.ok("down");
      });
    }
  }

  function limited(
    blocks: number,
    ...argv: string[]
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const podloom = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));
    const script = `ulimit -f ${blocks}; exec "$@"`;
    return new Promise((settle) => {
      const child = execFile(
        "/bin/sh",
        ["-c", script, "sh", process.execPath, podloom, ...argv],
        { env: box.env, cwd: box.root },
        (_, stdout, stderr) => settle({ code: child.exitCode, stdout, stderr }),
      );
    });
  }
});
