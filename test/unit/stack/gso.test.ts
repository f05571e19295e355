import fc from "fast-check";
import { expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { gsoNetworkLen, gsoSegments, segment } from "../../../src/stack/gso.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool, SMALL_BYTES } from "../../../src/stack/packet-pool.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as udp from "../../../src/wire/udp.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";
import { bytesIn, packetOf, udpFrame, udpSuperPacket } from "../../support/frames.ts";

const A = mac("02:00:00:00:00:0a");
const B = mac("02:00:00:00:00:0b");

function split(pkt: PacketBuffer, pool: PacketPool) {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const segments: PacketBuffer[] = [];
  segment(pkt, stack, { segment: (one) => segments.push(one) }, 0);
  return { stack, segments };
}

const payloads = fc.uint8Array({ minLength: 0, maxLength: 8000 });

test("segments are sound packets that carry the original's payload in order, behind its outer headers", () => {
  fc.assert(
    fc.property(
      payloads,
      fc.integer({ min: 1, max: 1600 }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.boolean(),
      (...given) => {
        const [payload, size, id, tunnelled] = given;
        const pool = new PacketPool(10_000, true);
        const pkt = udpSuperPacket(
          pool,
          { dst: B, src: A, payload, id },
          Math.max(size, payload.length >> 6, 1),
        );
        Object.assign(pkt, { mark: 3, tunnelRemote: 4 });
        if (tunnelled) vxlan.emit(pkt.view, pkt.push(vxlan.HEADER_LEN), 1);
        const front = bytesIn(pkt).slice(0, pkt.l3 - pkt.head);
        const gsoSize = pkt.gsoSize;
        const largest = gsoNetworkLen(pkt);
        const count = gsoSegments(pkt);
        const { segments } = split(pkt, pool);

        const parts = segments.map((one, n) => {
          const view = one.view;
          expect(bytesIn(one).slice(0, one.l3 - one.head)).toEqual(front);
          expect(ipv4.check(view, one.l3, one.tail)).toBe(DropReason.NOT_DROPPED);
          expect(ipv4.totalLen(view, one.l3)).toBe(one.tail - one.l3);
          expect(ipv4.id(view, one.l3)).toBe((id + n) & 0xffff);
          expect(udp.check(view, one.l4, one.tail)).toBe(DropReason.NOT_DROPPED);
          expect(udp.len(view, one.l4)).toBe(one.tail - one.l4);
          expect(udp.checksumField(view, one.l4)).not.toBe(0);
          const [src, dst] = [ipv4.src(view, one.l3), ipv4.dst(view, one.l3)];
          expect(udp.checkChecksum(view, one.l4, src, dst)).toBe(DropReason.NOT_DROPPED);
          expect(one).toMatchObject({ gsoSize: 0, mark: 3, tunnelRemote: 4 });
          expect(one.tail - one.l3).toBeLessThanOrEqual(largest);
          return Array.from(bytesIn(one, one.l4 + udp.HEADER_LEN));
        });
        expect(parts.length).toBe(count);
        for (const part of parts.slice(0, -1)) expect(part.length).toBe(gsoSize);
        expect(parts.flat()).toEqual(Array.from(payload));
        for (const one of segments) pool.release(one);
        expect(pool.outstanding).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});

test("what is no super-packet is handed over as it is", () => {
  const pool = new PacketPool(10, true);
  const pkt = packetOf(pool, udpFrame({ dst: B, src: A }));
  const before = bytesIn(pkt);
  const { segments } = split(pkt, pool);
  expect(segments).toEqual([pkt]);
  expect(bytesIn(pkt)).toEqual(before);
  expect(gsoSegments(pkt)).toBe(1);
  pool.release(pkt);
});

test("segments of an ordinary size live in small buffers", () => {
  const pool = new PacketPool(100, true);
  const pkt = udpSuperPacket(pool, { dst: B, src: A, payload: new Uint8Array(20_000) }, 1400);
  const { segments } = split(pkt, pool);
  expect(segments.length).toBe(15);
  for (const one of segments) {
    expect(one.capacity).toBe(SMALL_BYTES);
    pool.release(one);
  }
  expect(pool.outstanding).toBe(0);
});

test("an empty pool costs the rest of the super-packet, counted once", () => {
  const pool = new PacketPool(3, true);
  const pkt = udpSuperPacket(pool, { dst: B, src: A, payload: new Uint8Array(5000) }, 1000);
  const { stack, segments } = split(pkt, pool);
  expect(segments.length).toBe(2);
  expect(stack.drops.get(DropReason.NOMEM)).toBe(1);
  for (const one of segments) pool.release(one);
  expect(pool.outstanding).toBe(0);
});

test("offsets that are not the packet's own die instead of cutting somewhere", () => {
  const pool = new PacketPool();
  const pkt = udpSuperPacket(pool, { dst: B, src: A, payload: new Uint8Array(5000) }, 1000);
  pkt.l4 = pkt.tail;
  expect(() => split(pkt, pool)).toThrow("l3 and l4");
});
