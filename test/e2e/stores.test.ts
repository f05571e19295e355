import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/e2e-lab.ts";

const HAS_ETCD = spawnSync("etcd", ["--version"]).error === undefined;
const HAS_ETCDCTL =
  spawnSync("etcdctl", ["version"], { env: { ...process.env, ETCDCTL_API: "3" } }).error === undefined;

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

function endpointOf(stdout: string): string {
  return /at http:\/\/(127\.0\.0\.1:\d+)/.exec(stdout)?.[1] as string;
}

function etcdctl(endpoint: string, ...argv: string[]): string {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const { stdout, stderr, status } = spawnSync("etcdctl", [`--endpoints=${endpoint}`, ...argv], {
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`etcdctl ${argv.join(" ")}: ${stderr}`);
  return stdout;
}

describe.skipIf(!HAS_ETCD)("--store etcd (skipped without etcd on PATH)", () => {
  test("starts the etcd on PATH, and it ends with the lab", async () => {
    const up = await box.ok("up", "-f", box.labFile(241, "name: real\n"), "--store", "etcd", "-d");
    expect(up).toMatch(/^store +etcd \d+\.\d+\.\d+, started from PATH, at http/m);
    expect(up).toMatch(/30\/30 ordered pod pairs reachable, 0 of 150 pings lost/);
    await box.ok("down");
    expect(box.processes()).toEqual([]);
  });

  test("ends when the supervisor is killed", async () => {
    await box.ok(
      "up",
      "-f",
      box.labFile(242, "name: real\nnodes: { count: 1, pods: 0 }\n"),
      "--store",
      "etcd",
      "-d",
    );
    const supervisor = box.processes().find(({ command }) => command.includes("__supervise"));
    process.kill(supervisor?.pid as number, "SIGKILL");
    const deadline = performance.now() + 5000;
    while (box.processes().length > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(box.processes()).toEqual([]);
  });

  test("one that runs already serves by its address, and keeps neither leases nor harm", async () => {
    const first = await box.ok(
      "up",
      "-f",
      box.labFile(243, "name: host\nnodes: { count: 1, pods: 0 }\n", "a.yaml"),
      "--store",
      "etcd",
      "-d",
    );
    const endpoint = endpointOf(first);
    const guest = box.labFile(244, "name: guest\netcdPrefix: /guest/network\n", "b.yaml");
    expect(await box.ok("up", "-f", guest, "--store", `http://${endpoint}`, "-d")).toMatch(
      /etcd .*which ran before/,
    );
    if (HAS_ETCDCTL)
      expect(
        etcdctl(endpoint, "get", "--prefix", "--keys-only", "/guest/network/subnets").trim().split(/\s+/),
      ).toHaveLength(3);
    await box.ok("down", "guest");
    // Leaving, every node gave its lease back.
    if (HAS_ETCDCTL)
      expect(etcdctl(endpoint, "get", "--prefix", "--keys-only", "/guest/network/subnets").trim()).toBe("");
  });
});

test.skipIf(!HAS_ETCDCTL)(
  "etcdctl reads of the embedded store what Flannel writes (skipped without etcdctl)",
  async () => {
    const up = await box.ok("up", "-f", box.labFile(245, "name: keys\nnodes: { count: 2, pods: 0 }\n"), "-d");
    const lines = etcdctl(endpointOf(up), "get", "--prefix", "/coreos.com/network").trim().split("\n");
    expect(lines.slice(0, 2)).toEqual([
      "/coreos.com/network/config",
      '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}',
    ]);
    expect(lines).toHaveLength(6);
    for (const i of [2, 4]) {
      expect(lines[i]).toMatch(/^\/coreos\.com\/network\/subnets\/10\.244\.\d+\.0-24$/);
      expect(lines[i + 1]).toMatch(
        /^\{"PublicIP":"192\.168\.245\.[23]","PublicIPv6":null,"BackendType":"vxlan","BackendData":\{"VNI":1,"VtepMAC":"([0-9a-f]{2}:){5}[0-9a-f]{2}"\}\}$/,
      );
    }
  },
);
