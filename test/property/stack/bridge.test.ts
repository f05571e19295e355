import fc from "fast-check";
import { expect, test } from "vitest";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Bridge } from "../../../src/stack/bridge.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { type Veth, vethPair } from "../../../src/stack/veth.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import { packetOf, Sink, udpFrame } from "../../support/frames.ts";

const BASE = mac("02:00:00:00:00:00");
const BRIDGE = mac("02:aa:00:00:00:00");

// Stations move, come by several ports and are spoken to before they were heard; ports go down and up.
const step = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      t: fc.constant("send" as const),
      from: fc.nat({ max: 3 }),
      src: fc.nat({ max: 5 }),
      dst: fc.oneof(
        fc.nat({ max: 5 }).map((n) => BASE + n),
        fc.constantFrom(MAC_BROADCAST, BRIDGE, mac("01:00:5e:00:00:01")),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("flap" as const), from: fc.nat({ max: 3 }) }) },
);

test("a bridge never sends a frame back where it came from, sends it nowhere twice, and loses no buffer", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pool = new PacketPool(100, true);
      const stack = new NetStack({ rng: new SeededRng(1), pool });
      const host = stack.addNetns("");
      const bridge = new Bridge(stack, "br0", BRIDGE);
      host.addDevice(bridge);
      bridge.setMac(BRIDGE, 0);
      host.setLink(bridge, true, 0);
      const up = new Sink(stack);
      bridge.upper = up;
      const pods = [0, 1, 2, 3].map((i) => {
        const netns = stack.addNetns(`pod${i}`);
        const [dev, end] = vethPair(stack, "eth0", `veth${i}`, BASE + 0x100 + i, BASE + 0x200 + i, 1500);
        netns.addDevice(dev);
        host.addDevice(end);
        bridge.addPort(end, 0);
        netns.setLink(dev, true, 0);
        host.setLink(end, true, 0);
        const sink = new Sink(stack);
        dev.upper = sink;
        return { dev, end, sink };
      });
      const where = new Map<number, number>();

      for (const one of steps) {
        const from = pods[one.from] as { dev: Veth; end: Veth; sink: Sink };
        if (one.t === "flap") {
          host.setLink(from.end, !from.end.up, 0);
          if (!from.end.up) for (const [m, at] of where) if (at === one.from) where.delete(m);
          continue;
        }
        const src = BASE + one.src;
        const heard = from.end.up;
        from.dev.transmit(packetOf(pool, udpFrame({ dst: one.dst, src })), 0);
        while (stack.run(0)) continue;
        const got = pods.map((p) => p.sink.take().length);
        const above = up.take().length;
        if (!heard) {
          expect([...got, above]).toEqual([0, 0, 0, 0, 0]);
          continue;
        }
        where.set(src, one.from);
        const group = one.dst === MAC_BROADCAST || one.dst === mac("01:00:5e:00:00:01");
        const known = where.get(one.dst);
        const expected = pods.map((p, i) => {
          if (i === one.from || !p.end.up || one.dst === BRIDGE) return 0;
          return group || known === undefined || known === i ? 1 : 0;
        });
        expect(got).toEqual(expected);
        expect(above).toBe(group || one.dst === BRIDGE ? 1 : 0);
      }
      expect(pool.outstanding).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test("whatever bytes a port receives, the bridge takes them without throwing and releases them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 64 }), fc.boolean(), (bytes, unicast) => {
      const pool = new PacketPool(20, true);
      const stack = new NetStack({ rng: new SeededRng(1), pool });
      const host = stack.addNetns("");
      const bridge = new Bridge(stack, "br0", BRIDGE);
      host.addDevice(bridge);
      host.setLink(bridge, true, 0);
      const [a, b] = vethPair(stack, "a", "b", BASE + 1, BASE + 2, 1500);
      for (const dev of [a, b]) {
        host.addDevice(dev);
        host.setLink(dev, true, 0);
      }
      bridge.addPort(b, 0);
      if (unicast && bytes.length > 0) bytes[0] = (bytes[0] as number) & 0xfe;
      const pkt = packetOf(pool, bytes);
      if (bytes.length >= ethernet.HEADER_LEN && unicast) pkt.view.setUint8(pkt.head + 6, 2);
      b.deliver(pkt, 0);
      while (stack.run(0)) continue;
      expect(pool.outstanding).toBe(0);
    }),
    { numRuns: 300 },
  );
});
