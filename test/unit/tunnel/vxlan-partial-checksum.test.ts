// A kernel VTEP over veth leaves the inner checksum unfinished. The device finishes it, so a pod's socket behind it accepts
// the datagram; a damaged one stays damaged.
import { expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { VxlanDevice } from "../../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import * as checksum from "../../../src/wire/checksum.ts";
import { packetOf, RecordingUnderlay, udpFrame } from "../../support/frames.ts";

const OWN = mac("02:00:00:00:00:01");
const PEER = mac("02:00:00:00:00:02");
const LOCAL = ipv4("192.168.56.2");
const HERE = ipv4("10.244.1.0");
const THERE = ipv4("10.244.2.0");
const L4 = 14 + 20;

test("a datagram with only the pseudo header's sum reaches the socket; one with a wrong checksum does not", () => {
  const pool = new PacketPool(100, true);
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const host = stack.addNetns("");
  const options = { vni: 1, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 8472 };
  const underlay = new RecordingUnderlay(stack, LOCAL);
  const dev = new VxlanDevice(stack, "flannel.1", OWN, 1450, options, underlay);
  host.addDevice(dev);
  host.setLink(dev, true, 0);
  host.addAddress(dev, { addr: HERE, len: 32 }, 0);
  host.addRoute({ dst: { addr: THERE, len: 24 }, via: THERE, dev, onlink: true }, 0);
  const port = new VxlanPort(stack);
  port.add(dev);
  const socket = host.udp.open();
  socket.bind(0, 7000);

  const payload = Uint8Array.from({ length: 33 }, (_, i) => i * 7);
  const spec = { dst: OWN, src: PEER, ipSrc: THERE, ipDst: HERE, srcPort: 5000, dstPort: 7000, payload };
  const receive = (change: (frame: DataView) => void): void => {
    const frame = udpFrame(spec);
    change(new DataView(frame.buffer));
    const bytes = Uint8Array.from([8, 0, 0, 0, 0, 0, 1, 0, ...frame]);
    port.receive(packetOf(pool, bytes), ipv4("192.168.56.3"), 40000, 0);
    stack.run(0);
  };

  // What CHECKSUM_PARTIAL leaves: the folded, not complemented, sum of addresses, protocol and length.
  receive((frame) => {
    const pseudo = checksum.sum(frame, 14 + 12, L4) + 17 + 8 + payload.length;
    frame.setUint16(L4 + 6, ~checksum.complement(pseudo) & 0xffff);
  });
  const got = socket.recv();
  expect(got).toMatchObject({ src: THERE, srcPort: 5000 });
  expect(socket.recv()).toBeUndefined();

  receive((frame) => frame.setUint16(L4 + 6, frame.getUint16(L4 + 6) ^ 0x1234));
  expect(socket.recv()).toBeUndefined();
  expect(stack.drops.get(DropReason.UDP_CSUM)).toBe(1);
  socket.close();
  expect(pool.outstanding).toBe(0);
});
