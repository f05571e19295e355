import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import { Cable, CablePort } from "../../src/tunnel/cable.ts";
import { IpipDevice } from "../../src/tunnel/ipip.ts";
import { parseOuterError } from "../../src/tunnel/outer-error.ts";
import { Uplink } from "../../src/tunnel/uplink.ts";
import * as geneve from "../../src/wire/geneve.ts";
import * as icmp from "../../src/wire/icmp.ts";
import { must } from "../support/host-router-host.ts";
import { icmpMessage, ipPacket } from "../support/test-wire.ts";
import { type FuzzTarget, type Reader, TAIL_BYTES } from "./harness.ts";
import { frames, repairAt, repairPacket } from "./seeds.ts";

const STEP_US = 20_000;
const LOCAL = ipv4("192.168.56.3");
const PEER = ipv4("192.168.56.2");

/** A host with a cable on eth0 and a tunl0, which forwards; what it sends is counted and released. */
class Host {
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(4096) });
  readonly port = new CablePort(this.stack);
  readonly eth0 = new Uplink(this.stack, "eth0", mac("02:00:00:00:00:02"), 1500);
  readonly tunl0: IpipDevice;
  sent = 0;
  now = 0;

  constructor() {
    const { stack, eth0, port } = this;
    const host = stack.addNetns("");
    host.sysctl.ipForward = true;
    const send = (pkt: Parameters<NetStack["consume"]>[0]): void => {
      this.sent += pkt.length;
      stack.consume(pkt);
    };
    const cable = new Cable(stack, prefix("192.168.56.0/24"), { local: LOCAL, port: geneve.PORT, send });
    must(port.add(cable));
    eth0.attachCable(cable);
    const opts = { underlayMtuBytes: 1500 };
    this.tunl0 = new IpipDevice(stack, "tunl0", 1480, opts, () => ({ kind: "proto4", local: LOCAL, send }));
    for (const dev of [eth0, this.tunl0]) {
      host.addDevice(dev);
      host.setLink(dev, true, 0);
    }
    must(host.addAddress(eth0, { addr: LOCAL, len: 24 }, 0));
    must(host.addAddress(this.tunl0, { addr: ipv4("10.244.2.0"), len: 32 }, 0));
    must(host.addRoute({ dst: prefix("10.244.0.0/16"), via: PEER, dev: this.tunl0, onlink: true }, 0));
  }
}

function host(enter: (host: Host, bytes: Uint8Array, end: number) => void): () => Reader {
  return () => {
    const one = new Host();
    return (bytes, end) => {
      enter(one, bytes, end);
      one.now += STEP_US;
      while (one.stack.run(one.now));
      if (one.stack.pool.outstanding > 2000) throw new Error(`${one.stack.pool.outstanding} buffers are out`);
      const { eth0, tunl0, stack, sent } = one;
      return `${sent} ${eth0.stats.rxPackets} ${tunl0.stats.rxPackets} ${stack.drops.total} ${stack.pool.outstanding}`;
    };
  };
}

/** A packet with the input in it, and the harness's bytes behind its tail. */
function packetOf({ stack }: Host, bytes: Uint8Array, end: number) {
  const pkt = stack.pool.acquire(end + TAIL_BYTES);
  if (pkt === undefined) throw new Error("the pool is exhausted");
  pkt.bytes.set(bytes.subarray(0, end + TAIL_BYTES), pkt.put(end));
  return pkt;
}

/** The frames as this segment's cable carries them. */
const cabled = frames.map((frame) => {
  const bytes = new Uint8Array(geneve.HEADER_LEN + frame.length);
  const { stack } = new Host();
  const { vni } = new Cable(stack, prefix("192.168.56.0/24"), { local: LOCAL, port: 0, send: () => {} });
  geneve.emit(new DataView(bytes.buffer), 0, vni);
  bytes.set(frame, geneve.HEADER_LEN);
  return bytes;
});

/** A packet of ours as a router quotes it. */
const outer = (protocol: number): Uint8Array =>
  ipPacket({
    src: LOCAL,
    dst: PEER,
    protocol,
    df: true,
    payload: Uint8Array.of(0x9c, 0x40, 0x15, 0xb3, 0, 8, 0, 0),
  });

export const tunnelTargets: readonly FuzzTarget[] = [
  {
    name: "cable receive",
    seeds: cabled,
    share: 0.5,
    repair: (bytes, end) => repairAt(bytes, geneve.HEADER_LEN + 14, end),
    create: host((one, bytes, end) => one.port.receive(packetOf(one, bytes, end), PEER, 6081, one.now)),
  },
  {
    name: "ipip receive",
    seeds: frames.filter((f) => f[12] === 8 && f[13] === 0).map((f) => f.subarray(14)),
    share: 0.5,
    repair: repairPacket,
    create: host((one, bytes, end) =>
      one.tunl0.receiveIpip(packetOf(one, bytes, end), PEER, (bytes[1] ?? 0) & 3, one.now),
    ),
  },
  {
    name: "ICMP error about an outer packet",
    seeds: [
      icmpMessage(icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, 1400, outer(4)),
      icmpMessage(icmp.Type.DEST_UNREACH, icmp.Unreach.PORT, 0, outer(17)),
      icmpMessage(icmp.Type.TIME_EXCEEDED, icmp.Exceeded.TTL, 0, outer(4)),
    ],
    repair: (bytes, end) => {
      const view = new DataView(bytes.buffer);
      if (end < icmp.HEADER_LEN) return;
      icmp.emit(view, 0, end, icmp.type(view, 0), icmp.code(view, 0), icmp.rest(view, 0));
    },
    create: () => {
      const { tunl0 } = new Host();
      let now = 0;
      return (bytes, end) => {
        const error = parseOuterError(new DataView(bytes.buffer), 0, end);
        if (error !== undefined) tunl0.receiveOuterError(error, now++);
        return `${JSON.stringify(error ?? null)} ${tunl0.home?.pathMtus.size}`;
      };
    },
  },
];
