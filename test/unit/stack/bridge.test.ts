import { afterEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { formatMac, MAC_BROADCAST, type MacAddr, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { Bridge, type BridgeOptions } from "../../../src/stack/bridge.ts";
import { Loopback } from "../../../src/stack/loopback.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketType } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { type Veth, vethPair } from "../../../src/stack/veth.ts";
import { ethernetFrame, packetOf, Sink, udpFrame, udpSuperPacket } from "../../support/frames.ts";

const GROUP = mac("01:00:5e:00:00:fb");
const BRIDGE = mac("02:aa:00:00:00:00");
const pool = new PacketPool(500, true);
afterEach(() => expect(pool.outstanding).toBe(0));

/** MAC of pod `n`, and of the host's end of its cable, which is the bridge's port. */
const pod = (n: number): MacAddr => mac("02:00:00:00:00:00") + n;
const port = (n: number): MacAddr => mac("02:bb:00:00:00:00") + n;

interface Pod {
  readonly dev: Veth;
  readonly port: Veth;
  readonly sink: Sink;
}

/** A bridge with its own address and `n` pods on it, everything up. What arrives at pods and at the bridge is recorded. */
function setup(n: number, opts: BridgeOptions = {}, stackPool = pool) {
  const stack = new NetStack({ rng: new SeededRng(1), pool: stackPool });
  const host = stack.addNetns("");
  const bridge = new Bridge(stack, "cni0", BRIDGE, 1500, opts);
  host.addDevice(bridge);
  bridge.setMac(BRIDGE, 0);
  host.setLink(bridge, true, 0);
  const up = new Sink(stack);
  bridge.upper = up;
  const pods: Pod[] = [];
  for (let i = 1; i <= n; i++) {
    const netns = stack.addNetns(`pod${i}`);
    const [dev, end] = vethPair(stack, "eth0", `veth${i}`, pod(i), port(i), 1500);
    netns.addDevice(dev);
    host.addDevice(end);
    expect(bridge.addPort(end, 0).ok).toBe(true);
    netns.setLink(dev, true, 0);
    host.setLink(end, true, 0);
    const sink = new Sink(stack);
    dev.upper = sink;
    pods.push({ dev, port: end, sink });
  }
  const at = (i: number): Pod => pods[i - 1] as Pod;
  return {
    stack,
    host,
    bridge,
    up,
    at,
    /** Sends from pod `i` and lets the frame arrive everywhere. */
    send(i: number, dst: MacAddr, now = 0, src = pod(i)) {
      at(i).dev.transmit(packetOf(stackPool, udpFrame({ dst, src })), now);
      while (stack.run(now)) continue;
    },
    /** Who got something since the last call: pod numbers, and 0 for the bridge itself. */
    got(): number[] {
      const who = up.take().map(() => 0);
      pods.forEach((one, i) => {
        for (let k = one.sink.take().length; k > 0; k--) who.push(i + 1);
      });
      return who;
    },
    fdb: (now: number) =>
      bridge.fdb.dump(now).map((row) => `${formatMac(row.mac)} ${row.port.name} ${row.state}`),
  };
}

describe("forwarding", () => {
  test("an unknown unicast is flooded; once the station was heard, only its port gets it", () => {
    const lab = setup(3);
    lab.send(1, pod(2));
    expect(lab.got()).toEqual([2, 3]);
    lab.send(2, pod(1));
    expect(lab.got()).toEqual([1]);
    lab.send(1, pod(2));
    expect(lab.got()).toEqual([2]);
  });

  test.each([
    ["broadcast", MAC_BROADCAST, PacketType.BROADCAST],
    ["multicast", GROUP, PacketType.MULTICAST],
  ])("a %s goes to all other ports and up", (_name, dst, packetType) => {
    const lab = setup(3);
    lab.send(2, dst);
    expect(lab.up.received.map((one) => one.packetType)).toEqual([packetType]);
    expect(lab.up.received[0]?.frame).toEqual(udpFrame({ dst, src: pod(2) }));
    expect(lab.at(3).sink.received[0]?.frame).toEqual(udpFrame({ dst, src: pod(2) }));
    expect(lab.got()).toEqual([0, 1, 3]);
    expect(lab.bridge.stats.rxMulticast).toBe(dst === GROUP ? 1 : 0);
  });

  test("a broadcast that no other port takes is still delivered up", () => {
    const lab = setup(1);
    lab.send(1, MAC_BROADCAST);
    expect(lab.got()).toEqual([0]);
  });

  test("a frame to the bridge goes up, counted without its Ethernet header, and nowhere else", () => {
    const lab = setup(2);
    lab.send(1, BRIDGE);
    expect(lab.up.received[0]).toMatchObject({ packetType: PacketType.HOST, dev: "cni0" });
    expect(lab.got()).toEqual([0]);
    expect(lab.bridge.stats).toMatchObject({ rxPackets: 1, rxBytes: 60 });
  });

  test("a frame to a port's own address goes up: as ours by that port, as another's by any other", () => {
    const lab = setup(2);
    lab.send(1, port(1));
    lab.send(1, port(2));
    expect(lab.up.take().map((one) => one.packetType)).toEqual([PacketType.HOST, PacketType.OTHERHOST]);
  });

  test("the host's own frames: known unicast, unknown unicast, broadcast, and one to itself", () => {
    const lab = setup(3);
    lab.send(1, BRIDGE);
    lab.got();
    const fromHost = (dst: MacAddr) => {
      lab.bridge.transmit(packetOf(pool, udpFrame({ dst, src: BRIDGE })), 0);
      lab.stack.run(0);
      return lab.got();
    };
    expect(fromHost(pod(1))).toEqual([1]);
    expect(fromHost(pod(3))).toEqual([1, 2, 3]);
    expect(fromHost(MAC_BROADCAST)).toEqual([1, 2, 3]);
    expect(fromHost(BRIDGE)).toEqual([]);
    expect(lab.bridge.drops.get(DropReason.BRIDGE_NO_PORT)).toBe(1);
    expect(lab.bridge.stats).toMatchObject({ txPackets: 4, txBytes: 4 * 74 });
  });

  test("a frame for the port that it came by is dropped, unless the port is a hairpin", () => {
    const lab = setup(2);
    lab.send(1, BRIDGE);
    lab.got();
    lab.send(1, pod(1));
    expect(lab.got()).toEqual([]);
    expect(lab.stack.drops.get(DropReason.BRIDGE_NO_PORT)).toBe(1);
    expect(lab.bridge.setHairpin(lab.at(1).port, true)).toBe(true);
    lab.send(1, pod(1));
    expect(lab.got()).toEqual([1]);
    lab.send(1, MAC_BROADCAST);
    expect(lab.got()).toEqual([0, 1, 2]);
    expect(lab.bridge.setHairpin(lab.bridge, true)).toBe(false);
  });

  test("a tagged frame is forwarded as it is", () => {
    const lab = setup(2);
    const tagged = ethernetFrame(pod(2), pod(1), 0x8100, new Uint8Array([0, 5, 8, 0, 1, 2, 3]));
    lab.at(1).dev.transmit(packetOf(pool, tagged), 0);
    while (lab.stack.run(0)) continue;
    expect(lab.at(2).sink.take()[0]?.frame).toEqual(tagged);
  });

  test("the MTU of the port that a frame leaves by bounds it; a super-packet by its segments", () => {
    const lab = setup(2);
    lab.at(2).port.setMtu(1400, 0);
    const payload = new Uint8Array(8000);
    const send = (size: number) =>
      lab.at(1).dev.transmit(udpSuperPacket(pool, { dst: pod(2), src: pod(1), payload }, size), 0);
    send(1372);
    send(1373);
    while (lab.stack.run(0)) continue;
    expect(lab.got()).toEqual([2]);
    expect(lab.at(2).port.drops.get(DropReason.PKT_TOO_BIG)).toBe(1);
  });

  test("with an empty pool the copies are lost, the original is not", () => {
    const tight = new PacketPool(1, true);
    const lab = setup(3, {}, tight);
    lab.send(1, MAC_BROADCAST);
    expect(lab.got()).toEqual([0]);
    expect(lab.bridge.drops.get(DropReason.NOMEM)).toBe(2);
    expect(lab.bridge.stats.txDropped).toBe(2);
    expect(tight.outstanding).toBe(0);
  });
});

describe("what a bridge refuses", () => {
  const LLDP = mac("01:80:c2:00:00:0e");
  test.each([
    ["a group address as source", pod(2), GROUP, DropReason.MAC_INVALID_SOURCE],
    ["a source of all zeros", pod(2), 0, DropReason.MAC_INVALID_SOURCE],
    ["the bridge's address as source", pod(2), BRIDGE, DropReason.LOCAL_MAC],
    ["a port's address as source", pod(2), port(2), DropReason.LOCAL_MAC],
    ["a PAUSE frame", mac("01:80:c2:00:00:01"), pod(1), DropReason.MAC_IEEE_MAC_CONTROL],
    ["LLDP", LLDP, pod(1), DropReason.UNHANDLED_PROTO],
  ])("%s", (_name, dst, src, reason) => {
    const lab = setup(2);
    lab.send(1, dst, 0, src);
    expect(lab.got()).toEqual([]);
    expect(lab.stack.drops.get(reason)).toBe(1);
    expect(lab.stack.drops.total).toBe(1);
    expect(lab.bridge.fdb.learnedSize).toBe(0);
  });

  test("but it forwards spanning tree's group, for it runs none", () => {
    const lab = setup(2);
    lab.send(1, mac("01:80:c2:00:00:00"));
    expect(lab.got()).toEqual([0, 2]);
  });

  test("everything, while it is down, and it forgets what it learned", () => {
    const lab = setup(2);
    lab.send(1, pod(2));
    lab.host.setLink(lab.bridge, false, 0);
    expect(lab.bridge.fdb.learnedSize).toBe(0);
    lab.got();
    lab.send(1, pod(2));
    expect(lab.got()).toEqual([]);
    expect(lab.stack.drops.get(DropReason.DEV_READY)).toBe(1);
  });
});

describe("the forwarding database", () => {
  const LOCAL = ["02:aa:00:00:00:00 cni0 permanent", "02:bb:00:00:00:01 veth1 permanent"];

  test("holds a permanent entry for each port and for the bridge, and what was learned", () => {
    const lab = setup(1);
    lab.send(1, BRIDGE);
    expect(lab.fdb(0)).toEqual(["02:00:00:00:00:01 veth1 learned", ...LOCAL]);
    lab.got();
  });

  test("ages: exactly at a lookup, and swept out by the timer", () => {
    const lab = setup(3);
    lab.send(2, BRIDGE, 0);
    lab.got();
    lab.send(1, pod(2), 300 * SEC_US - 1);
    expect(lab.got()).toEqual([2]);
    lab.send(1, pod(2), 300 * SEC_US);
    expect(lab.got()).toEqual([2, 3]);
    for (let t = 0; t <= 700; t += 5) lab.stack.run(t * SEC_US);
    expect(lab.bridge.fdb.learnedSize).toBe(0);
    expect(lab.stack.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test("is refreshed by every frame from the station, and its ageing can be set", () => {
    const lab = setup(3, { ageingSec: 10 });
    lab.send(2, BRIDGE, 0);
    lab.send(2, BRIDGE, 9 * SEC_US);
    lab.got();
    lab.send(1, pod(2), 18 * SEC_US);
    expect(lab.got()).toEqual([2]);
    lab.send(1, pod(2), 19 * SEC_US);
    expect(lab.got()).toEqual([2, 3]);
  });

  test("follows a station to another port", () => {
    const lab = setup(3);
    lab.send(2, BRIDGE);
    lab.send(3, BRIDGE, 1, pod(2));
    lab.got();
    lab.send(1, pod(2), 2);
    expect(lab.got()).toEqual([3]);
    expect(lab.fdb(2).filter((row) => row.startsWith("02:00:00:00:00:02"))).toEqual([
      "02:00:00:00:00:02 veth3 learned",
    ]);
  });

  test("learns no more than its limit, and forwards what it cannot learn", () => {
    const lab = setup(2, { fdbLimit: 3 });
    for (let i = 0; i < 10; i++) lab.send(1, pod(2), 0, mac("02:cc:00:00:00:00") + i);
    expect(lab.bridge.fdb.learnedSize).toBe(3);
    expect(lab.got().length).toBe(10);
    expect(lab.bridge.addPort(vethPair(lab.stack, "x", "y", 1, 3, 1500)[0], 0).ok).toBe(true);
    expect(lab.fdb(0)).toContain("00:00:00:00:00:01 x permanent");
  });

  test("is changed by commands, with the kernel's words", () => {
    const lab = setup(2);
    const { fdb } = lab.bridge;
    const M = mac("02:dd:00:00:00:01");
    expect(fdb.add(M, lab.at(2).port, "static", 0)).toEqual({ ok: true, value: undefined });
    expect(fdb.add(M, lab.at(2).port, "static", 0)).toEqual({ ok: false, error: "File exists" });
    lab.send(1, M, 10_000 * SEC_US);
    expect(lab.got()).toEqual([2]);
    expect(fdb.replace(M, lab.bridge, "permanent", 0).ok).toBe(true);
    lab.send(1, M);
    expect(lab.got()).toEqual([0]);
    expect(fdb.del(M).ok).toBe(true);
    expect(fdb.del(M)).toEqual({ ok: false, error: "No such file or directory" });
  });

  test("forgets a port that loses its carrier, but not its permanent entry", () => {
    const lab = setup(2);
    lab.send(2, BRIDGE);
    lab.send(1, BRIDGE);
    lab.got();
    // The pod's end goes down: the bridge sees it as loss of carrier.
    (lab.stack.netns("pod2") as NonNullable<ReturnType<NetStack["netns"]>>).setLink(lab.at(2).dev, false, 0);
    expect(lab.fdb(0)).toEqual([
      "02:00:00:00:00:01 veth1 learned",
      ...LOCAL,
      "02:bb:00:00:00:02 veth2 permanent",
    ]);
    lab.send(1, pod(2));
    expect(lab.stack.drops.get(DropReason.BRIDGE_NO_PORT)).toBe(1);
  });

  test("forgets everything about a port that leaves", () => {
    const lab = setup(2);
    lab.send(2, BRIDGE);
    lab.got();
    lab.bridge.fdb.add(mac("02:dd:00:00:00:01"), lab.at(2).port, "static", 0);
    lab.stack.delNetns("pod2");
    expect(lab.fdb(0)).toEqual(LOCAL);
    expect(lab.bridge.ports.map((one) => one.dev.name)).toEqual(["veth1"]);
  });
});

describe("ports", () => {
  test("its address is the lowest of its ports' unless it was set, all zero when the last one leaves", () => {
    const stack = new NetStack({ rng: new SeededRng(1), pool });
    const bridge = new Bridge(stack, "br0", BRIDGE);
    const ends = [5, 3, 7].map((n) => vethPair(stack, `a${n}`, `b${n}`, port(n), pod(n), 1500)[0]);
    const seen = [bridge.mac];
    for (const end of ends) {
      bridge.addPort(end, 0);
      seen.push(bridge.mac);
    }
    for (const end of [1, 0, 2]) {
      bridge.delPort(ends[end] as Veth, 0);
      seen.push(bridge.mac);
    }
    expect(seen).toEqual([BRIDGE, port(5), port(3), port(3), port(5), port(7), 0]);
    bridge.setMac(pod(9), 0);
    bridge.addPort(ends[0] as Veth, 0);
    expect(bridge.mac).toBe(pod(9));
    expect(bridge.fdb.dump(0).map((row) => row.mac)).toEqual([pod(9), port(5)]);
  });

  test("a port's new address is the bridge's too, and its permanent entry follows", () => {
    const stack = new NetStack({ rng: new SeededRng(1), pool });
    const bridge = new Bridge(stack, "br0", BRIDGE);
    const [end] = vethPair(stack, "a", "b", port(5), pod(5), 1500);
    bridge.addPort(end, 0);
    end.setMac(port(4), 0);
    expect(bridge.mac).toBe(port(4));
    expect(bridge.fdb.dump(0).map((row) => row.mac)).toEqual([port(4)]);
  });

  test("its MTU is the least of its ports' unless it was set", () => {
    const lab = setup(2);
    lab.at(1).port.setMtu(1450, 0);
    expect(lab.bridge.mtuBytes).toBe(1450);
    lab.at(1).port.setMtu(1600, 0);
    expect(lab.bridge.mtuBytes).toBe(1500);
    lab.bridge.setMtu(1300, 0);
    lab.at(1).port.setMtu(1400, 0);
    expect(lab.bridge.mtuBytes).toBe(1300);
  });

  test("it has carrier while one port has", () => {
    const lab = setup(2);
    expect(lab.bridge.carrier).toBe(true);
    lab.host.setLink(lab.at(1).port, false, 0);
    expect(lab.bridge.carrier).toBe(true);
    lab.host.setLink(lab.at(2).port, false, 0);
    expect([lab.bridge.carrier, lab.bridge.running]).toEqual([false, false]);
    lab.bridge.transmit(packetOf(pool, udpFrame({ dst: MAC_BROADCAST, src: BRIDGE })), 0);
    expect(lab.bridge.stats).toMatchObject({ txPackets: 0, txDropped: 1 });
  });

  test("it refuses what cannot be a port, with the kernel's words", () => {
    const lab = setup(1);
    const other = new Bridge(lab.stack, "br1", BRIDGE);
    expect(other.addPort(lab.at(1).port, 0)).toEqual({ ok: false, error: "Device or resource busy" });
    expect(other.addPort(lab.bridge, 0)).toEqual({
      ok: false,
      error: "Can not enslave a bridge to a bridge",
    });
    expect(other.addPort(new Loopback(lab.stack), 0)).toEqual({ ok: false, error: "Invalid argument" });
  });

  test("a port that leaves receives for its namespace again, and so do all when the bridge is deleted", () => {
    const lab = setup(2);
    lab.send(1, BRIDGE);
    lab.got();
    lab.bridge.delPort(lab.at(1).port, 0);
    expect(lab.at(1).port).toMatchObject({ master: undefined, upper: lab.host });
    lab.host.delDevice(lab.bridge, 0);
    expect(lab.at(2).port).toMatchObject({ master: undefined, upper: lab.host });
    expect(lab.stack.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});
