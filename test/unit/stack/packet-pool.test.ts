import { expect, test } from "vitest";
import { HEADROOM } from "../../../src/stack/packet-buffer.ts";
import { LARGE_BYTES, PacketPool, SMALL_BYTES } from "../../../src/stack/packet-pool.ts";

test("a released buffer comes back clean, and its bytes are poisoned", () => {
  const pool = new PacketPool(4, true);
  const pkt = pool.acquire(100);
  if (pkt === undefined) throw new Error("empty");
  pkt.bytes.fill(1, pkt.put(100), pkt.tail);
  pkt.pull(14);
  Object.assign(pkt, { l2: 3, l3: 4, l4: 5, protocol: 6, packetType: 2, iif: 7, mark: 8, gsoSize: 9 });
  pkt.tunnelRemote = 10;
  pool.release(pkt);
  const again = pool.acquire(100);
  expect(again).toBe(pkt);
  const { head, tail, l2, l3, l4, protocol, packetType, iif, mark, gsoSize, tunnelRemote, dev } = pkt;
  expect([head, tail, l2, l3, l4]).toEqual([HEADROOM, HEADROOM, HEADROOM, HEADROOM, HEADROOM]);
  expect([protocol, packetType, iif, mark, gsoSize, tunnelRemote, dev]).toEqual([
    0,
    0,
    0,
    0,
    0,
    0,
    undefined,
  ]);
  expect(pkt.bytes.every((byte) => byte === 0xa5)).toBe(true);
  pool.release(pkt);
  expect(pool.outstanding).toBe(0);
});

test("the size decides the class, and each class is reused", () => {
  const pool = new PacketPool();
  const small = pool.acquire(SMALL_BYTES - HEADROOM);
  const large = pool.acquire(SMALL_BYTES - HEADROOM + 1);
  expect(small?.capacity).toBe(SMALL_BYTES);
  expect(large?.capacity).toBe(LARGE_BYTES);
  for (const pkt of [small, large]) if (pkt !== undefined) pool.release(pkt);
  expect(pool.acquire(10)).toBe(small);
  expect(pool.acquire(60000)).toBe(large);
  expect(pool.created).toBe(2);
});

test("the limit holds and is counted", () => {
  const pool = new PacketPool(2);
  const one = pool.acquire(1);
  pool.acquire(1);
  expect(pool.acquire(1)).toBeUndefined();
  expect(pool.exhausted).toBe(1);
  if (one !== undefined) pool.release(one);
  expect(pool.acquire(1)).toBe(one);
});

test("releasing twice dies", () => {
  const pool = new PacketPool();
  const pkt = pool.acquire(1);
  if (pkt === undefined) throw new Error("empty");
  pool.release(pkt);
  expect(() => pool.release(pkt)).toThrow("released twice");
});

test.each([
  ["small", 500, SMALL_BYTES],
  ["large", 9000, LARGE_BYTES],
])(
  "a clone of a %s packet has the same bytes at the same offsets, and is another buffer",
  (_name, len, capacity) => {
    const pool = new PacketPool(4, true);
    const pkt = pool.acquire(len);
    if (pkt === undefined) throw new Error("empty");
    const at = pkt.put(len);
    for (let i = 0; i < len; i++) pkt.bytes[at + i] = i & 0xff;
    pkt.l2 = pkt.push(14);
    pkt.pull(14);
    Object.assign(pkt, {
      l3: 142,
      l4: 162,
      mark: 5,
      gsoSize: 1400,
      tunnelRemote: 9,
      iif: 2,
      protocol: 0x800,
    });
    const copy = pool.clone(pkt);
    if (copy === undefined) throw new Error("empty");
    expect(copy).not.toBe(pkt);
    expect(copy.capacity).toBe(capacity);
    expect(copy.bytes.slice(copy.l2, copy.tail)).toEqual(pkt.bytes.slice(pkt.l2, pkt.tail));
    const { head, tail, l2, l3, l4, mark, gsoSize, tunnelRemote, iif, protocol } = pkt;
    expect(copy).toMatchObject({ head, tail, l2, l3, l4, mark, gsoSize, tunnelRemote, iif, protocol });
    copy.bytes[copy.head] = 0xff;
    expect(pkt.bytes[pkt.head]).toBe(0);
    pool.release(pkt);
    pool.release(copy);
    expect(pool.outstanding).toBe(0);
  },
);

test("a short packet in a large buffer is cloned into a small one", () => {
  const pool = new PacketPool();
  const pkt = pool.acquire(9000);
  if (pkt === undefined) throw new Error("empty");
  pkt.put(100);
  expect(pool.clone(pkt)?.capacity).toBe(SMALL_BYTES);
});

test("push, pull and put past the buffer die", () => {
  const pkt = new PacketPool().acquire(10);
  if (pkt === undefined) throw new Error("empty");
  expect(() => pkt.pull(1)).toThrow("past the tail");
  expect(() => pkt.push(HEADROOM + 1)).toThrow("headroom");
  expect(() => pkt.put(SMALL_BYTES)).toThrow("tailroom");
});
