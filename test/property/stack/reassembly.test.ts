import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { fragment } from "../../../src/stack/ip/fragment.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import * as wire from "../../../src/wire/ipv4.ts";
import { must, tearDown } from "../../support/host-router-host.ts";
import { ipPacket, TestWire } from "../../support/test-wire.ts";

const ME = ipv4("10.0.0.1");
const PEER = ipv4("10.0.0.2");

function host() {
  const stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(8192, true) });
  const netns = stack.addNetns("h");
  const eth0 = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  netns.addDevice(eth0);
  netns.setLink(eth0, true, 0);
  must(netns.addAddress(eth0, { addr: ME, len: 24 }, 0));
  must(netns.neigh.add({ dev: eth0, ip: PEER, mac: mac("02:00:00:00:00:02"), state: "PERMANENT" }, 0));
  const got: Uint8Array[] = [];
  netns.ip.register(253, {
    input(pkt: PacketBuffer) {
      got.push(pkt.bytes.slice(pkt.l3, pkt.tail));
      stack.consume(pkt);
    },
  });
  return { stack, netns, eth0, got, now: 0 };
}

/** What `fragment` makes of a packet for an MTU. */
function pieces(h: ReturnType<typeof host>, packet: Uint8Array, mtuBytes: number): Uint8Array[] {
  const pkt = h.stack.pool.acquire(packet.length) as PacketBuffer;
  pkt.l3 = pkt.put(packet.length);
  pkt.bytes.set(packet, pkt.l3);
  fragment(h.netns.ip, pkt, h.eth0, PEER, mtuBytes, 0);
  return h.eth0.takeIp().map((view) => new Uint8Array(view.buffer.slice(view.byteOffset)));
}

test("any payload, any MTU, fragmented twice, in any order and with duplicates: the same payload", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12_000 }),
      fc.integer({ min: 68, max: 1500 }),
      fc.integer({ min: 68, max: 1500 }),
      fc.constantFrom([], [7, 7, 4, 0, 0, 0, 0, 0], [0x94, 4, 0, 0, 7, 3, 4, 0]),
      fc.integer(),
      (length, mtu, mtu2, options, seed) => {
        const h = host();
        const rng = new SeededRng(seed);
        const payload = Uint8Array.from({ length }, () => rng.u32());
        const packet = ipPacket({ src: PEER, dst: ME, protocol: 253, options, payload, id: 77 });
        const frags = pieces(h, packet, mtu).flatMap((one) => pieces(h, one, mtu2));
        for (const [i, one] of frags.entries()) {
          const view = new DataView(one.buffer, one.byteOffset);
          expect(wire.check(view, 0, one.length)).toBe(0);
          expect(one.length).toBe(wire.totalLen(view, 0));
          expect(one.length <= Math.max(Math.min(mtu, mtu2), 20)).toBe(true);
          if (i > 0 && options[0] === 7) expect(one.slice(20, 27)).toEqual(new Uint8Array(7).fill(1));
        }
        const arrival = frags.flatMap((one) =>
          rng.u32() % 8 === 0 && frags.length > 1 ? [one, one] : [one],
        );
        for (let i = arrival.length - 1; i > 0; i--) {
          const j = rng.u32() % (i + 1);
          [arrival[i], arrival[j]] = [arrival[j] as Uint8Array, arrival[i] as Uint8Array];
        }
        for (const one of arrival) h.eth0.receiveFrame(one, 0);
        // Duplicates that come late may make up a second whole, or wait in vain for the rest of one.
        expect(h.got.length).toBeGreaterThan(0);
        for (const whole of h.got) expect(whole.slice(20 + options.length)).toEqual(payload);
        h.stack.run(31 * SEC_US);
        expect(h.stack.pool.outstanding).toBe(0);
        tearDown(h);
        expect(h.stack.timers.size).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});

test("garbage fragments never throw; what is delivered is what one consistent set of bytes says; nothing leaks", () => {
  const garbage = fc.record({
    id: fc.integer({ min: 1, max: 3 }),
    offset: fc.integer({ min: 0, max: 12 }).map((n) => n * 8),
    huge: fc.integer({ min: 0, max: 40 }).map((n) => (n === 0 ? 65_000 : 0)),
    length: fc.integer({ min: 0, max: 40 }),
    more: fc.boolean(),
    tos: fc.constantFrom(0, 0, 0, 1, 2, 3),
  });
  fc.assert(
    fc.property(fc.array(garbage, { maxLength: 60 }), fc.boolean(), (frags, wait) => {
      const h = host();
      let queued = 0;
      for (const f of frags) {
        const offset = f.offset + f.huge;
        const payload = Uint8Array.from({ length: f.length }, (_, i) => (offset + i) & 0xff);
        const spec = {
          src: PEER,
          dst: ME,
          protocol: 253,
          id: f.id,
          offset,
          more: f.more,
          tos: f.tos,
          payload,
        };
        h.eth0.receiveFrame(ipPacket(spec), 0);
        queued = Math.max(queued, h.netns.ip.reassembly.queues);
      }
      expect(queued).toBeLessThanOrEqual(3);
      for (const packet of h.got) {
        expect(packet.slice(20)).toEqual(Uint8Array.from({ length: packet.length - 20 }, (_, i) => i & 0xff));
      }
      expect(h.netns.ip.reassembly.memBytes).toBe(h.stack.pool.outstanding * 2048);
      if (wait) {
        h.stack.run(31 * SEC_US);
        expect(h.stack.pool.outstanding).toBe(0);
      }
      tearDown(h);
      expect(h.stack.pool.outstanding).toBe(0);
      expect(h.stack.timers.size).toBe(0);
    }),
    { numRuns: 300 },
  );
});
