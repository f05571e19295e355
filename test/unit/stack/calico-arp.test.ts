// The exchange that every Calico pod begins with: its gateway 169.254.1.1 exists nowhere, and the node answers for it with the
// address of its own end of the veth pair.
import { expect, test } from "vitest";
import { formatIpv4, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../../src/base/time.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import type { RouteSpec } from "../../../src/stack/route.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import { packetOf } from "../../support/frames.ts";
import { advance, must, settle, tearDown } from "../../support/host-router-host.ts";
import { showFrame } from "../../support/one-host.ts";
import { ipPacket, TestWire } from "../../support/test-wire.ts";

const POD = ipv4("192.168.18.64");
const REMOTE_POD = ipv4("192.168.196.129");
const POD_MAC = "ee:ee:ee:ee:ee:ee";
const CALI_MAC = "a2:ff:0a:99:57:d2";

interface Node {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly pod: Netns;
  readonly cali0: NetDevice;
  readonly enp0s8: TestWire;
  /** What passed the node's end of the pair, `in` from the pod. */
  readonly seen: string[];
  now: Instant;
}

/** Node A and pod A as the article shows them. */
function node(): Node {
  const stack = new NetStack({ rng: new SeededRng(3), pool: new PacketPool(256, true) });
  const host = stack.addNetns("");
  const pod = stack.addNetns("containerA");
  const cali = "calif24874aae57";
  const [hostEnd, cali0] = vethPair(stack, cali, "cali0", mac(CALI_MAC), mac(POD_MAC), 1500);
  const enp0s8 = new TestWire(stack, "enp0s8", mac("08:00:27:00:00:08"), 1500);
  const seen: string[] = [];
  hostEnd.tap = {
    seen: (_dev, direction, pkt, off) => {
      seen.push(`${direction} ${showFrame(pkt.bytes.slice(off, pkt.tail))}`);
    },
  };
  host.addDevice(hostEnd);
  pod.addDevice(cali0);
  host.addDevice(enp0s8);
  for (const [netns, dev] of [
    [host, hostEnd],
    [host, enp0s8],
    [pod, cali0],
  ] as const) {
    netns.setLink(dev, true, 0);
  }
  must(host.addAddress(enp0s8, { addr: ipv4("172.17.8.100"), len: 24 }, 0));
  must(pod.addAddress(cali0, { addr: POD, len: 32 }, 0));
  const hostRoutes: RouteSpec[] = [
    { dst: prefix("169.254.0.0/16"), dev: enp0s8, scope: "link", metric: 1003 },
    { dst: { addr: POD, len: 32 }, dev: hostEnd, scope: "link" },
    { dst: prefix("192.168.18.64/26"), type: "blackhole", proto: "bird" },
    { dst: prefix("192.168.196.128/26"), via: ipv4("172.17.8.101"), dev: enp0s8, proto: "bird" },
  ];
  for (const route of hostRoutes) must(host.addRoute(route, 0));
  must(pod.addRoute({ dst: prefix("169.254.1.1/32"), dev: cali0, scope: "link" }, 0));
  must(pod.addRoute({ dst: prefix("0.0.0.0/0"), via: ipv4("169.254.1.1"), dev: cali0 }, 0));
  host.sysctl.ipForward = true;
  must(host.sysctl.set(`net.ipv4.conf.${cali}.proxy_arp`, "1"));
  must(host.sysctl.set(`net.ipv4.conf.${cali}.rp_filter`, "1"));
  must(host.sysctl.set(`net.ipv4.neigh.${cali}.proxy_delay`, "0"));
  must(
    host.neigh.add(
      { dev: enp0s8, ip: ipv4("172.17.8.101"), mac: mac("08:00:27:00:00:09"), state: "PERMANENT" },
      0,
    ),
  );
  return { stack, host, pod, cali0, enp0s8, seen, now: SEC_US };
}

/** The pod sends one packet, as its own sockets would. */
function send(n: Node, mark: number): void {
  const bytes = ipPacket({ src: POD, dst: REMOTE_POD, payload: new Uint8Array([mark]) });
  const pkt: PacketBuffer = packetOf(n.stack.pool, bytes);
  pkt.l3 = pkt.head;
  const route = n.pod.fib.lookup(REMOTE_POD);
  if (route?.dev === undefined) throw new Error("the pod has no way out");
  n.pod.neigh.output(pkt, route.dev, route.via ?? REMOTE_POD, n.now);
}

const CONVERSATION = [
  `rx ${POD_MAC} > all, Request who-has 169.254.1.1 tell 192.168.18.64`,
  `tx ${CALI_MAC} > ${POD_MAC}, Reply 169.254.1.1 is-at ${CALI_MAC}`,
];
const PING = `rx ${POD_MAC} > ${CALI_MAC}, IP 192.168.18.64 > 192.168.196.129 #1`;

test("the pod asks for a gateway that is nowhere, the node answers for it, and the packet goes to the other node", () => {
  const n = node();
  send(n, 1);
  settle(n);
  expect(n.seen).toEqual([...CONVERSATION, PING]);
  expect(n.enp0s8.sent.map(showFrame)).toEqual([
    "08:00:27:00:00:08 > 08:00:27:00:00:09, IP 192.168.18.64 > 192.168.196.129 #1",
  ]);
  expect(n.pod.neigh.dump().map((e) => `${formatIpv4(e.ip)} ${e.dev.name} ${e.state}`)).toEqual([
    "169.254.1.1 cali0 REACHABLE",
  ]);
  expect(n.host.neigh.dump().map((e) => `${formatIpv4(e.ip)} ${e.dev.name} ${e.state}`)).toEqual([
    "192.168.18.64 calif24874aae57 STALE",
    "172.17.8.101 enp0s8 PERMANENT",
  ]);
  tearDown(n);
  expect(n.stack.pool.outstanding).toBe(0);
  expect(n.stack.timers.size).toBe(0);
});

test("the node reaches the pod by its /32 route; its veth has no address, so it asks with the node's", () => {
  const n = node();
  const pkt = packetOf(
    n.stack.pool,
    ipPacket({ src: REMOTE_POD, dst: POD, payload: new Uint8Array([2]), protocol: 253 }),
  );
  pkt.l3 = pkt.head;
  const route = n.host.fib.lookup(POD);
  expect(route?.dev?.name).toBe("calif24874aae57");
  n.host.neigh.output(pkt, route?.dev as NetDevice, POD, n.now);
  settle(n);
  expect(n.seen.slice(0, 3)).toEqual([
    `tx ${CALI_MAC} > all, Request who-has 192.168.18.64 tell 172.17.8.100`,
    `rx ${POD_MAC} > ${CALI_MAC}, Reply 192.168.18.64 is-at ${POD_MAC}`,
    `tx ${CALI_MAC} > ${POD_MAC}, IP 192.168.196.129 > 192.168.18.64 #2`,
  ]);
  tearDown(n);
  expect(n.stack.pool.outstanding).toBe(0);
});

test("without a route to 169.254.1.1, or without proxy_arp, nobody answers and the pod's packet is lost", () => {
  for (const spoil of [
    (n: Node) => must(n.host.delRoute({ dst: prefix("169.254.0.0/16") }, 0)),
    (n: Node) => must(n.host.sysctl.set("net.ipv4.conf.calif24874aae57.proxy_arp", "0")),
  ]) {
    const n = node();
    spoil(n);
    send(n, 1);
    advance(n, 4 * SEC_US);
    expect(n.seen).toEqual([CONVERSATION[0], CONVERSATION[0], CONVERSATION[0]]);
    expect(n.pod.neigh.dump().map((e) => e.state)).toEqual(["FAILED"]);
    tearDown(n);
    expect(n.stack.pool.outstanding).toBe(0);
  }
});
