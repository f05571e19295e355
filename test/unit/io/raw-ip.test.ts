import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { type Ipv4Addr, ipv4 } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { MonotonicClock } from "../../../src/io/clock.ts";
import { TX_BURST_MAX, TX_QUEUE_MAX } from "../../../src/io/datagram-sender.ts";
import { CarrierMap } from "../../../src/io/host-address.ts";
import { findKoffi } from "../../../src/io/native-library.ts";
import { RawIp } from "../../../src/io/raw-ip.ts";
import { UdpUnderlay } from "../../../src/io/udp-underlay.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { Fou } from "../../../src/tunnel/fou.ts";
import type { IpipCarrier, IpipReceiver } from "../../../src/tunnel/ipip-carrier.ts";
import * as udp from "../../../src/wire/udp.ts";
import { bytesIn, packetOf, udpSuperPacket } from "../../support/frames.ts";
import { ipPacket } from "../../support/test-wire.ts";

// Real sockets on loopback addresses that no other test uses: both ways in which ipip packets leave a node.
const A = ipv4("10.212.7.2");
const B = ipv4("10.212.7.3");

interface Arrival {
  readonly bytes: Uint8Array;
  readonly src: Ipv4Addr;
  readonly tos: number;
}

interface Refusal {
  readonly bytes: Uint8Array;
  readonly dst: Ipv4Addr;
  readonly mtuBytes: number;
}

class Side implements IpipReceiver {
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(8192, true) });
  readonly arrivals: Arrival[] = [];
  readonly local: Ipv4Addr;
  readonly refused: Refusal[] = [];
  wakes = 0;
  carrier!: IpipCarrier;
  edge!: RawIp | UdpUnderlay;

  constructor(local: Ipv4Addr) {
    this.local = local;
  }

  receiveIpip(pkt: Parameters<IpipReceiver["receiveIpip"]>[0], src: Ipv4Addr, tos: number): void {
    this.arrivals.push({ bytes: bytesIn(pkt), src, tos });
    this.stack.consume(pkt);
  }

  outerTooBig(pkt: Parameters<IpipReceiver["outerTooBig"]>[0], dst: Ipv4Addr, mtuBytes: number): void {
    this.refused.push({ bytes: bytesIn(pkt), dst, mtuBytes });
    this.stack.consume(pkt);
  }

  get options() {
    return {
      local: this.local,
      carriers: new CarrierMap(this.local, "loopback"),
      ctx: this.stack,
      clock: new MonotonicClock(),
      wake: () => this.wakes++,
    };
  }

  send(bytes: Uint8Array, dst: Ipv4Addr, ttl = 64, tos = 0, df = true): void {
    this.carrier.send(packetOf(this.stack.pool, bytes), dst, ttl, tos, df, 0);
  }
}

const sides: Side[] = [];

function openRaw(local: Ipv4Addr): Side {
  const side = new Side(local);
  const raw = RawIp.open(side.options);
  raw.attach(side);
  side.carrier = raw;
  side.edge = raw;
  sides.push(side);
  return side;
}

async function openFou(local: Ipv4Addr): Promise<Side> {
  const side = new Side(local);
  const underlay = await UdpUnderlay.open({ ...side.options, port: 45_555 });
  const fou = new Fou(side.stack, underlay, side);
  underlay.attach(fou);
  side.carrier = fou;
  side.edge = underlay;
  sides.push(side);
  return side;
}

afterEach(async () => {
  for (const side of sides.splice(0)) {
    await side.edge.close();
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

/** Why there are no raw sockets here, or undefined when there are. */
function unavailable(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    findKoffi({ code: "PL_RAW_IP_UNAVAILABLE", what: "raw sockets", without: "" });
    return undefined;
  } catch (thrown) {
    return String(thrown);
  }
}

const why = unavailable();
const inner = ipPacket({
  src: ipv4("10.244.1.2"),
  dst: ipv4("10.244.2.2"),
  payload: Uint8Array.from([1, 2, 3]),
});
const raws: [name: string, open: (local: Ipv4Addr) => Side | Promise<Side>][] =
  why === undefined ? [["protocol 4", openRaw]] : [];

describe.each([...raws, ["FOU", openFou] as (typeof raws)[number]])("%s", (name, open) => {
  test("carries a packet byte for byte, and tells whom it is from", async () => {
    const [a, b] = [await open(A), await open(B)];
    a.send(inner, B, 7, 0xb9);
    await until(() => b.arrivals.length === 1);
    expect(b.arrivals[0]).toEqual({ bytes: inner, src: A, tos: name === "FOU" ? 0 : 0xb9 });
    expect(b.wakes).toBe(1);
    expect(a.edge.stats).toMatchObject({ txDatagrams: 1, txErrors: 0 });
    b.send(inner, A);
    await until(() => a.arrivals.length === 1);
    expect(a.arrivals[0]?.src).toBe(B);
  });

  test("a super-packet leaves as one packet a segment, each with its own outer header", async () => {
    const [a, b] = [await open(A), await open(B)];
    const payload = new Uint8Array(40_000).map((_, i) => i % 251);
    const pkt = udpSuperPacket(a.stack.pool, { dst: 1, src: 2, payload }, 1400);
    pkt.pull(14);
    a.carrier.send(pkt, B, 64, 0, true, 0);
    await until(() => b.arrivals.length === Math.ceil(payload.length / 1400));
    const parts = b.arrivals.map(({ bytes }) => bytes);
    expect(parts.map((part) => part.length)).toEqual([...Array<number>(28).fill(1428), 828]);
    for (const part of parts) {
      const view = new DataView(part.buffer);
      expect(udp.checkChecksum(view, 20, view.getUint32(12), view.getUint32(16))).toBe(0);
    }
    expect(Buffer.concat(parts.map((part) => part.subarray(28)))).toEqual(Buffer.from(payload));
  });

  test("a burst is spread over turns, in order, and nothing is lost; what the queue cannot hold is dropped", async () => {
    const [a, b] = [await open(A), await open(B)];
    const numbered = (i: number) => ipPacket({ src: 1, dst: 2, id: i });
    for (let i = 0; i < TX_BURST_MAX + TX_QUEUE_MAX + 7; i++) a.send(numbered(i), B);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(a.edge.stats).toMatchObject({ txDatagrams: TX_BURST_MAX, txQueueFull: 7 });
    expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(7);
    await until(() => b.arrivals.length === TX_BURST_MAX + TX_QUEUE_MAX);
    expect(b.arrivals.map(({ bytes }) => new DataView(bytes.buffer).getUint16(4))).toEqual([
      ...Array(TX_BURST_MAX + TX_QUEUE_MAX).keys(),
    ]);
  });

  test("a destination that cannot be carried, and a socket that is closed, take nothing", async () => {
    const a = await open(A);
    a.send(inner, ipv4("10.0.0.1"));
    await a.edge.close();
    a.send(inner, B);
    expect(a.edge.stats.txErrors).toBe(2);
    expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(2);
  });
});

describe.skipIf(why !== undefined)(`raw sockets${why === undefined ? "" : ` (${why})`}`, () => {
  test("the largest packet arrives whole; one byte more is refused", async () => {
    const [a, b] = [openRaw(A), openRaw(B)];
    const big = ipPacket({ src: 1, dst: 2, payload: new Uint8Array(65_535 - 40) });
    a.send(big, B, 64, 0, false);
    await until(() => b.arrivals.length === 1);
    expect(b.arrivals[0]?.bytes).toEqual(big);
    a.send(Uint8Array.of(...big, 0), B);
    expect(a.stack.drops.get(DropReason.UNDERLAY_TX)).toBe(1);
  });

  test("what comes for another address is not heard", async () => {
    const [a, b, c] = [openRaw(A), openRaw(B), openRaw(ipv4("10.212.7.4"))];
    a.send(inner, c.local);
    await until(() => c.arrivals.length === 1);
    a.send(inner, B);
    await until(() => b.arrivals.length === 1);
    expect(c.arrivals.length).toBe(1);
    expect(a.arrivals.length).toBe(0);
  });

  test("opening and closing leaves no descriptor", async () => {
    const count = () => readdirSync("/proc/self/fd").length;
    await openRaw(A).edge.close();
    const before = count();
    for (let i = 0; i < 20; i++) await openRaw(A).edge.close();
    expect(count()).toBe(before);
    const nowhere = new Side(ipv4("203.0.113.77"));
    const options = { ...nowhere.options, carriers: new CarrierMap(nowhere.local, "host") };
    expect(() => RawIp.open(options)).toThrow(expect.objectContaining({ code: "PL_ADDRESS_UNAVAILABLE" }));
    expect(count()).toBe(before);
  });

  test("without the capability the error says what to do", () => {
    const script = `
      import { RawIp } from ${JSON.stringify(new URL("../../../dist/io/raw-ip.js", import.meta.url).href)};
      import { CarrierMap } from ${JSON.stringify(new URL("../../../dist/io/host-address.js", import.meta.url).href)};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const local = ${A};
      try { RawIp.open({ local, carriers: new CarrierMap(local, "loopback") }); }
      catch (error) { console.log(error.code, error.remedy); }`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    expect(stdout).toMatch(/^PL_RAW_IP_FORBIDDEN .*CAP_NET_RAW.*FOU/);
  });
});
