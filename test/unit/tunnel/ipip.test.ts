import { afterEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { type Ipv4Addr, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { segment } from "../../../src/stack/gso.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import { FOU_PORT } from "../../../src/tunnel/fou.ts";
import { IpipDevice, type IpipOptions } from "../../../src/tunnel/ipip.ts";
import type { IpipCarrier, IpipCarrierKind } from "../../../src/tunnel/ipip-carrier.ts";
import type { OuterError } from "../../../src/tunnel/outer-error.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as wire from "../../../src/wire/ipv4.ts";
import { bytesIn, packetOf } from "../../support/frames.ts";
import { must } from "../../support/host-router-host.ts";
import { icmpMessage, ipPacket } from "../../support/test-wire.ts";

const pool = new PacketPool(500, true);
afterEach(() => expect(pool.outstanding).toBe(0));

interface Sent {
  readonly dst: Ipv4Addr;
  readonly ttl: number;
  readonly tos: number;
  readonly df: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Node `n` is 192.168.56.n, its tunl0 10.244.n.0, its pod 10.244.n.2. */
interface Node {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly pod: Netns;
  readonly tunl0: IpipDevice;
  readonly sent: Sent[];
}

const nodeIp = (n: number): Ipv4Addr => ipv4("192.168.56.0") + n;
const podIp = (n: number): Ipv4Addr => (ipv4("10.244.0.2") + n * 256) >>> 0;
const tunnelIp = (n: number): Ipv4Addr => (ipv4("10.244.0.0") + n * 256) >>> 0;

interface LabOptions extends Partial<IpipOptions> {
  readonly mtuBytes?: number;
  readonly kind?: IpipCarrierKind;
  /** Changes the outer TOS on the way, as a congested router does. */
  readonly outerTos?: (tos: number) => number;
}

function lab(opts: LabOptions = {}) {
  const nodes: Node[] = [];
  for (const n of [1, 2]) {
    const stack = new NetStack({ rng: new SeededRng(n), pool });
    const host = stack.addNetns("");
    host.sysctl.ipForward = true;
    const sent: Sent[] = [];
    let to = 0;
    let header = { ttl: 0, tos: 0, df: false };
    const carrier: IpipCarrier & { segment(pkt: PacketBuffer, now: number): void } = {
      kind: opts.kind ?? "proto4",
      local: nodeIp(n),
      send(pkt, dst, ttl, tos, df, now) {
        to = dst;
        header = { ttl, tos, df };
        segment(pkt, stack, this, now);
      },
      segment(pkt, now) {
        sent.push({ dst: to, ...header, bytes: bytesIn(pkt) });
        const copy = packetOf(pool, bytesIn(pkt));
        stack.consume(pkt);
        const peer = nodes[to - nodeIp(1)] as Node;
        const tos = opts.outerTos?.(header.tos) ?? header.tos;
        peer.tunl0.receiveIpip(copy, nodeIp(n), tos, now);
      },
    };
    const isNode = (dst: Ipv4Addr) => dst === nodeIp(1) || dst === nodeIp(2);
    const tunl0 = new IpipDevice(
      stack,
      "tunl0",
      opts.mtuBytes ?? 1480,
      { underlayMtuBytes: 1500, ...opts },
      (dst) => (isNode(dst) ? carrier : undefined),
    );
    host.addDevice(tunl0);
    host.setLink(tunl0, true, 0);
    const pod = stack.addNetns("pod");
    const macs = [mac("02:00:00:00:03:00") + n, mac("ee:ee:ee:ee:ee:ee")] as const;
    const [eth0, cali] = vethPair(stack, "eth0", "cali0", ...macs, 1500);
    pod.addDevice(eth0);
    host.addDevice(cali);
    pod.setLink(eth0, true, 0);
    host.setLink(cali, true, 0);
    must(host.addAddress(tunl0, { addr: tunnelIp(n), len: 32 }, 0));
    must(host.addAddress(cali, { addr: tunnelIp(n) + 1, len: 24 }, 0));
    must(pod.addAddress(eth0, { addr: podIp(n), len: 24 }, 0));
    must(pod.addRoute({ dst: prefix("0.0.0.0/0"), via: tunnelIp(n) + 1, dev: eth0 }, 0));
    const peer = 3 - n;
    const dst = { addr: tunnelIp(peer), len: 24 };
    must(host.addRoute({ dst, via: nodeIp(peer), dev: tunl0, onlink: true, proto: "bird" }, 0));
    nodes.push({ stack, host, pod, tunl0, sent });
  }
  const [one, two] = nodes as [Node, Node];
  const run = (now = 0) => {
    do for (const node of nodes) node.stack.run(now);
    while (nodes.some((node) => node.stack.nextDeadline() === 0));
  };
  const close = () => {
    for (const node of nodes) for (const name of ["pod", ""]) node.stack.delNetns(name, 0);
  };
  return { one, two, run, close };
}

/** An IPv4 packet handed to node 1's host as if its pod had sent it. */
function fromPod(node: Node, bytes: Uint8Array): void {
  const pkt = packetOf(pool, bytes);
  pkt.l3 = pkt.head;
  pkt.l4 = pkt.head + wire.HEADER_LEN;
  pkt.dev = node.host.device("cali0");
  pkt.iif = pkt.dev?.ifindex ?? 0;
  node.host.ip.input(pkt, 0);
}

describe("a ping between pods", () => {
  test("crosses to the next hop of the route, whole; each forward costs a hop and the tunnel none", () => {
    const { one, two, run, close } = lab();
    const ping = one.pod.icmp.openEcho();
    ping.sendEcho(podIp(2), 1, new Uint8Array(56), { df: true, tos: 0xb8 }, 0);
    run();
    expect(ping.recv()).toMatchObject({ src: podIp(2), seq: 1, ttl: 62 });
    const [out] = one.sent;
    expect(out).toMatchObject({ dst: nodeIp(2), ttl: 63, tos: 0, df: true });
    const view = new DataView((out as Sent).bytes.buffer);
    expect([wire.ttl(view, 0), wire.src(view, 0), wire.dst(view, 0)]).toEqual([63, podIp(1), podIp(2)]);
    expect(one.tunl0.stats).toMatchObject({ txPackets: 1, txBytes: 84, rxPackets: 1, rxBytes: 84 });
    expect([...one.stack.drops.entries(), ...two.stack.drops.entries()]).toEqual([]);
    ping.close();
    close();
  });

  test("from the host itself it bears tunl0's address", () => {
    const { one, run, close } = lab();
    const ping = one.host.icmp.openEcho();
    ping.sendEcho(podIp(2), 1, new Uint8Array(8), {}, 0);
    run();
    expect(ping.recv()).toMatchObject({ src: podIp(2), ttl: 63 });
    expect(wire.src(new DataView((one.sent[0] as Sent).bytes.buffer), 0)).toBe(tunnelIp(1));
    ping.close();
    close();
  });

  test("that runs out of hops behind the tunnel is reported by the far tunl0", () => {
    const { one, run, close } = lab();
    const ping = one.pod.icmp.openEcho();
    const froms: (number | undefined)[] = [];
    for (const ttl of [1, 2, 3]) {
      ping.sendEcho(podIp(2), ttl, new Uint8Array(8), { ttl }, 0);
      run();
      froms.push(ping.recvError()?.from ?? ping.recv()?.src);
    }
    expect(froms).toEqual([tunnelIp(1) + 1, tunnelIp(2), podIp(2)]);
    ping.close();
    close();
  });
});

describe("the outer header", () => {
  const cases: [name: string, opts: LabOptions, tos: number, want: Partial<Sent>][] = [
    ["of tunl0: the inner TTL, of the TOS the ECN bits", {}, 0xb9, { ttl: 63, tos: 1, df: false }],
    ["with a fixed TTL", { ttl: 255 }, 0, { ttl: 255 }],
    ["with the TOS inherited", { tos: 1 }, 0xb9, { tos: 0xb9 }],
    ["with a fixed TOS: its service, the inner ECN bits", { tos: 0x2b }, 0xba, { tos: 0x2a }],
    ["of a packet that saw congestion: ECT(0), as Linux", { tos: 1 }, 0xbb, { tos: 0xba }],
    ["with pmtudisc: don't fragment", { pmtudisc: true }, 0, { df: true }],
  ];
  test.each(cases)("%s", (_name, opts, tos, want) => {
    const { one, close } = lab(opts);
    fromPod(one, ipPacket({ src: podIp(1), dst: podIp(2), tos, protocol: 253 }));
    expect(one.sent[0]).toMatchObject(want);
    close();
  });
});

describe("congestion marked on the way", () => {
  // Inner and outer bits, and what leaves the tunnel: RFC 6040 figure 4. -1: dropped.
  const rows: [inner: number, outer: number, want: number][] = [
    [0, 0, 0],
    [0, 1, 0],
    [0, 2, 0],
    [0, 3, -1],
    [1, 0, 1],
    [1, 1, 1],
    [1, 2, 1],
    [1, 3, 3],
    [2, 0, 2],
    [2, 1, 1],
    [2, 2, 2],
    [2, 3, 3],
    [3, 0, 3],
    [3, 1, 3],
    [3, 2, 3],
    [3, 3, 3],
  ];
  test.each(rows)("inner %i, outer %i: %i", (inner, outer, want) => {
    const { two, close } = lab();
    const seen: number[] = [];
    two.tunl0.upper = {
      receive: (pkt) => {
        expect(wire.check(pkt.view, pkt.head, pkt.tail)).toBe(DropReason.NOT_DROPPED);
        seen.push(wire.tos(pkt.view, pkt.head));
        two.stack.consume(pkt);
      },
    };
    const bytes = ipPacket({ src: podIp(1), dst: podIp(2), tos: 0xb8 | inner });
    two.tunl0.receiveIpip(packetOf(pool, bytes), nodeIp(1), 0x10 | outer, 0);
    expect(seen).toEqual(want < 0 ? [] : [0xb8 | want]);
    expect(two.stack.drops.entries()).toEqual(want < 0 ? [["IP_TUNNEL_ECN", 1]] : []);
    expect(two.tunl0.stats.rxErrors).toBe(want < 0 ? 1 : 0);
    close();
  });
});

describe("what is too large", () => {
  test("for tunl0: with don't-fragment the pod is told tunl0's MTU, without it fragments leave", () => {
    const { one, run, close } = lab();
    const ping = one.pod.icmp.openEcho();
    ping.sendEcho(podIp(2), 1, new Uint8Array(1453), { df: true }, 0);
    run();
    expect(ping.recvError()).toMatchObject({ type: 3, code: icmp.Unreach.FRAG_NEEDED, mtu: 1480 });
    expect(one.sent).toEqual([]);
    ping.sendEcho(podIp(2), 2, new Uint8Array(4000), { df: false }, 0);
    run();
    expect(ping.recv()).toMatchObject({ seq: 2, bytes: new Uint8Array(4000) });
    expect(one.sent.map(({ bytes }) => bytes.length)).toEqual([1476, 1476, 1116]);
    expect(one.sent.every(({ df }) => !df)).toBe(true);
    ping.close();
    close();
  });

  test.each([
    ["proto4", 1480],
    ["fou", 1472],
  ] as const)(
    "for the underlay, behind a tunl0 whose MTU was set too large: over %s, %i bytes",
    (kind, mtu) => {
      const { one, run, close } = lab({ mtuBytes: 1500, kind });
      const ping = one.pod.icmp.openEcho();
      ping.sendEcho(podIp(2), 1, new Uint8Array(mtu - 28 + 1), { df: true }, 0);
      run();
      expect(ping.recvError()).toMatchObject({ code: icmp.Unreach.FRAG_NEEDED, mtu, from: tunnelIp(1) + 1 });
      expect(one.stack.drops.entries()).toEqual([["PKT_TOO_BIG", 1]]);
      expect(one.tunl0.stats).toMatchObject({ txPackets: 0, txErrors: 1 });
      ping.sendEcho(podIp(2), 2, new Uint8Array(mtu - 28), { df: true }, 0);
      run();
      expect(ping.recv()?.seq).toBe(2);
      ping.close();
      close();
    },
  );

  test("a super-packet crosses whole and leaves in segments", () => {
    const { one, two, run, close } = lab();
    const from = one.pod.udp.open();
    const to = two.pod.udp.open();
    must(to.bind(0, 5001));
    from.send(new Uint8Array(1), podIp(2), 5001, {}, 0);
    run();
    expect(to.recv()?.bytes.length).toBe(1);
    const payload = Uint8Array.from({ length: 9000 }, (_, i) => (i * 7) & 0xff);
    from.send(payload, podIp(2), 5001, { gsoSize: 1452 }, 0);
    run();
    const got: number[] = [];
    for (let part = to.recv(); part !== undefined; part = to.recv()) got.push(...part.bytes);
    expect(got).toEqual(Array.from(payload));
    expect(one.tunl0.stats.txPackets).toBe(2);
    expect(one.sent.slice(1).map(({ bytes }) => bytes.length)).toEqual([...Array<number>(6).fill(1480), 316]);
    from.close();
    to.close();
    close();
  });
});

describe("ICMP errors about outer packets", () => {
  const about = (n: number, dst: Ipv4Addr, over: Partial<OuterError> = {}): OuterError => ({
    type: icmp.Type.DEST_UNREACH,
    code: icmp.Unreach.FRAG_NEEDED,
    mtuBytes: 1400,
    src: nodeIp(n),
    dst,
    protocol: wire.Protocol.IPIP,
    dstPort: 0,
    ...over,
  });

  /** Pings from node 1's pod with don't-fragment. @returns the MTU that it is told; 0: an answer came */
  function ask({ one, run }: ReturnType<typeof lab>, bytes: number, now = 0): number | undefined {
    const ping = one.pod.icmp.openEcho();
    ping.sendEcho(podIp(2), 1, new Uint8Array(bytes - 28), { df: true }, now);
    run(now);
    const mtu = ping.recv() === undefined ? ping.recvError()?.mtu : 0;
    ping.close();
    return mtu;
  }

  const FOU = { protocol: wire.Protocol.UDP, dstPort: FOU_PORT };
  test.each([
    ["proto4", {}, 1380],
    ["fou", FOU, 1372],
  ] as const)(
    "over %s, the path MTU less the overhead is what pods are told, for ten minutes",
    (kind, over, mtu) => {
      const two = lab({ kind });
      const { one } = two;
      expect(ask(two, 1472)).toBe(0);
      one.tunl0.receiveOuterError(about(1, nodeIp(2), over), SEC_US);
      expect(one.tunl0.outerErrors).toEqual({ fragNeeded: 1, destUnreach: 0, timeExceeded: 0, foreign: 0 });
      expect(ask(two, mtu + 1, 2 * SEC_US)).toBe(mtu);
      expect(ask(two, mtu, 2 * SEC_US)).toBe(0);
      // The pod remembers it, too, and from a later moment on.
      one.pod.ip.pmtu.clear();
      expect(ask(two, mtu + 1, 600 * SEC_US)).toBe(mtu);
      one.pod.ip.pmtu.clear();
      expect(ask(two, mtu + 1, 602 * SEC_US)).toBe(0);
      two.close();
    },
  );

  test("without don't-fragment nothing changes", () => {
    const { one, close } = lab();
    one.tunl0.receiveOuterError(about(1, nodeIp(2)), 0);
    fromPod(one, ipPacket({ src: podIp(1), dst: podIp(2), protocol: 253, payload: new Uint8Array(1460) }));
    expect(one.sent[0]).toMatchObject({ df: false });
    expect(one.sent[0]?.bytes.length).toBe(1480);
    close();
  });

  test.each([0, 68, 551])(
    "a router that asks for %i bytes gets 552 without don't-fragment outside",
    (mtuBytes) => {
      const two = lab();
      two.one.tunl0.receiveOuterError(about(1, nodeIp(2), { mtuBytes }), 0);
      expect(ask(two, 533)).toBe(532);
      expect(ask(two, 532)).toBe(0);
      expect(two.one.sent.map(({ df }) => df)).toEqual([false]);
      two.close();
    },
  );

  test("a larger path MTU is no news", () => {
    const two = lab();
    const { one } = two;
    one.tunl0.receiveOuterError(about(1, nodeIp(2), { mtuBytes: 1300 }), 0);
    one.tunl0.receiveOuterError(about(1, nodeIp(2), { mtuBytes: 1301 }), 0);
    one.tunl0.receiveOuterError(about(1, nodeIp(2), { mtuBytes: 9000 }), 0);
    expect(one.host.ip.pmtu.lookup(nodeIp(2), 0)).toBe(1300);
    expect(ask(two, 1281)).toBe(1280);
    two.close();
  });

  test("it is the namespace's path MTU: what an emulated router says on the node's own segment counts as well", () => {
    const two = lab();
    const { host } = two.one;
    must(host.addAddress(host.lo, { addr: nodeIp(1), len: 32 }, 0));
    must(host.addRoute({ dst: { addr: nodeIp(0), len: 24 }, dev: host.device("cali0") as NetDevice }, 0));
    const quoted = ipPacket({
      src: nodeIp(1),
      dst: nodeIp(2),
      protocol: 4,
      df: true,
      payload: new Uint8Array(8),
    });
    const payload = icmpMessage(icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, 1400, quoted);
    fromPod(two.one, ipPacket({ src: nodeIp(9), dst: nodeIp(1), protocol: 1, payload }));
    expect(ask(two, 1381)).toBe(1380);
    two.close();
  });

  const forged: [name: string, kind: IpipCarrierKind, dst: Ipv4Addr, over: Partial<OuterError>][] = [
    ["to who is no node", "proto4", ipv4("203.0.113.9"), {}],
    ["of UDP, where packets go as protocol 4", "proto4", nodeIp(2), FOU],
    ["of protocol 4, where packets go in UDP", "fou", nodeIp(2), {}],
    ["to another port", "fou", nodeIp(2), { protocol: wire.Protocol.UDP, dstPort: 4789 }],
    ["of TCP", "proto4", nodeIp(2), { protocol: 6 }],
  ];
  test.each(forged)("about a packet %s does nothing", (_name, kind, dst, over) => {
    const two = lab({ kind });
    two.one.tunl0.receiveOuterError(about(1, dst, over), 0);
    expect(two.one.tunl0.outerErrors).toEqual({ fragNeeded: 0, destUnreach: 0, timeExceeded: 0, foreign: 1 });
    expect(two.one.host.ip.pmtu.size).toBe(0);
    expect(ask(two, 1472)).toBe(0);
    two.close();
  });

  test("all others are counted and no more: there is no fixed remote", () => {
    const two = lab();
    const { tunl0 } = two.one;
    for (const code of [0, 1, 2, 3, 13]) tunl0.receiveOuterError(about(1, nodeIp(2), { code }), 0);
    tunl0.receiveOuterError(about(1, nodeIp(2), { type: icmp.Type.TIME_EXCEEDED, code: 0 }), 0);
    expect(tunl0.outerErrors).toEqual({ fragNeeded: 0, destUnreach: 5, timeExceeded: 1, foreign: 0 });
    expect(ask(two, 1480)).toBe(0);
    two.one.host.setLink(tunl0, false, 0);
    tunl0.receiveOuterError(about(1, nodeIp(2)), 0);
    expect(tunl0.outerErrors.foreign).toBe(1);
    two.close();
  });
});

describe("what the kernel refuses for its length", () => {
  const inner = (df: boolean) =>
    ipPacket({ src: podIp(1), dst: podIp(2), protocol: 253, df, payload: new Uint8Array(1400) });

  test.each([
    ["its sender is told at once what the kernel said", true, 1300, 1280],
    ["without don't-fragment nobody is told", false, 0, undefined],
    ["when the kernel said nothing, it is dropped by name", true, 0, undefined],
  ] as const)("%s", (_name, df, kernelBytes, mtu) => {
    const { one, close } = lab();
    const told: (number | undefined)[] = [];
    one.host.icmp.send = (type, code, _pkt, info) => {
      expect([type, code]).toEqual([icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED]);
      told.push(info);
    };
    const pkt = packetOf(pool, inner(df));
    pkt.l3 = pkt.head;
    pkt.dev = one.tunl0;
    one.tunl0.outerTooBig(pkt, nodeIp(2), kernelBytes, 0);
    expect(told).toEqual(mtu === undefined ? [] : [mtu]);
    expect(one.tunl0.drops.get(DropReason.PKT_TOO_BIG)).toBe(1);
    expect(one.tunl0.stats.txErrors).toBe(1);
    expect(one.host.ip.pmtu.lookup(nodeIp(2), 1)).toBe(kernelBytes);
    close();
  });

  test("a device that is gone by then releases it", () => {
    const { one, close } = lab();
    one.host.delDevice(one.tunl0, 0);
    one.tunl0.outerTooBig(packetOf(pool, inner(true)), nodeIp(2), 1300, 0);
    expect(one.stack.drops.entries()).toEqual([["PKT_TOO_BIG", 1]]);
    close();
  });
});

describe("no way out", () => {
  const inside = ipPacket({ src: podIp(1), dst: ipv4("10.99.0.1"), protocol: 253 });
  const routes: [name: string, via: string | undefined][] = [
    ["a next hop that no carrier leads to", "203.0.113.9"],
    ["no next hop: the destination itself, which is no node", undefined],
    ["a group as next hop", "224.0.0.5"],
  ];
  test.each(routes)("%s", (_name, via) => {
    const { one, close } = lab();
    const spec = { dst: prefix("10.99.0.0/24"), dev: one.tunl0 };
    const hop = via === undefined ? {} : { via: ipv4(via), onlink: true };
    const added = one.host.addRoute({ ...spec, ...hop }, 0);
    if (!added.ok) {
      // Linux takes no group as a gateway; a packet that claims one has to end all the same.
      const pkt = packetOf(pool, inside);
      pkt.nextHop = ipv4(via as string) | 0;
      one.tunl0.transmit(pkt, 0);
    } else fromPod(one, inside);
    expect(one.stack.drops.entries()).toEqual([["IP_OUTNOROUTES", 1]]);
    expect(one.tunl0.stats).toMatchObject({ txPackets: 0, txErrors: 1, txCarrier: 1 });
    close();
  });

  test("no packet at all, and a device that is down", () => {
    const { one, close } = lab();
    one.tunl0.transmit(packetOf(pool, inside.subarray(0, 19)), 0);
    one.tunl0.transmit(
      packetOf(
        pool,
        Uint8Array.from(inside, (b, i) => (i === 0 ? 0x65 : b)),
      ),
      0,
    );
    expect(one.stack.drops.entries()).toEqual([["PKT_TOO_SMALL", 2]]);
    one.host.setLink(one.tunl0, false, 0);
    one.tunl0.receiveIpip(packetOf(pool, inside), nodeIp(2), 0, 0);
    expect(one.tunl0.drops.get(DropReason.DEV_READY)).toBe(1);
    expect(one.tunl0.stats.rxDropped).toBe(1);
    close();
  });
});

describe("what arrives", () => {
  test("from who is no node ends in the host's filter, and tunl0 counts nothing received", () => {
    const { two, close } = lab();
    two.tunl0.allowSource = (src) => src === nodeIp(1);
    const bytes = ipPacket({ src: podIp(1), dst: podIp(2) });
    two.tunl0.receiveIpip(packetOf(pool, bytes), ipv4("203.0.113.5"), 0, 0);
    expect(two.stack.drops.entries()).toEqual([["NETFILTER_DROP", 1]]);
    expect(two.tunl0.stats).toMatchObject({ rxPackets: 0, rxErrors: 0 });
    two.tunl0.receiveIpip(packetOf(pool, bytes), nodeIp(1), 0, 0);
    expect(two.tunl0.stats.rxPackets).toBe(1);
    close();
  });

  const bad: [name: string, bytes: Uint8Array, reason: string][] = [
    ["cut short", new Uint8Array(19).fill(0x45), "PKT_TOO_SMALL"],
    ["IPv6", new Uint8Array(40).fill(0x60), "IP_INHDR"],
    ["from a source that is ours", ipPacket({ src: podIp(2) - 1, dst: podIp(2) }), "IP_LOCAL_SOURCE"],
  ];
  test.each(bad)("%s is dropped by name", (_name, bytes, reason) => {
    const { two, close } = lab();
    two.tunl0.receiveIpip(packetOf(pool, bytes), nodeIp(1), 0, 0);
    expect(two.stack.drops.entries()).toEqual([[reason, 1]]);
    close();
  });

  test("by the wrong tunnel ends in reverse-path filtering, where that is on", () => {
    const { two, close } = lab();
    must(two.host.sysctl.set("net.ipv4.conf.all.rp_filter", "1"));
    const bytes = ipPacket({ src: ipv4("10.99.0.1"), dst: podIp(2) });
    two.tunl0.receiveIpip(packetOf(pool, bytes), nodeIp(1), 0, 0);
    expect(two.stack.drops.entries()).toEqual([["IP_RPFILTER", 1]]);
    close();
  });
});
