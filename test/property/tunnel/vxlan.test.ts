import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { VxlanDevice } from "../../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import { packetOf, RecordingUnderlay, Sink, udpFrame } from "../../support/frames.ts";

const OWN = mac("02:00:00:00:00:01");
const PEER = mac("02:00:00:00:00:02");

function vtep(pool: PacketPool, local: string, own: number, gbp: boolean, learning: boolean) {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const host = stack.addNetns("");
  const underlay = new RecordingUnderlay(stack, ipv4(local));
  const opts = { vni: 1, learning, gbp, ageingSec: 300, local: underlay.local, dstPort: 8472 };
  const dev = new VxlanDevice(stack, "vxlan1", own, 1450, opts, underlay);
  const port = new VxlanPort(stack);
  port.add(dev);
  host.addDevice(dev);
  host.setLink(dev, true, 0);
  return { stack, host, underlay, dev, port };
}

test("what one device sends, another receives as it was", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1400 }),
      fc.integer({ min: 0, max: 0x48_ffff }),
      (payload, given) => {
        const pool = new PacketPool(10, true);
        const mark = given & 0x48_ffff;
        const a = vtep(pool, "10.0.0.1", OWN, true, false);
        const b = vtep(pool, "10.0.0.2", PEER, true, true);
        const sink = new Sink(b.stack);
        b.dev.upper = sink;
        a.dev.fdb.replace(PEER, b.underlay.local, "permanent", 0);
        const frame = udpFrame({ dst: PEER, src: OWN, payload });
        a.dev.transmit(Object.assign(packetOf(pool, frame), { mark }), 0);
        const [datagram] = a.underlay.take();
        b.port.receive(packetOf(pool, datagram?.payload ?? new Uint8Array()), a.underlay.local, 1, 0);
        expect(sink.take()).toMatchObject([{ frame, mark, tunnelRemote: a.underlay.local }]);
        expect(pool.outstanding).toBe(0);
      },
    ),
    { numRuns: 100 },
  );
});

// A sound datagram with a few bytes changed and an end cut off, so that every branch behind the header is reached.
const sound = Uint8Array.from([8, 0, 0, 0, 0, 0, 1, 0, ...udpFrame({ dst: OWN, src: PEER })]);
const mutated = fc
  .tuple(
    fc.array(fc.tuple(fc.nat({ max: sound.length - 1 }), fc.nat({ max: 255 })), { maxLength: 5 }),
    fc.nat({ max: sound.length }),
  )
  .map(([changes, len]) => {
    const bytes = Uint8Array.from(sound);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes.slice(0, len);
  });

test("whatever arrives on the port is received or dropped: nothing throws, no buffer is lost", () => {
  fc.assert(
    fc.property(
      fc.oneof(mutated, fc.uint8Array({ maxLength: 120 })),
      fc.boolean(),
      fc.boolean(),
      (bytes, gbp, learning) => {
        const pool = new PacketPool(20, true);
        const { stack, host, port } = vtep(pool, "10.0.0.1", OWN, gbp, learning);
        host.sysctl.set("net.ipv4.ip_forward", "1");
        port.receive(packetOf(pool, bytes), ipv4("10.0.0.2"), 1, 0);
        while (stack.run(0)) continue;
        stack.delNetns("", 0);
        expect(pool.outstanding).toBe(0);
      },
    ),
    { numRuns: 1000 },
  );
});
