import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

test("the main job: three nodes, every pair of pods reachable, all shown; Ctrl-C ends everything and says so", async () => {
  const example = readFileSync(new URL("../../examples/three-nodes.yaml", import.meta.url), "utf8");
  const file = box.labFile(
    201,
    example.replace("apiVersion: podloom/v1\n", "").replace("192.168.56.0", "192.168.201.0"),
  );
  const up = box.start("up", "--file", file);
  await up.until(/Ctrl-C stops everything/);

  // One row a node: name, pid, underlay, subnet, VTEP MAC, memory.
  for (const n of [1, 2, 3]) {
    const row = new RegExp(
      `^node${n} +\\d+ +192\\.168\\.201\\.${n + 1} +10\\.244\\.\\d+\\.0/24 +([0-9a-f]{2}:){5}[0-9a-f]{2} +\\d+Mi`,
      "m",
    );
    expect(up.stdout).toMatch(row);
  }
  expect(up.stdout).toMatch(
    /30\/30 ordered pod pairs reachable, 0 of 150 pings lost, RTT median [\d.]+ ms, p99 [\d.]+ ms/,
  );
  expect(up.stdout).toMatch(/^store +embedded etcd v3 server, durable, at http:\/\/127\.0\.0\.1:\d+$/m);
  expect(up.stdout).toMatch(new RegExp(`^logs +${join(box.root, "state/podloom/three-nodes/logs")}$`, "m"));
  expect(up.stdout).toMatch(new RegExp(`^control +${join(box.root, "podloom/three-nodes/lab.sock")}$`, "m"));
  expect(up.stdout).toMatch(/podloom exec node1-pod1 -- ping -c 3 10\.244\.\d+\.2/);
  // Not a terminal: lines of text, no colours, nothing that moves.
  expect(up.stdout + up.stderr).not.toContain("\u001b");
  expect(up.stderr).toMatch(/^✔ nodes +3 nodes agree on 3 leases/m);

  // Supervisor, store, three nodes.
  expect(box.processes()).toHaveLength(5);
  up.child.kill("SIGINT");
  const end = await up.finished;
  expect(end.code).toBe(0);
  expect(end.stderr).toMatch(/lab "three-nodes" is down: no process, socket or lease is left/);
  expect(box.processes()).toEqual([]);
  expect(box.runtimeFiles()).toEqual([]);
});

/** What a node of the lab "cycles" said at its end of the packet buffers that nobody had released. */
function buffersHeld(node: string): unknown[] {
  const log = readFileSync(join(box.root, `state/podloom/cycles/logs/${node}.log`), "utf8");
  const lines = log.trim().split("\n");
  return lines
    .map((line) => JSON.parse(line) as { event: string; outstanding?: number })
    .flatMap(({ event, outstanding }) => (event === "buffers" ? [outstanding] : []));
}

test("twenty cycles of up and down leave no process, socket, file or buffer", async () => {
  const file = box.labFile(202, "name: cycles\nnodes: { count: 2, pods: 1 }\n");
  const state = new Set<string>();
  for (let cycle = 0; cycle < 20; cycle++) {
    await box.ok("up", "-f", file, "-d", "--no-verify");
    expect(box.processes()).toHaveLength(4);
    await box.ok("down");
    expect(box.processes()).toEqual([]);
    expect(box.runtimeFiles()).toEqual([]);
    for (const node of ["node1", "node2"]) expect(buffersHeld(node)).toEqual([0]);
    state.add(readdirSync(join(box.root, "state"), { recursive: true }).map(String).sort().join("\n"));
  }
  // The logs of the last run stay, and nothing grows from run to run.
  expect(state.size).toBe(1);
});

test("Ctrl-C while it comes up stops what has started, with exit code 130", async () => {
  const file = box.labFile(203, "name: hasty\n");
  for (const delayMs of [150, 600, 1200]) {
    const up = box.start("up", "-f", file);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    up.child.kill("SIGINT");
    const end = await up.finished;
    // Very early there is no handler yet, and the signal itself ends it.
    expect([130, null]).toContain(end.code);
    expect(box.processes()).toEqual([]);
    expect(box.runtimeFiles()).toEqual([]);
  }
});

test("a detached lab outlives its command, and a second `up` names it", async () => {
  const file = box.labFile(204, "name: twice\nnodes: { count: 1, pods: 1 }\n");
  await box.ok("up", "-f", file, "-d", "--no-verify");
  const again = await box.run("up", "-f", file);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/the lab "twice" runs already, as process \d+/);
  expect(again.stderr).toMatch(/podloom down twice/);
  // Nor does one in the background do away with the files that the first one still writes to.
  expect((await box.run("up", "-f", file, "-d")).code).toBe(1);
  expect(readdirSync(join(box.root, "state/podloom/twice")).sort()).toEqual([
    "lab.json",
    "logs",
    "nodes",
    "store",
    "supervisor-output.log",
  ]);
  // The first one does not notice.
  expect(await box.rows("nodes")).toMatchObject([{ name: "node1", status: "Ready", restarts: 0 }]);
});

test("two labs side by side; which one is meant must be said", async () => {
  const one = box.labFile(205, "name: one\nnodes: { count: 2, pods: 1 }\n", "one.yaml");
  const two = box.labFile(206, "name: two\nnodes: { count: 2, pods: 1, prefix: other }\n", "two.yaml");
  const clash = box.labFile(205, "name: three\n", "three.yaml");
  await Promise.all([box.ok("up", "-f", one, "-d"), box.ok("up", "-f", two, "-d")]);
  expect(await box.rows("pods", "--lab", "one")).toMatchObject([
    { name: "node1-pod1" },
    { name: "node2-pod1" },
  ]);
  expect(await box.rows("pods", "--lab", "two")).toMatchObject([
    { name: "other1-pod1" },
    { name: "other2-pod1" },
  ]);
  expect(await box.run("get", "pods")).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/several labs run: one, two/),
  });

  const third = await box.run("up", "-f", clash);
  expect(third).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(/the lab "one" .* same socket addresses/),
  });

  await box.ok("down", "one");
  expect(await box.rows("nodes")).toMatchObject([{ name: "other1" }, { name: "other2" }]);
  expect(await box.ok("verify")).toMatch(/2\/2 ordered pod pairs reachable, 0 of 10 pings lost/);
  await box.ok("down", "--all");
  expect(box.processes()).toEqual([]);
});
