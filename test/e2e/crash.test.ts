import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
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
    for (const command of [
      ["get", "nodes"],
      ["exec", "node1-pod1", "--", "ip", "addr"],
      ["wait"],
      ["verify"],
    ]) {
      const said = await box.run(...command);
      expect(said.code).toBe(1);
      expect(said.stderr).toMatch(new RegExp(`the supervisor of "crash" \\(process ${pid}\\) was killed`));
      expect(said.stderr).toMatch(/`podloom down crash` removes what it left, `podloom up` starts anew/);
    }
    expect(await box.ok("logs", "supervisor")).toMatch(/everything|nodes|ready/);

    const up = await box.run("up", "-f", file, "-d");
    expect(up.stderr).toMatch(new RegExp(`cleaned up after the supervisor ${pid}, which was killed`));
    expect(up.code).toBe(0);
    await box.ok("down");
    expect(box.runtimeFiles()).toEqual([]);
  });

  for (const [how, argv] of [
    ["`down NAME`", ["down", "crash"]],
    ["`down`", ["down"]],
    ["`down --all`", ["down", "--all"]],
  ] as const) {
    test(`of the supervisor: ${how} removes what it left, says so, and does not take long`, async () => {
      await box.ok("up", "-f", box.labFile(213, "name: crash\nnodes: { count: 2, pods: 1 }\n"), "-d");
      const { pid } = await status();
      process.kill(pid, "SIGKILL");
      // At once: the nodes and the store are still leaving.
      const down = await box.run(...argv);
      expect(down).toMatchObject({
        code: 0,
        stderr: expect.stringMatching(
          new RegExp(`the supervisor of "crash", process ${pid}, was killed; what it left is removed`),
        ),
      });
      // They have ended by themselves; nothing had to be killed.
      expect(down.stderr).not.toMatch(/had to be killed/);
      expect(box.processes()).toEqual([]);
      expect(box.runtimeFiles()).toEqual([]);
      expect(readdirSync(join(box.root, "state/podloom/crash")).sort()).toEqual([
        "lab.json",
        "logs",
        "supervisor-output.log",
      ]);
      expect(await box.run("down")).toMatchObject({ code: 1, stderr: expect.stringMatching(/no lab runs/) });
    });
  }

  test("of the supervisor while a node hangs: `down` kills that node, and says so", async () => {
    await box.ok("up", "-f", box.labFile(216, "name: crash\nnodes: { count: 2, pods: 0 }\n"), "-d");
    const { pid, nodes } = await status();
    process.kill(nodes[0]?.pid as number, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    expect(await box.run("down")).toMatchObject({
      code: 0,
      // The store waits for the node's connection, so it may be among them.
      stderr: expect.stringMatching(/what it left is removed; (1 process|2 processes) had to be killed/),
    });
    expect(box.processes()).toEqual([]);
    expect(box.runtimeFiles()).toEqual([]);
  });

  test("of a node whose log folder has been removed: it comes back, and so does the folder", async () => {
    await box.ok("up", "-f", box.labFile(217, "name: crash\n"), "-d", "--no-verify");
    const { logs, nodes } = await status();
    rmSync(logs, { recursive: true });
    process.kill(nodes[0]?.pid as number, "SIGKILL");
    await eventually(
      async () =>
        (await box.rows<NodeRow>("nodes")).some(
          (row) => row.name === "node1" && row.restarts === 1 && row.status === "Ready",
        ),
      20_000,
      () => "the node's return",
    );
    expect(readdirSync(logs)).toEqual(["node1.log"]);
    expect(await box.ok("verify")).toMatch(/30\/30 ordered pod pairs reachable, 0 of 150 pings lost/);
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

describe("a fault of the supervisor itself", () => {
  /** Makes every podloom process of the sandbox throw, or reject, where nobody catches it, on SIGUSR2. */
  function plant(fault: string): void {
    const file = join(box.root, "fault.mjs");
    writeFileSync(file, `process.on("SIGUSR2", () => { setImmediate(() => { ${fault} }); });\n`);
    box.env.NODE_OPTIONS = `--import=${pathToFileURL(file).href}`;
  }
  const faults = [
    ["thrown", 'throw new Error("planted")', "uncaughtException"],
    ["rejected", 'void Promise.reject(new Error("planted"))', "unhandledRejection"],
  ] as const;

  for (const [what, fault, event] of faults) {
    test(`${what} in the foreground: the lab is stopped in order, exit code 70, the log has the stack`, async () => {
      plant(fault);
      const up = box.start("up", "-f", box.labFile(218, "name: crash\nnodes: { count: 2, pods: 1 }\n"));
      await up.until(/Ctrl-C stops everything/);
      up.child.kill("SIGUSR2");
      const end = await up.finished;
      expect(end).toMatchObject({ code: 70, signal: null });
      expect(end.stderr).toMatch(
        /a fault of the supervisor itself has ended the lab: planted \[PL_CRASHED\]\n {2}.*supervisor\.log/,
      );
      expect(box.processes()).toEqual([]);
      expect(box.runtimeFiles()).toEqual([]);
      expect(fatalLine()).toMatchObject({ event, err: { stack: expect.stringContaining("fault.mjs") } });
    });
  }

  test("in the background: nothing is left, and its log has the stack", async () => {
    plant(faults[0][1]);
    await box.ok("up", "-f", box.labFile(219, "name: crash\nnodes: { count: 2, pods: 1 }\n"), "-d");
    process.kill((await status()).pid, "SIGUSR2");
    await eventually(
      () => box.processes().length === 0,
      10_000,
      () => JSON.stringify(box.processes()),
    );
    expect(box.runtimeFiles()).toEqual([]);
    expect(fatalLine()).toMatchObject({ err: { stack: expect.stringContaining("fault.mjs") } });
    expect(await box.ok("logs", "supervisor")).toMatch(/everything has ended/);
  });

  function fatalLine(): unknown {
    const log = readFileSync(join(box.root, "state/podloom/crash/logs/supervisor.log"), "utf8");
    const lines = log.trim().split("\n");
    return lines.map((line) => JSON.parse(line) as { level: number }).find((line) => line.level === 60);
  }
});
