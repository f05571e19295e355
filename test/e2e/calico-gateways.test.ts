// Gateways: without a route to the pods a router is where un-encapsulated packets end, and says so; with BGP it forwards them, whether
// the nodes tell it or one announcer does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LinkRow, NodeRow } from "../../src/control/inspect.ts";
import {
  apply,
  changedExample,
  example,
  nodeNamed,
  poolOf,
  routesBecome,
  routesOf,
} from "../support/calico-lab.ts";
import { type Running, Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

test("CrossSubnet crosses by tunnel; with encapsulation off the router drops, and says why", async () => {
  await box.ok(
    "up",
    "-f",
    changedExample(box, "calico-cross-subnet", (text) =>
      text.replace("calico:\n  ", "calico:\n  timers: fast\n  "),
    ),
    "-d",
  );
  const near = (await nodeNamed(box, "node2")).subnet as string;
  const far = (await nodeNamed(box, "node3")).subnet as string;
  const routes = await routesOf(box, "node1");
  expect(routes).toContain(`${near} via 10.20.0.6 dev eth0 proto bird`);
  expect(routes).toContain(`${far} via 10.30.0.5 dev tunl0 proto bird onlink`);
  expect(routes).toContain("default via 10.20.0.1 dev eth0");
  expect((await routesOf(box, "router/core")).filter((route) => route.includes("192.168."))).toEqual([]);

  await apply(box, poolOf({ ipipMode: "Never" }));
  await routesBecome(box, "node1", (after) => after.includes(`${far} via 10.20.0.1 dev eth0 proto bird`));
  const pods = await box.rows<{ name: string; ip: string }>("pods");
  const target = pods.find(({ name }) => name === "node3-pod1") as { ip: string };
  const neighbour = pods.find(({ name }) => name === "node2-pod1") as { ip: string };
  const ping = await box.run(
    "exec",
    "node1-pod1",
    "--",
    "ping",
    "-c",
    "3",
    "-i",
    "0.2",
    "-W",
    "1",
    target.ip,
  );
  expect(ping.code).toBe(1);
  // In silence: what has no route to a pod has none to the pod that should hear of it.
  expect(ping.stdout).toMatch(/3 packets transmitted, 0 received/);
  expect(await box.ok("exec", "node1-pod1", "--", "ping", "-c", "1", neighbour.ip)).toMatch(
    / 0% packet loss/,
  );
  // Counted where it happens, by Linux's name.
  const core = await nodeNamed(box, "core");
  expect(core.drops).toMatchObject({ IP_INNOROUTES: expect.any(Number) });
  expect(core.drops["IP_INNOROUTES"]).toBeGreaterThanOrEqual(3);
  expect(await box.ok("get", "nodes", "-o", "wide")).toMatch(/^core .*IP_INNOROUTES/m);
  const links = await box.rows<LinkRow>("links", "--node", "core");
  expect(JSON.stringify(links)).toContain("IP_INNOROUTES");
});

test("a top-of-rack router takes whoever calls from its subnets, and un-encapsulated pods cross it", async () => {
  const up = await box.ok(
    "up",
    "-f",
    changedExample(box, "calico-tor", (text) => text.replace("calico:\n  ", "calico:\n  timers: fast\n  ")),
    "-d",
  );
  expect(up).toMatch(/56\/56 ordered pod pairs reachable, 0 of \d+ pings lost/);
  const tor = await routesOf(box, "router/tor1");
  for (const [name, addr, dev] of [
    ["node1", "10.20.0.5", "eth0"],
    ["node2", "10.20.0.6", "eth0"],
    ["node3", "10.30.0.5", "eth1"],
    ["node4", "10.30.0.6", "eth1"],
  ] as const) {
    const { subnet } = await nodeNamed(box, name);
    expect(tor).toContain(`${subnet} via ${addr} dev ${dev} proto bird`);
  }
  expect((await nodeNamed(box, "tor1")).peers).toBe(4);
  const far = (await nodeNamed(box, "node3")).subnet as string;
  expect(await routesOf(box, "node1")).toContain(`${far} via 10.20.0.1 dev eth0 proto bird`);
});

test("an announcer tells the router of every node's block, also of one that comes later", async () => {
  const up = await box.ok("up", "-f", example("calico-announcer"), "-d");
  expect(up).toMatch(/12\/12 ordered pod pairs reachable, 0 of \d+ pings lost/);
  const gw = (await routesOf(box, "router/gw1")).filter((route) => route.endsWith("proto bird"));
  const blocks = await Promise.all(["node1", "node2", "node3", "node4"].map((name) => nodeNamed(box, name)));
  expect(new Set(gw.map((route) => route.split(" ")[0]))).toEqual(
    new Set(blocks.map(({ subnet }) => subnet)),
  );
  expect(gw).toHaveLength(4);
  expect((await nodeNamed(box, "gw1")).peers).toBe(1);
  const late = await joinAs(box, blocks[0] as NodeRow, "node9", "10.20.0.99");
  await routesBecome(box, "router/gw1", (routes) =>
    routes.some((route) => / via 10\.20\.0\.99 dev \S+ proto bird$/.test(route)),
  );
  late.child.kill("SIGTERM");
  expect((await late.finished).code).toBe(0);
  // A node that is deleted is told of no more.
  await box.ok("delete", "node", "node4");
  await routesBecome(
    box,
    "router/gw1",
    (routes) => !routes.some((route) => route.startsWith(blocks[3]?.subnet ?? "?")),
  );
});

/** One more node of the cluster, which the lab's supervisor knows nothing of: started with the words that another one was. */
async function joinAs(box: Sandbox, like: NodeRow, name: string, address: string): Promise<Running> {
  const [, , ...words] = readFileSync(`/proc/${like.pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  const own: Readonly<Record<string, string>> = {
    "--name": name,
    "--pod": `${name}-pod1`,
    "--address": address,
    "--state": join(box.root, name),
  };
  const argv = words.flatMap((word, i) => {
    const flag = words[i - 1] ?? "";
    if (word === "--control" || flag === "--control") return [];
    return [own[flag] ?? word];
  });
  return box.start(...argv);
}
