import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeRow, PodRow } from "../../src/control/inspect.ts";
import { findLab, LabClient } from "../../src/lab/lab-client.ts";
import type { LabStatus } from "../../src/lab/lab-protocol.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

async function status(): Promise<LabStatus> {
  const client = await LabClient.connect(findLab(box.env, undefined));
  try {
    return await client.ask("status", { withStore: true });
  } finally {
    await client.close();
  }
}

const essentials = (rows: readonly NodeRow[]) =>
  rows.map(({ name, underlay, subnet }) => ({ name, underlay, subnet }));

describe("kill -9", () => {
  test("of a node: it is started again, keeps its subnet and its pods' addresses, and everything converges", async () => {
    await box.ok("up", "-f", box.labFile(211, "name: crash\n"), "-d");
    const nodes = await box.rows<NodeRow>("nodes");
    const pods = await box.rows<PodRow>("pods");
    const victim = nodes[1] as NodeRow;
    process.kill(victim.pid as number, "SIGKILL");
    await eventually(
      async () =>
        (await box.rows<NodeRow>("nodes")).some(
          (row) => row.name === victim.name && row.restarts === 1 && row.status === "Ready",
        ),
      20_000,
      () => "the node's return",
    );
    await box.ok("wait", "--for=converged", "--timeout", "20s");
    const after = await box.rows<NodeRow>("nodes");
    expect(essentials(after)).toEqual(essentials(nodes));
    expect(after[1]?.pid).not.toBe(victim.pid);
    const addresses = (rows: readonly PodRow[]) => rows.map(({ name, node, ip }) => ({ name, node, ip }));
    expect(addresses(await box.rows<PodRow>("pods"))).toEqual(addresses(pods));
    expect(await box.ok("verify")).toMatch(/30\/30 ordered pod pairs reachable, 0 of 150 pings lost/);
  });

  test("of the supervisor: everything is gone within five seconds, and the next `up` cleans up", async () => {
    const file = box.labFile(212, "name: crash\n");
    await box.ok("up", "-f", file, "-d", "--no-verify");
    const { pid } = await status();
    expect(box.processes()).toHaveLength(5);
    process.kill(pid, "SIGKILL");
    await eventually(
      () => box.processes().length === 0,
      5000,
      () => JSON.stringify(box.processes()),
    );
    expect(await box.run("get", "nodes")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no lab runs/),
    });

    const up = await box.run("up", "-f", file, "-d");
    expect(up.stderr).toMatch(new RegExp(`cleaned up after the supervisor ${pid}, which was killed`));
    expect(up.code).toBe(0);
    await box.ok("down");
    expect(box.runtimeFiles()).toEqual([]);
  });

  test("of the supervisor: `down` removes what it left", async () => {
    await box.ok("up", "-f", box.labFile(213, "name: crash\nnodes: { count: 1, pods: 0 }\n"), "-d");
    const { pid } = await status();
    process.kill(pid, "SIGKILL");
    const down = await box.run("down", "crash");
    expect(down).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/was dead; what it left is removed/),
    });
    expect(box.processes()).toEqual([]);
    expect(box.runtimeFiles()).toEqual([]);
  });

  test("of the store: it comes back on its address, the nodes take their leases again, traffic goes on", async () => {
    await box.ok("up", "-f", box.labFile(214, "name: crash\n"), "-d");
    const before = await status();
    process.kill(before.store.pid as number, "SIGKILL");
    await eventually(
      async () => {
        const { store } = await status();
        return store.pid !== undefined && store.pid !== before.store.pid;
      },
      10_000,
      () => "the store's return",
    );
    await box.ok("wait", "--for=converged", "--timeout", "40s");
    const after = await status();
    expect(after.store.endpoints).toEqual(before.store.endpoints);
    expect(after.storeLeases).toHaveLength(3);
    expect(await box.ok("verify")).toMatch(/30\/30 ordered pod pairs reachable, 0 of 150 pings lost/);
  });

  test("of a node that is not to be restarted: the others know, `wait` runs out of time, `verify` does not call it success", async () => {
    await box.ok("up", "-f", box.labFile(215, "name: crash\nrestart: { policy: never }\n"), "-d");
    const [victim] = await box.rows<NodeRow>("nodes");
    process.kill(victim?.pid as number, "SIGKILL");
    await eventually(
      async () => (await box.rows<NodeRow>("nodes"))[0]?.status === "Dead",
      5000,
      () => "node1 dead",
    );
    const wait = await box.run("wait", "--for=converged", "--timeout", "1s");
    expect(wait).toMatchObject({ code: 4, stdout: "" });
    expect(wait.stderr).toMatch(
      /not converged after 1\.0s: waiting for node1 \(not running: signal SIGKILL\)/,
    );
    const verify = await box.run("verify");
    expect(verify.code).toBe(1);
    expect(verify.stderr).toMatch(/node node1 and its pods were left out/);
  });
});
