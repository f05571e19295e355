import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { type Ipv4Addr, ipv4 } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { UNCARRIED_SAID_MAX } from "../../../src/io/carried-peers.ts";
import { MonotonicClock } from "../../../src/io/clock.ts";
import { TX_BURST_MAX, TX_QUEUE_MAX } from "../../../src/io/datagram-sender.ts";
import { CarrierMap } from "../../../src/io/host-address.ts";
import type { PodloomError } from "../../../src/io/podloom-error.ts";
import { UdpUnderlay, type UdpUnderlayOptions } from "../../../src/io/udp-underlay.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";
import { udpSuperPacket } from "../../support/frames.ts";

// Loopback addresses that no lab in the other tests uses.
const A = ipv4("10.211.7.2");
const B = ipv4("10.211.7.3");

interface Arrival {
  readonly bytes: string;
  readonly src: Ipv4Addr;
  readonly srcPort: number;
}

class Side {
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(8192, true) });
  readonly arrivals: Arrival[] = [];
  wakes = 0;
  underlay!: UdpUnderlay;

  static async open(local: Ipv4Addr, options: Partial<UdpUnderlayOptions> = {}): Promise<Side> {
    const side = new Side();
    side.underlay = await UdpUnderlay.open({
      local,
      port: 0,
      carriers: new CarrierMap(local, "loopback"),
      ctx: side.stack,
      clock: new MonotonicClock(),
      wake: () => side.wakes++,
      ...options,
    });
    side.underlay.attach({
      receive: (pkt, src, srcPort) => {
        side.arrivals.push({
          bytes: Buffer.from(pkt.bytes.subarray(pkt.head, pkt.tail)).toString("latin1"),
          src,
          srcPort,
        });
        side.stack.consume(pkt);
      },
    });
    return side;
  }

  packet(text: string | Uint8Array): PacketBuffer {
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
    const pkt = this.stack.pool.acquire(bytes.length) as PacketBuffer;
    pkt.bytes.set(bytes, pkt.put(bytes.length));
    return pkt;
  }

  send(text: string | Uint8Array, to: Side, flowHash = 0): void {
    this.underlay.send(this.packet(text), to.underlay.local, to.underlay.port, flowHash, 0);
  }
}

const sides: Side[] = [];
const open = async (local: Ipv4Addr, options?: Partial<UdpUnderlayOptions>): Promise<Side> => {
  const side = await Side.open(local, options);
  sides.push(side);
  return side;
};

afterEach(async () => {
  for (const side of sides.splice(0)) {
    await side.underlay.close();
    expect(side.stack.pool.outstanding).toBe(0);
  }
});

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not happen within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test("carries a datagram from one underlay address to another, byte for byte", async () => {
  const [a, b] = [await open(A), await open(B)];
  a.send("hello", b);
  await until(() => b.arrivals.length === 1);
  expect(b.arrivals[0]).toMatchObject({ bytes: "hello", src: A });
  expect(b.wakes).toBe(1);
  expect(a.underlay.stats).toMatchObject({ txDatagrams: 1, txBytes: 5, txErrors: 0 });
  expect(b.underlay.stats).toMatchObject({ rxDatagrams: 1, rxBytes: 5 });
});

test("the largest datagram that UDP can carry arrives whole", async () => {
  const [a, b] = [await open(A), await open(B)];
  const bytes = new Uint8Array(65_507).map((_, i) => i * 7);
  a.send(bytes, b);
  await until(() => b.arrivals.length === 1);
  expect(b.arrivals[0]?.bytes).toBe(Buffer.from(bytes).toString("latin1"));
});

test("a super-packet leaves as one datagram a segment, tunnel header and all, in order", async () => {
  const [a, b] = [await open(A), await open(B)];
  const payload = new Uint8Array(40_000).map((_, i) => i % 251);
  const pkt = udpSuperPacket(a.stack.pool, { dst: 0x0200_0000_0001, src: 0x0200_0000_0002, payload }, 1400);
  vxlan.emit(pkt.view, pkt.push(vxlan.HEADER_LEN), 7);
  a.underlay.send(pkt, B, b.underlay.port, 3, 0);
  const headers = vxlan.HEADER_LEN + 14 + 20 + 8;
  await until(() => b.arrivals.length === Math.ceil(payload.length / 1400));
  expect(new Set(b.arrivals.map((arrival) => arrival.srcPort)).size).toBe(1);
  const parts = b.arrivals.map((arrival) => Buffer.from(arrival.bytes, "latin1"));
  expect(parts.every((part) => part.length <= headers + 1400)).toBe(true);
  expect(new Set(parts.map((part) => part.toString("latin1", 0, vxlan.HEADER_LEN + 14))).size).toBe(1);
  expect(Buffer.concat(parts.map((part) => part.subarray(headers)))).toEqual(Buffer.from(payload));
});

test("a flow keeps its source port, several flows have several, none is the listening port", async () => {
  const [a, b] = [await open(A, { txSockets: 3 }), await open(B)];
  for (const hash of [0, 1, 2, 3, 0xffff_ffff]) a.send(`flow ${hash % 3}`, b, hash);
  await until(() => b.arrivals.length === 5);
  const ports = new Map<string, Set<number>>();
  for (const { bytes, srcPort } of b.arrivals) ports.set(bytes, (ports.get(bytes) ?? new Set()).add(srcPort));
  const used = [...ports.values()].flatMap((set) => [...set]);
  expect(used).toHaveLength(3);
  expect(new Set(used).size).toBe(3);
  expect(used).not.toContain(a.underlay.port);
});

test("without sockets of its own for sending, it sends from the port that it listens on", async () => {
  const [a, b] = [await open(A, { txSockets: 0 }), await open(B)];
  a.send("x", b, 12345);
  await until(() => b.arrivals.length === 1);
  expect(b.arrivals[0]?.srcPort).toBe(a.underlay.port);
});

test("a burst is spread over turns, in order, and nothing is lost", async () => {
  const [a, b] = [await open(A), await open(B)];
  const count = TX_BURST_MAX * 5 + 3;
  for (let i = 0; i < count; i++) a.send(String(i), b);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(a.underlay.stats.txDatagrams).toBe(TX_BURST_MAX);
  await until(() => b.arrivals.length === count);
  expect(b.arrivals.map((arrival) => Number(arrival.bytes))).toEqual([...Array(count).keys()]);
});

test("what the queue cannot hold is dropped with UNDERLAY_TX", async () => {
  const [a, b] = [await open(A), await open(B)];
  const over = 7;
  for (let i = 0; i < TX_BURST_MAX + TX_QUEUE_MAX + over; i++) a.send("x", b);
  expect(a.underlay.stats.txQueueFull).toBe(over);
  expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(over);
  await until(() => a.underlay.pending === 0);
});

test("what the kernel refuses is dropped with UNDERLAY_TX and counted", async () => {
  const local = ipv4("127.211.7.2");
  const a = await open(local, { carriers: new CarrierMap(local, "host") });
  // From a loopback address nothing leads off the machine.
  a.underlay.send(a.packet(new Uint8Array(8)), ipv4("203.0.113.9"), 9, 0, 0);
  await until(() => a.underlay.pending === 0);
  expect(a.underlay.stats).toMatchObject({ txErrors: 1, txTooBig: 0, txDatagrams: 0 });
  expect(a.stack.drops.entries()).toEqual([["UNDERLAY_TX", 1]]);
});

test("what it refuses for its length, with PKT_TOO_BIG", async () => {
  const a = await open(A);
  a.underlay.send(a.packet(new Uint8Array(65_535)), B, 9, 0, 0);
  await until(() => a.underlay.pending === 0);
  expect(a.underlay.stats).toMatchObject({ txErrors: 1, txTooBig: 1, txDatagrams: 0 });
  expect(a.stack.drops.entries()).toEqual([["PKT_TOO_BIG", 1]]);
});

test("a peer whose carrier address belongs to another peer is not sent to", async () => {
  const [a, b] = [await open(A), await open(B)];
  a.send("first", b);
  a.underlay.send(a.packet("second"), ipv4("172.211.7.3"), b.underlay.port, 0, 0);
  await until(() => b.arrivals.length === 1);
  expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(1);
  expect(b.arrivals[0]?.bytes).toBe("first");
});

test("what cannot be carried is told once a destination, and no more often than its bound", async () => {
  const told: [Ipv4Addr, string, string | undefined][] = [];
  const onUncarried = (dst: Ipv4Addr, { code, remedy }: PodloomError) => void told.push([dst, code, remedy]);
  const [a, b] = [await open(A, { onUncarried }), await open(B)];
  const sendTo = (dst: string) => a.underlay.send(a.packet("x"), ipv4(dst), b.underlay.port, 0, 0);
  a.send("first", b);
  for (let i = 0; i < 3; i++) sendTo("172.211.7.3");
  // Would be this machine's own 127.0.0.1.
  sendTo("10.0.0.1");
  expect(told).toEqual([
    [ipv4("172.211.7.3"), "PL_UNDERLAY_COLLISION", expect.stringMatching(/./)],
    [ipv4("10.0.0.1"), "PL_UNDERLAY_UNUSABLE", expect.stringMatching(/./)],
  ]);
  for (let i = 0; i < UNCARRIED_SAID_MAX; i++) sendTo(`${11 + i}.0.0.1`);
  expect(told).toHaveLength(UNCARRIED_SAID_MAX);
  await until(() => a.underlay.pending === 0);
});

test("datagrams to a closed port are counted at most, and later ones arrive", async () => {
  const [a, b] = [await open(A), await open(B)];
  const { port } = b.underlay;
  await b.underlay.close();
  for (let i = 0; i < 5; i++) a.send("lost", b);
  await until(() => a.underlay.pending === 0);
  const again = await open(B, { port });
  a.send("found", again);
  await until(() => again.arrivals.length === 1);
});

test("an exhausted pool costs datagrams, not the process", async () => {
  const [a, b] = [await open(A), await open(B)];
  const held: PacketBuffer[] = [];
  for (let pkt = b.stack.pool.acquire(1); pkt !== undefined; pkt = b.stack.pool.acquire(1)) held.push(pkt);
  a.send("lost", b);
  await until(() => b.underlay.stats.rxNoBuffer === 1);
  for (const pkt of held) b.stack.pool.release(pkt);
  expect(b.arrivals).toHaveLength(0);
});

test("closing drops what is queued and releases every packet", async () => {
  const [a, b] = [await open(A), await open(B)];
  for (let i = 0; i < 200; i++) a.send("x", b);
  await a.underlay.close();
  expect(a.underlay.pending).toBe(0);
  expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(200 - TX_BURST_MAX);
  a.send("after", b);
  expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(201 - TX_BURST_MAX);
});

describe("a port that cannot be opened", () => {
  async function failure(
    options: Partial<UdpUnderlayOptions>,
    local = A,
  ): Promise<{ code: string; message: string; remedy: string }> {
    const opened = await Side.open(local, options).catch((error: unknown) => error);
    expect(opened).toHaveProperty("code");
    return opened as { code: string; message: string; remedy: string };
  }

  test("in use: names address and port", async () => {
    const other: Socket = createSocket("udp4").bind(0, "127.211.7.2");
    await once(other, "listening");
    const { port } = other.address();
    const error = await failure({ port });
    other.close();
    expect(error.code).toBe("PL_PORT_IN_USE");
    expect(error.message).toContain(`127.211.7.2:${port}`);
    expect(error.remedy).toContain(`sport = :${port}`);
  });

  test("no such address: says what the carrier needs", async () => {
    const error = await failure({ carriers: new CarrierMap(ipv4("192.0.2.77"), "host") }, ipv4("192.0.2.77"));
    expect(error.code).toBe("PL_ADDRESS_UNAVAILABLE");
    expect(error.remedy).toContain("--carrier loopback");
  });
});
