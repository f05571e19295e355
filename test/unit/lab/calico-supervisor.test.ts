// A supervisor of a Calico lab: what each process is told, and that routers and announcers are looked after as nodes are.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findLab, LabClient } from "../../../src/lab/lab-client.ts";
import type { LabGetResult } from "../../../src/lab/lab-protocol.ts";
import type { Supervisor } from "../../../src/lab/supervisor.ts";
import { allReady, FaultyLab } from "../../support/faulty-lab.ts";

const LAB = {
  cni: "calico",
  calico: { version: "3.33", timers: "fast", ipipCarrier: "fou" },
  underlay: {
    segments: [
      { name: "rack1", subnet: "10.240.1.0/24", gateway: "10.240.1.1" },
      { name: "rack2", subnet: "10.240.2.0/24" },
    ],
    mtu: 1400,
  },
  nodes: [
    { name: "n1", pods: ["a", { name: "b", ip: "192.168.1.2", namespace: "shop" }] },
    { name: "n2", pods: [] },
  ],
  routers: [
    {
      name: "tor1",
      interfaces: ["10.240.1.1/24", "10.240.2.1/24"],
      bgp: { as: 64600, ranges: [{ name: "r", prefix: "10.240.1.0/24", as: 64512 }] },
    },
    { name: "plain", interfaces: ["10.240.1.9/24"] },
  ],
  announcers: [{ name: "ann", address: "10.240.1.250", as: 64512, gateways: ["10.240.1.1"] }],
};

let lab: FaultyLab;
beforeEach(() => {
  lab = new FaultyLab();
});
afterEach(() => lab.dispose());

function read(supervisor: Supervisor, name: string, file: string): unknown {
  return JSON.parse(readFileSync(join(supervisor.dirs.nodes, name, file), "utf8"));
}

test("nodes, routers and announcers are told what the lab file says", async () => {
  const supervisor = await lab.start({}, LAB);
  await lab.until("all are ready", allReady(supervisor));
  const [endpoint] = (await supervisor.status(false)).store.endpoints;
  const { nodes, socket } = supervisor.dirs;
  expect(read(supervisor, "n1", "argv.json")).toEqual([
    "node",
    ...["--name", "n1", "--address", "10.240.1.2", "--segment", "10.240.1.0/24"],
    ...["--carrier", "loopback", "--mtu", "1400", "--etcd", endpoint],
    ...["--state", join(nodes, "n1"), "--control", socket],
    ...["--cni", "calico", "--calico-version", "3.33", "--bgp-timers", "fast", "--ipip-carrier", "fou"],
    ...["--gateway", "10.240.1.1", "--pod", "a", "--pod", "b=192.168.1.2@shop"],
  ]);
  expect(read(supervisor, "n2", "argv.json")).not.toContain("--gateway");
  const file = join(nodes, "tor1", "router.json");
  expect(read(supervisor, "tor1", "argv.json")).toEqual(["router", "-f", file, "--control", socket]);
  const port = (read(supervisor, "ann", "router.json") as { announcer: { port: number } }).announcer.port;
  expect([179, 1790]).toContain(port);
  const base = { apiVersion: "podloom/v1", kind: "Router", carrier: "loopback", mtu: 1400 };
  expect(read(supervisor, "tor1", "router.json")).toEqual({
    ...base,
    name: "tor1",
    interfaces: [
      { name: "eth0", address: "10.240.1.1/24" },
      { name: "eth1", address: "10.240.2.1/24" },
    ],
    bgp: { routerId: "10.240.1.1", ...LAB.routers[0]?.bgp, listen: { port } },
  });
  expect(read(supervisor, "plain", "router.json")).toEqual({
    ...base,
    name: "plain",
    interfaces: [{ name: "eth0", address: "10.240.1.9/24" }],
  });
  expect(read(supervisor, "ann", "router.json")).toEqual({
    ...base,
    name: "ann",
    interfaces: [{ name: "eth0", address: "10.240.1.250/24" }],
    announcer: { etcd: [endpoint], as: 64512, gateways: ["10.240.1.1"], port },
  });
});

test("a router is listed, watched, started again and answers exec as a node does", async () => {
  const supervisor = await lab.start({ tor1: { exitCode: 1, afterMs: 300, lives: 1 } }, LAB);
  await lab.until("tor1 came back", () => supervisor.node("tor1")?.restarts === 1);
  await lab.until("all are ready", allReady(supervisor));
  expect(lab.events).toContainEqual(expect.objectContaining({ t: "nodeEnded", name: "tor1" }));
  const status = await supervisor.status(false);
  expect(status.cni).toBe("calico");
  expect(status.nodes.map(({ name, role, underlay }) => [name, role, underlay])).toEqual([
    ["tor1", "router", "10.240.1.1,10.240.2.1"],
    ["plain", "router", "10.240.1.9"],
    ["n1", "node", "10.240.1.2"],
    ["n2", "node", "10.240.2.2"],
    ["ann", "announcer", "10.240.1.250"],
  ]);
  const client = await LabClient.connect(findLab(lab.env, "fake"));
  try {
    const { rows } = (await client.ask("get", { noun: "nodes" })) as LabGetResult;
    expect(rows).toMatchObject([
      { role: "router" },
      {},
      { name: "n1", role: "node" },
      {},
      { role: "announcer" },
    ]);
    let said = "";
    const target = { t: "node", node: "tor1" } as const;
    await client.exec({ target, argv: ["ip", "route"] }, (_, data) => (said += String(data))).done;
    expect(said).toContain(": ip route");
  } finally {
    await client.close();
  }
});
