import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeRow } from "../../src/control/inspect.ts";
import { findLab, LabClient } from "../../src/lab/lab-client.ts";
import type { LabStatus } from "../../src/lab/lab-protocol.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

const HAS_ETCD = spawnSync("etcd", ["--version"]).error === undefined;

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

describe.skipIf(!HAS_ETCD)("kill -9 of etcd itself (skipped without etcd on PATH)", () => {
  test("it comes back with its data; the nodes keep leases, subnets and processes, and traffic goes on meanwhile", async () => {
    await box.ok("up", "-f", box.labFile(219, "name: real\n"), "--store", "etcd", "-d", "--no-verify");
    const before = await status();
    const nodes = await box.rows<NodeRow>("nodes");
    process.kill(before.store.pid as number, "SIGKILL");
    // The data path does not need the store.
    expect(await box.ok("verify", "--count", "2")).toMatch(/30\/30 ordered pod pairs reachable, 0 of 60/);
    await eventually(
      async () => {
        const { store } = await status();
        return store.pid !== undefined && store.pid !== before.store.pid;
      },
      20_000,
      () => "etcd's return",
    );
    await box.ok("wait", "--for=converged", "--timeout", "40s");
    const after = await status();
    expect(after.store.endpoints).toEqual(before.store.endpoints);
    expect(after.storeLeases).toEqual(before.storeLeases);
    const essentials = (rows: readonly NodeRow[]) =>
      rows.map(({ name, pid, subnet }) => ({ name, pid, subnet }));
    expect(essentials(await box.rows<NodeRow>("nodes"))).toEqual(essentials(nodes));
    expect(await box.ok("logs", "supervisor")).toMatch(
      /the store ended with signal SIGKILL; .*\n.*the store is back/,
    );
    await box.ok("down");
    expect(box.processes()).toEqual([]);
  });
});
