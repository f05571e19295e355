// CNI ADD and DEL: what is asked in which order, and what is left when a step fails.
import { beforeEach, expect, test } from "vitest";
import type { PodAnswer } from "../../../../src/agent/agent-messages.ts";
import type { CniAnswer, CniOutput } from "../../../../src/agent/calico/cni-messages.ts";
import { CniPlugin } from "../../../../src/agent/calico/cni-plugin.ts";
import { EndpointManager } from "../../../../src/agent/calico/felix/endpoint-manager.ts";
import { readPodRecords } from "../../../../src/agent/calico/pod-record.ts";
import { formatIpv4, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { SEC_US } from "../../../../src/base/time.ts";
import type { IpamRequest } from "../../../../src/control/calico/ipam/ipam-messages.ts";
import { NetStack } from "../../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../../src/stack/packet-pool.ts";

const ADDR = ipv4("192.168.18.64");

const AWAY = "the store is away";

/** A plugin, and a cluster that the test plays. */
class World {
  readonly pool = new PacketPool(10, true);
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: this.pool });
  readonly host = this.stack.addNetns("");
  readonly endpoints: EndpointManager;
  readonly plugin: CniPlugin;
  readonly files: Map<string, string>;
  now = 1_000_000;
  /** What was asked, the last word of each. */
  readonly asked: string[] = [];
  done: PodAnswer["result"] | undefined;
  passing: boolean | undefined;
  /** Does the block say that the pods have their addresses? */
  holds = true;
  /** What goes wrong: by the question's word. */
  fault: Readonly<Record<string, string>> = {};

  constructor(files = new Map<string, string>()) {
    this.files = files;
    this.endpoints = new EndpointManager({
      node: "node-1",
      stack: this.stack,
      host: this.host,
      routeMetric: 0,
      keepRoute: (addr, spec) => {
        if (spec === undefined) this.host.delRoute({ dst: { addr, len: 32 } }, this.now);
        else this.host.addRoute(spec, this.now);
      },
    });
    this.plugin = new CniPlugin({
      node: "node-1",
      rng: new SeededRng(2),
      endpoints: this.endpoints,
      files: new Map(files),
      podMtuBytes: () => 1480,
      holds: () => this.holds,
      wallMs: () => Date.UTC(2026, 5, 1),
    });
  }

  drain(): void {
    for (let output = this.plugin.poll(); output !== undefined; output = this.plugin.poll())
      this.#perform(output);
  }

  #perform(output: CniOutput): void {
    switch (output.t) {
      case "putFile":
        this.files.set(output.path, output.text);
        return;
      case "delFile":
        this.files.delete(output.path);
        return;
      case "done":
        this.done = output.result;
        this.passing = output.passing;
        return;
      case "log":
        return;
      default:
        this.plugin.handle(this.#answer(output), this.now);
    }
  }

  #answer(output: Extract<CniOutput, { t: "ipam" | "putEndpoint" | "delEndpoint" }>): CniAnswer {
    const { task } = output;
    const word = output.t === "ipam" ? output.request.t : output.t;
    this.asked.push(word);
    const message = this.fault[word];
    const passing = message === AWAY;
    if (output.t !== "ipam")
      return { t: "written", task, error: message === undefined ? undefined : { message, passing } };
    const failed =
      message === undefined
        ? undefined
        : ({ code: passing ? "unavailable" : "noAddresses", message } as const);
    return {
      t: "ipam",
      task,
      answer: { addrs: failed === undefined ? [addressFor(output.request)] : [], error: failed },
    };
  }
}

function addressFor(request: IpamRequest): number {
  return request.t === "assignIp" ? request.addr : ADDR;
}

let world: World;
beforeEach(() => {
  world = new World();
});

function add(name: string, ip?: string): void {
  world.plugin.add(1, { name, ip: ip === undefined ? undefined : ipv4(ip), namespace: "shop" }, world.now);
  world.drain();
}

function del(name: string): void {
  world.plugin.del(2, name, world.now);
  world.drain();
}

test("an address, the endpoint, the pod; back in the other order, and nothing is left", () => {
  add("web-0");
  expect(world.done).toMatchObject({
    ok: true,
    value: { ip: "192.168.18.64", namespace: "shop", mtu: 1480 },
  });
  expect(world.asked.splice(0)).toEqual(["autoAssign", "putEndpoint"]);
  expect([...world.files.keys()]).toEqual(["var/lib/calico/pods/web-0.json"]);
  del("web-0");
  expect(world.done).toMatchObject({ ok: true, value: { name: "web-0" } });
  expect(world.asked).toEqual(["delEndpoint", "releaseByHandle"]);
  expect([world.files.size, world.endpoints.size]).toEqual([0, 0]);
});

test("what the endpoint says", () => {
  world.plugin.add(1, { name: "web-0", ip: undefined, namespace: "shop" }, world.now);
  // First what tells a later life of it, should this one end now.
  expect(world.plugin.poll()).toMatchObject({ t: "putFile" });
  const request = world.plugin.poll() as Extract<CniOutput, { t: "ipam" }>;
  expect(request.request).toMatchObject({
    t: "autoAssign",
    host: "node-1",
    handle: expect.stringMatching(/^k8s-pod-network\.[0-9a-f]{64}$/),
    attributes: { namespace: "shop", node: "node-1", pod: "web-0", timestamp: "2026-06-01T00:00:00Z" },
  });
  world.plugin.handle(
    { t: "ipam", task: request.task, answer: { addrs: [ADDR], error: undefined } },
    world.now,
  );
  expect(world.plugin.poll()).toMatchObject({
    t: "putEndpoint",
    endpoint: {
      metadata: { name: "node--1-k8s-web--0-eth0", namespace: "shop" },
      spec: {
        ipNetworks: [`${formatIpv4(ADDR)}/32`],
        interfaceName: expect.stringMatching(/^cali[0-9a-f]{11}$/),
      },
    },
  });
});

test.each([
  ["autoAssign", "No IPs available", ["autoAssign"]],
  ["putEndpoint", "the store refuses", ["autoAssign", "putEndpoint", "delEndpoint", "releaseByHandle"]],
])("when %s fails, the pod is refused with the reason and everything is given back", (word, error, asked) => {
  world.fault = { [word]: error };
  add("web");
  expect(world.done).toEqual({ ok: false, error });
  expect(world.asked).toEqual(asked);
  expect([world.files.size, world.endpoints.size]).toEqual([0, 0]);
  world.fault = {};
  add("web");
  expect(world.done).toMatchObject({ ok: true });
});

test.each([
  ["autoAssign", ["autoAssign", "delEndpoint"]],
  ["putEndpoint", ["autoAssign", "putEndpoint", "delEndpoint"]],
])(
  "when the store is away at %s, the request may be made again, and waits for what the first one may have got",
  (word, asked) => {
    world.fault = { [word]: AWAY, delEndpoint: AWAY };
    add("web");
    expect([world.done, world.passing]).toEqual([{ ok: false, error: AWAY }, true]);
    expect(world.asked).toEqual(asked);
    expect(readPodRecords(world.files)).toMatchObject([{ pod: "web", deleting: true }]);
    world.done = undefined;
    add("web");
    expect(world.done).toBeUndefined();
    world.fault = {};
    world.now += 60 * SEC_US;
    world.plugin.tick(world.now);
    world.drain();
    expect(world.asked.slice(asked.length)).toEqual([
      "delEndpoint",
      "releaseByHandle",
      "autoAssign",
      "putEndpoint",
    ]);
    expect([world.done, world.passing]).toEqual([{ ok: true, value: expect.anything() }, undefined]);
    expect(world.endpoints.names()).toEqual(["web"]);
  },
);

test("an address that another pod of the node has is given back", () => {
  add("a", "192.168.18.64");
  add("b", "192.168.18.64");
  expect(world.done).toEqual({ ok: false, error: expect.stringContaining("another pod has the address") });
  expect(world.passing).toBeUndefined();
  expect(world.asked.slice(-2)).toEqual(["delEndpoint", "releaseByHandle"]);
  expect(world.endpoints.names()).toEqual(["a"]);
});

test("a DEL that the store does not take is told, remembered over a restart, and done when it can be", () => {
  add("web");
  world.fault = { delEndpoint: AWAY };
  del("web");
  expect(world.done).toEqual({ ok: false, error: expect.stringContaining("it will be tried again") });
  expect(readPodRecords(world.files)).toMatchObject([{ pod: "web", deleting: true }]);
  expect(world.endpoints.size).toBe(0);
  add("web");
  expect(world.done).toEqual({ ok: false, error: 'pod "web" exists already' });
  world = new World(world.files);
  world.fault = { releaseByHandle: AWAY };
  world.plugin.restore(world.now);
  world.drain();
  expect(world.files.size).toBe(1);
  world.fault = {};
  world.now += 60 * SEC_US;
  world.plugin.tick(world.now);
  world.drain();
  expect(world.files.size).toBe(0);
  add("web");
  expect(world.done).toMatchObject({ ok: true });
});

test("pods come back with their addresses and MACs before anybody has been asked", () => {
  add("web");
  const before = world.endpoints.rows();
  world = new World(world.files);
  world.plugin.restore(world.now);
  expect(world.endpoints.rows()).toEqual(before);
  expect(world.asked).toEqual([]);
});

test("what was put back is confirmed: as it is, with its address claimed anew, or with another one", () => {
  add("web", "192.168.18.70");
  const confirmed = (holds: boolean, fault: World["fault"] = {}): string[] => {
    world = new World(world.files);
    world.holds = holds;
    world.fault = fault;
    world.plugin.restore(world.now);
    world.plugin.confirm(world.now);
    world.drain();
    return world.asked;
  };
  expect(confirmed(true)).toEqual(["putEndpoint"]);
  expect(confirmed(false)).toEqual(["assignIp", "putEndpoint"]);
  expect(world.endpoints.rows()).toMatchObject([{ name: "web", ip: "192.168.18.70" }]);
  // Another pod has it by now.
  expect(confirmed(false, { assignIp: "Address already assigned in block" })).toEqual([
    "assignIp",
    "autoAssign",
    "putEndpoint",
  ]);
  expect(world.endpoints.rows()).toMatchObject([{ name: "web", ip: "192.168.18.64" }]);
  expect(readPodRecords(world.files)).toMatchObject([{ addr: ADDR, deleting: false }]);
});

test("who dies in the middle of an ADD gives back what it was given, and then begins anew", () => {
  world.plugin.add(1, { name: "web", ip: undefined, namespace: "shop" }, world.now);
  const record = world.plugin.poll() as Extract<CniOutput, { t: "putFile" }>;
  const asked = world.plugin.poll() as Extract<CniOutput, { t: "ipam" }>;
  world = new World(new Map([[record.path, record.text]]));
  world.plugin.restore(world.now);
  world.plugin.add(7, { name: "web", ip: undefined, namespace: "shop" }, world.now);
  const [first, second] = [world.plugin.poll(), world.plugin.poll()];
  expect([first?.t, second]).toEqual(["delEndpoint", undefined]);
  world.plugin.handle({ t: "written", task: (first as { task: number }).task, error: undefined }, world.now);
  const given = world.plugin.poll() as Extract<CniOutput, { t: "ipam" }>;
  expect(given.request).toEqual({
    t: "releaseByHandle",
    handle: (asked.request as { handle: string }).handle,
  });
  world.plugin.handle(
    { t: "ipam", task: given.task, answer: { addrs: [ADDR], error: undefined } },
    world.now,
  );
  world.drain();
  expect(world.asked).toEqual(["autoAssign", "putEndpoint"]);
  expect(world.done).toMatchObject({ ok: true, value: { name: "web" } });
});

test.each([
  ["Web", "is not a pod name"],
  ["", "is not a pod name"],
])("the name %j is refused", (name, error) => {
  add(name);
  expect(world.done).toEqual({ ok: false, error: expect.stringContaining(error) });
});

test("hostile records are ignored", () => {
  const files = new Map([
    ["var/lib/calico/pods/a.json", "{"],
    ["var/lib/calico/pods/b.json", '{"pod":"b"}'],
    [
      "var/lib/calico/pods/c.json",
      '{"pod":"d","namespace":"x","containerId":"1","ip":"10.0.0.1","mac":"02:00:00:00:00:01"}',
    ],
    [
      "etc/other.json",
      '{"pod":"other","namespace":"x","containerId":"1","ip":"10.0.0.1","mac":"02:00:00:00:00:01"}',
    ],
  ]);
  expect(readPodRecords(files)).toEqual([]);
});
