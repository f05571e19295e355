import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { type Ipv4Addr, ipv4 } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { MonotonicClock } from "../../../src/io/clock.ts";
import { CarrierMap } from "../../../src/io/host-address.ts";
import { findKoffi } from "../../../src/io/native-library.ts";
import { RawIcmp } from "../../../src/io/raw-icmp.ts";
import { KernelPathMtu, openRawSocket } from "../../../src/io/raw-socket.ts";
import { UdpUnderlay } from "../../../src/io/udp-underlay.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import type { OuterError } from "../../../src/tunnel/outer-error.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import { packetOf } from "../../support/frames.ts";
import { icmpMessage, ipPacket } from "../../support/test-wire.ts";

// Real sockets on loopback addresses that no other test uses.
const A = ipv4("10.213.7.2");
const B = ipv4("10.213.7.3");
const carried = (addr: Ipv4Addr): Ipv4Addr => (addr & 0xff_ffff) + 0x7f00_0000;

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

const options = (carriers: CarrierMap) => ({ local: A, carriers, clock: new MonotonicClock() });

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function listen(): { icmp: RawIcmp; heard: OuterError[] } {
  const carriers = new CarrierMap(A, "loopback");
  carriers.learn(B);
  const raw = RawIcmp.open(options(carriers));
  const heard: OuterError[] = [];
  raw.attach({ receiveOuterError: (error) => heard.push(error) });
  closers.push(() => raw.close());
  return { icmp: raw, heard };
}

/** Somebody at B's address who sends ICMP messages of any kind to A. */
function router(): (message: Uint8Array) => void {
  const socket = openRawSocket({
    what: "raw sockets",
    without: "",
    protocol: 1,
    host: carried(B),
    carrier: "loopback",
    options: [],
  });
  closers.push(() => new Promise<void>((resolve) => socket.close(resolve)));
  return (message) => socket.send(message, 1, "127.213.7.2");
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not happen within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const why = unavailable();
const quoted = (src: Ipv4Addr) =>
  ipPacket({ src: carried(src), dst: carried(B), protocol: 4, df: true, payload: new Uint8Array(8) });
const FRAG_NEEDED = [icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, 1400] as const;

describe.skipIf(why !== undefined)(`ICMP on a raw socket${why === undefined ? "" : ` (${why})`}`, () => {
  test("hears of its own packets, in underlay addresses; the forged and the damaged are counted alone", async () => {
    const { icmp: raw, heard } = listen();
    const send = router();
    const good = icmpMessage(...FRAG_NEEDED, quoted(A));
    send(icmpMessage(...FRAG_NEEDED, quoted(B)));
    send(Uint8Array.from(good, (byte, i) => (i === 3 ? byte ^ 1 : byte)));
    send(good.subarray(0, 20));
    // The filter keeps these three from us.
    send(good.subarray(0, 5));
    send(icmpMessage(icmp.Type.ECHO, 0, 1, new Uint8Array(8)));
    send(icmpMessage(icmp.Type.REDIRECT, 1, B, quoted(A)));
    send(good);
    await until(() => heard.length > 0 && raw.stats.rxIgnored >= 3);
    expect(heard).toEqual([{ type: 3, code: 4, mtuBytes: 1400, src: A, dst: B, protocol: 4, dstPort: 0 }]);
    expect(raw.stats).toEqual({ rxErrorsHeard: 1, rxIgnored: 3 });
  });

  test("the kernel's own word about UDP that nobody listens to", async () => {
    const { heard } = listen();
    const stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(16, true) });
    const clock = new MonotonicClock();
    const carriers = new CarrierMap(A, "loopback");
    const underlay = await UdpUnderlay.open({
      local: A,
      port: 45_556,
      carriers,
      ctx: stack,
      clock,
      wake: () => {},
    });
    closers.push(() => underlay.close());
    underlay.send(packetOf(stack.pool, new Uint8Array(100)), B, 45_557, 1, 0);
    await until(() => heard.length > 0);
    expect(heard[0]).toMatchObject({ type: 3, code: 3, src: A, dst: B, protocol: 17, dstPort: 45_557 });
    expect(stack.pool.outstanding).toBe(0);
  });

  test("opening, closing and asking for a path MTU leave no descriptor", async () => {
    const count = () => readdirSync("/proc/self/fd").length;
    const carriers = new CarrierMap(A, "loopback");
    await RawIcmp.open(options(carriers)).close();
    const before = count();
    for (let i = 0; i < 20; i++) await RawIcmp.open(options(carriers)).close();
    expect(count()).toBe(before);
    const nowhere = { ...options(new CarrierMap(ipv4("203.0.113.77"), "host")), local: ipv4("203.0.113.77") };
    expect(() => RawIcmp.open(nowhere)).toThrow(expect.objectContaining({ code: "PL_ADDRESS_UNAVAILABLE" }));
    expect(count()).toBe(before);
    const mtu = new KernelPathMtu({ what: "", without: "" }, carried(A));
    expect([mtu.ask(carried(B)), count()]).toEqual([65_535, before]);
  });

  test("without the capability the error says what to do", () => {
    const script = `
      import { RawIcmp } from ${JSON.stringify(new URL("../../../dist/io/raw-icmp.js", import.meta.url).href)};
      import { CarrierMap } from ${JSON.stringify(new URL("../../../dist/io/host-address.js", import.meta.url).href)};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const local = ${A};
      try { RawIcmp.open({ local, carriers: new CarrierMap(local, "loopback") }); }
      catch (error) { console.log(error.code, error.remedy); }`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    expect(stdout).toMatch(/^PL_RAW_IP_FORBIDDEN .*CAP_NET_RAW.*path MTU/);
  });
});
