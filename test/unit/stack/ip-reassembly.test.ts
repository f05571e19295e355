import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import * as wire from "../../../src/wire/ipv4.ts";
import { must, tearDown } from "../../support/host-router-host.ts";
import { type IpSpec, ipPacket, TestWire } from "../../support/test-wire.ts";

const ME = ipv4("10.0.0.1");
const ME_TOO = ipv4("10.0.0.9");
const PEER = ipv4("10.0.0.2");

/** One host on one wire; what protocol 253 receives, whole packets with their headers. */
function host(poolLimit = 8192) {
  const stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(poolLimit, true) });
  const netns = stack.addNetns("h");
  const eth0 = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  netns.addDevice(eth0);
  netns.setLink(eth0, true, 0);
  must(netns.addAddress(eth0, { addr: ME, len: 24 }, 0));
  must(netns.addAddress(eth0, { addr: ME_TOO, len: 24 }, 0));
  must(netns.neigh.add({ dev: eth0, ip: PEER, mac: mac("02:00:00:00:00:02"), state: "PERMANENT" }, 0));
  const got: Uint8Array[] = [];
  netns.ip.register(253, {
    input(pkt: PacketBuffer) {
      got.push(pkt.bytes.slice(pkt.l3, pkt.tail));
      stack.consume(pkt);
    },
  });
  const h = { stack, netns, eth0, got, now: 0, stats: netns.ip.stats, reassembly: netns.ip.reassembly };
  const frag = (offset: number, length: number, more: boolean, spec: Partial<IpSpec> = {}) => {
    const payload = Uint8Array.from({ length }, (_, i) => (offset + i) & 0xff);
    eth0.receiveFrame(ipPacket({ src: PEER, dst: ME, protocol: 253, offset, more, payload, ...spec }), h.now);
  };
  return { ...h, frag, at: (us: number) => (h.now = us) };
}

function end(h: ReturnType<typeof host>): void {
  tearDown(h);
  expect(h.stack.pool.outstanding).toBe(0);
  expect(h.stack.timers.size).toBe(0);
}

const counting = (n: number) => Uint8Array.from({ length: n }, (_, i) => i & 0xff);

describe("fragments become a packet", () => {
  const orders: { name: string; order: number[] }[] = [
    { name: "in order", order: [0, 1, 2] },
    { name: "backwards", order: [2, 1, 0] },
    { name: "last first", order: [2, 0, 1] },
  ];
  test.each(orders)("$name", ({ order }) => {
    const h = host();
    for (const i of order) h.frag(i * 16, i === 2 ? 5 : 16, i !== 2);
    expect(h.got).toHaveLength(1);
    const whole = h.got[0] as Uint8Array<ArrayBuffer>;
    expect(whole.slice(20)).toEqual(counting(37));
    expect(wire.check(new DataView(whole.buffer), 0, whole.length)).toBe(DropReason.NOT_DROPPED);
    expect(wire.isFragment(new DataView(whole.buffer), 0)).toBe(false);
    expect(h.stats).toMatchObject({ reasmReqds: 3, reasmOks: 1, reasmFails: 0, inDelivers: 1 });
    expect(h.reassembly).toMatchObject({ memBytes: 0, queues: 0, sources: 0 });
    end(h);
  });

  test("don't-fragment on the largest fragment is don't-fragment on the whole", () => {
    const h = host();
    h.frag(0, 16, true, { df: true });
    h.frag(16, 8, false);
    h.frag(0, 16, true, { id: 2 });
    h.frag(16, 8, false, { df: true, id: 2 });
    expect(h.got.map((whole) => (whole[6] ?? 0) & 0x40)).toEqual([0x40, 0]);
    end(h);
  });

  test("datagrams of different source, destination, protocol or identification do not mix", () => {
    const h = host();
    h.frag(0, 8, true);
    h.frag(8, 8, false, { id: 2 });
    h.frag(8, 8, false, { src: ipv4("10.0.0.3") });
    h.frag(8, 8, false, { protocol: 17 });
    expect(h.got).toHaveLength(0);
    h.frag(8, 8, false, { dst: ME_TOO });
    expect(h.reassembly).toMatchObject({ queues: 5, sources: 2 });
    h.frag(8, 8, false);
    expect(h.got).toHaveLength(1);
    end(h);
  });

  test("the first fragment's options lead the whole", () => {
    const h = host();
    const options = [7, 7, 4, 0, 0, 0, 0, 0];
    h.frag(8, 8, false, { options: [1, 1, 1, 1, 1, 1, 1, 1] });
    h.frag(0, 8, true, { options });
    expect(h.got[0]?.slice(20, 28)).toEqual(Uint8Array.from(options));
    expect(h.got[0]?.slice(28)).toEqual(counting(16));
    end(h);
  });

  test("congestion that one fragment met, the packet met; ECN in part only is refused", () => {
    const h = host();
    h.frag(0, 8, true, { tos: 2 });
    h.frag(8, 8, false, { tos: 3 });
    expect((h.got[0]?.[1] ?? 0) & 3).toBe(3);
    h.frag(0, 8, true, { tos: 0, id: 2 });
    h.frag(8, 8, false, { tos: 3, id: 2 });
    expect(h.got).toHaveLength(1);
    expect(h.stack.drops.entries()).toEqual([["IP_INHDR", 2]]);
    end(h);
  });
});

describe("fragments that are refused", () => {
  test("a duplicate is dropped alone, whether it repeats one fragment or a run", () => {
    const h = host();
    h.frag(0, 16, true);
    h.frag(16, 16, true);
    h.frag(0, 16, true);
    h.frag(8, 16, true);
    h.frag(24, 8, true);
    expect(h.stack.drops.entries()).toEqual([["DUP_FRAG", 3]]);
    h.frag(32, 8, false);
    expect(h.got[0]?.slice(20)).toEqual(counting(40));
    end(h);
  });

  const overlaps: { name: string; frags: [number, number, boolean][] }[] = [
    {
      name: "reaches into its successor",
      frags: [
        [16, 16, true],
        [8, 16, true],
      ],
    },
    {
      name: "reaches into its predecessor and beyond",
      frags: [
        [0, 16, true],
        [8, 16, true],
      ],
    },
    {
      name: "covers one and more",
      frags: [
        [8, 8, true],
        [0, 24, true],
      ],
    },
    {
      name: "bridges a gap",
      frags: [
        [0, 8, true],
        [16, 8, true],
        [0, 24, true],
      ],
    },
    {
      name: "two ends",
      frags: [
        [24, 8, false],
        [40, 8, false],
      ],
    },
    {
      name: "an end before what is there",
      frags: [
        [32, 8, true],
        [16, 8, false],
      ],
    },
    {
      name: "beyond the end",
      frags: [
        [16, 8, false],
        [32, 8, true],
      ],
    },
    {
      name: "empty",
      frags: [
        [0, 16, true],
        [16, 0, true],
      ],
    },
    {
      name: "less than eight bytes and more to come",
      frags: [
        [0, 16, true],
        [16, 7, true],
      ],
    },
  ];
  test.each(overlaps)("$name: the whole datagram goes", ({ frags }) => {
    const h = host();
    for (const [offset, length, more] of frags) h.frag(offset, length, more);
    expect(h.stack.drops.entries()).toEqual([["IP_INHDR", frags.length]]);
    expect(h.reassembly).toMatchObject({ queues: 0, memBytes: 0 });
    expect(h.stats.reasmFails).toBe(1);
    end(h);
  });

  test("more than 65,535 bytes in all", () => {
    const h = host();
    h.frag(0, 16, true);
    h.frag(65512, 100, false);
    expect(h.stack.drops.entries()).toEqual([["PKT_TOO_BIG", 2]]);
    // With the header of the first, four bytes too long.
    h.frag(65504, 11, false, { id: 2 });
    for (let at = 0; at < 65504; at += 1472) {
      const length = Math.min(1472, 65504 - at);
      h.frag(at, length, true, { id: 2, options: at === 0 ? [1, 1, 1, 1] : [] });
    }
    expect(h.got).toHaveLength(0);
    expect(h.reassembly.queues).toBe(0);
    h.frag(65504, 11, false, { id: 3 });
    for (let at = 0; at < 65504; at += 1472) h.frag(at, Math.min(1472, 65504 - at), true, { id: 3 });
    expect(h.got[0]).toHaveLength(65535);
    end(h);
  });

  test("more memory than the namespace may spend", () => {
    const h = host();
    must(h.netns.sysctl.set("net.ipv4.ipfrag_high_thresh", "8192"));
    for (let id = 1; id <= 6; id++) h.frag(0, 8, true, { id });
    expect(h.stack.drops.entries()).toEqual([["FRAG_LIMIT", 2]]);
    expect(h.reassembly).toMatchObject({ queues: 4, memBytes: 8192 });
    h.frag(8, 8, false, { id: 1 });
    expect(h.got).toHaveLength(0);
    end(h);
  });

  test("a source that sent more than 64 others in between starts anew", () => {
    const h = host();
    h.frag(0, 8, true, { id: 1 });
    h.at(10 * SEC_US);
    for (let i = 0; i < 65; i++) h.frag(0, 8, true, { id: 2 });
    expect(h.stack.drops.entries()).toEqual([["DUP_FRAG", 64]]);
    h.frag(8, 8, false, { id: 1 });
    expect(h.stack.drops.get(DropReason.FRAG_TOO_FAR)).toBe(1);
    h.stack.run(30 * SEC_US);
    expect(h.stats.reasmTimeout).toBe(0);
    expect(h.got).toHaveLength(0);
    h.frag(0, 8, true, { id: 1 });
    expect(h.got).toHaveLength(1);
    end(h);
  });

  test("no buffer for the whole", () => {
    const h = host(2);
    h.frag(0, 8, true);
    h.frag(8, 8, false);
    expect(h.stack.drops.entries()).toEqual([["NOMEM", 2]]);
    expect(h.reassembly).toMatchObject({ queues: 0, memBytes: 0 });
    end(h);
  });
});

describe("after 30 seconds", () => {
  test("what is incomplete goes; its sender hears of it when the first fragment is here", () => {
    const h = host();
    h.frag(0, 1000, true, { id: 1, tos: 4 });
    h.at(10 * SEC_US);
    h.frag(8, 8, true, { id: 2 });
    h.stack.run(30 * SEC_US - 1);
    expect(h.reassembly.queues).toBe(2);
    h.stack.run(30 * SEC_US);
    expect(h.stack.drops.entries()).toEqual([["FRAG_REASM_TIMEOUT", 1]]);
    const [answer, ...more] = h.eth0.takeIp();
    expect(more).toHaveLength(0);
    expect([answer?.getUint8(20), answer?.getUint8(21)]).toEqual([11, 1]);
    expect([answer?.byteLength, answer?.getUint8(1)]).toEqual([576, 0xc4]);
    h.stack.run(40 * SEC_US);
    expect(h.stack.drops.entries()).toEqual([["FRAG_REASM_TIMEOUT", 2]]);
    expect(h.eth0.takeIp()).toHaveLength(0);
    expect(h.stats).toMatchObject({ reasmTimeout: 2, reasmFails: 2 });
    expect(h.stack.pool.outstanding).toBe(0);
    expect(h.stack.timers.size).toBe(0);
    end(h);
  });

  test("a namespace that goes earlier takes its fragments with it", () => {
    const h = host();
    for (let id = 1; id < 20; id++) h.frag(0, 8, true, { id });
    expect(h.stack.pool.outstanding).toBe(19);
    end(h);
  });
});
