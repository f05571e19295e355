import { DropReason } from "../../src/base/drop-reason.ts";
import * as arp from "../../src/wire/arp.ts";
import * as bfd from "../../src/wire/bfd.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as geneve from "../../src/wire/geneve.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as pcapng from "../../src/wire/pcapng.ts";
import { formatBfd } from "../../src/wire/pretty/bfd.ts";
import { FramePrinter } from "../../src/wire/pretty/frame.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";
import * as vxlan from "../../src/wire/vxlan.ts";
import { bytesOf } from "../support/dissect.ts";
import { bgpTargets } from "./bgp-targets.ts";
import type { FuzzTarget, Reader } from "./harness.ts";
import { frames, repairFrame, repairPacket } from "./seeds.ts";

const OK = DropReason.NOT_DROPPED;

/** One view for as long as the harness keeps its buffer: making one per round would be most of the work. */
function reader(read: (view: DataView, end: number) => string | number | boolean): () => Reader {
  return () => {
    let view = new DataView(new ArrayBuffer(0));
    return (bytes, end) => {
      if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer);
      return read(view, end);
    };
  };
}

function print(one: (printer: FramePrinter, view: DataView, end: number) => string): () => Reader {
  return () => {
    const printer = new FramePrinter();
    return reader((view, end) => one(printer, view, end))();
  };
}

/** What follows the Ethernet header of the frames, and what follows the IPv4 header of those that have one. */
const packets = frames.filter((f) => f[12] === 8 && f[13] === 0).map((f) => f.subarray(14));
const segments = packets.map((p) => p.subarray(((p[0] as number) & 15) * 4));
const udpSegments = segments.filter((_, i) => packets[i]?.[9] === 17);

/** Of a session that looks for its neighbour, of one that is Up, and an authenticated one with two octets behind it. */
const bfdPackets = [
  "2040031863c53ff600000000000f4240000493e000000000",
  "20e0031817bf7d2363c53ff6000493e0000493e000000000",
  "20c4031c17bf7d2363c53ff6000493e0000493e00000000001040161a5a5",
].map(bytesOf);

/** A capture file with one block of each kind. */
function captureFile(): Uint8Array {
  const packet = new Uint8Array(pcapng.packetBlockLen(5));
  pcapng.emitPacket(new DataView(packet.buffer), 0, 0, 2 ** 40, 5, "in");
  const parts = [
    pcapng.emitSection("a"),
    pcapng.emitInterface(pcapng.LinkType.ETHERNET, "eth0", "b"),
    packet,
    pcapng.emitStatistics(0, 1, { received: 1, dropped: 0 }),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/**
 * Every `check` of wire/, with all accessors after it when it is content: an accessor that fails then throws. A new codec
 * is one more entry.
 */
export const wireTargets: readonly FuzzTarget[] = [
  {
    name: "ethernet",
    seeds: frames,
    create: reader((view, end) => {
      if (ethernet.check(0, end) !== OK) return -1;
      const sum = ethernet.dst(view, 0) + ethernet.src(view, 0) + ethernet.etherType(view, 0);
      if (ethernet.checkVlan(0, end) !== OK) return sum;
      const tag = ethernet.vlanId(view, 0) + ethernet.vlanPriority(view, 0) + ethernet.vlanEtherType(view, 0);
      return sum + tag + Number(ethernet.vlanDropEligible(view, 0));
    }),
  },
  {
    name: "arp",
    seeds: frames.filter((f) => f[13] === 6).map((f) => f.subarray(14)),
    create: reader((view, end) => {
      const reason = arp.check(view, 0, end);
      if (reason !== OK) return -reason;
      const macs = arp.senderMac(view, 0) + arp.targetMac(view, 0);
      return macs + arp.operation(view, 0) + arp.senderIp(view, 0) + arp.targetIp(view, 0);
    }),
  },
  {
    name: "ipv4",
    seeds: packets,
    repair: repairPacket,
    create: reader((view, end) => {
      const reason = ipv4.check(view, 0, end);
      if (reason !== OK) return -reason;
      let sum = ipv4.checkOptions(view, 0) + ipv4.totalLen(view, 0) + ipv4.fragmentOffset(view, 0);
      sum +=
        ipv4.src(view, 0) + ipv4.dst(view, 0) + ipv4.id(view, 0) + ipv4.tos(view, 0) + ipv4.protocol(view, 0);
      if (ipv4.ttl(view, 0) > 0) ipv4.decrementTtl(view, 0);
      ipv4.setEcn(view, 0, 3);
      if (ipv4.check(view, 0, end) !== OK) throw new Error("a patched checksum is wrong");
      ipv4.blankUncopiedOptions(view, 0);
      ipv4.updateChecksum(view, 0);
      return sum + ipv4.headerChecksum(view, 0) + Number(ipv4.isFragment(view, 0)) + ipv4.ecn(view, 0);
    }),
  },
  {
    name: "icmp",
    seeds: segments,
    create: reader((view, end) => {
      const reason = icmp.check(view, 0, end);
      if (reason === DropReason.ICMP_CSUM) icmp.emit(view, 0, end, icmp.type(view, 0), 0, icmp.rest(view, 0));
      else if (reason !== OK) return -reason;
      if (icmp.check(view, 0, end) !== OK) throw new Error("a computed checksum is wrong");
      icmp.toEchoReply(view, 0, end);
      const sum = icmp.rest(view, 0) + icmp.code(view, 0) + icmp.type(view, 0) + view.getUint16(2);
      return sum + icmp.echoId(view, 0) + icmp.mtu(view, 0) + icmp.gateway(view, 0) + icmp.pointer(view, 0);
    }),
  },
  {
    name: "udp",
    seeds: udpSegments,
    create: reader((view, end) => {
      const reason = udp.check(view, 0, end);
      if (reason !== OK) return -reason;
      const before = udp.checkChecksum(view, 0, 1, 2);
      udp.updateChecksum(view, 0, 1, 2);
      if (udp.checkChecksum(view, 0, 1, 2) !== OK) throw new Error("a computed checksum is wrong");
      return (
        before + udp.len(view, 0) + udp.srcPort(view, 0) + udp.dstPort(view, 0) + udp.checksumField(view, 0)
      );
    }),
  },
  {
    name: "tcp",
    seeds: segments,
    create: reader((view, end) => {
      const reason = tcp.check(view, 0, end);
      if (reason !== OK) return -reason;
      const options = tcp.parseOptions(view, 0, end);
      if (options.at(-1)?.t === "truncated") throw new Error("check let a cut header pass");
      const numbers = tcp.seq(view, 0) + tcp.ack(view, 0) + tcp.window(view, 0) + tcp.urgent(view, 0);
      return `${JSON.stringify(options)} ${numbers} ${tcp.flags(view, 0)} ${tcp.checksumOk(view, 0, end, 1, 2)}`;
    }),
  },
  {
    name: "geneve",
    seeds: [
      ...udpSegments.filter((s) => s[2] === geneve.PORT >> 8).map((s) => s.subarray(8)),
      bytesOf("0300655800000100 0102000100000000 01030100 ffffffffffff0200000000010806"),
    ],
    create: reader((view, end) => {
      const reason = geneve.check(view, 0, end);
      if (reason !== OK) return -reason;
      if (geneve.hasCritical(view, 0) || geneve.version(view, 0) !== 0 || geneve.headerLen(view, 0) > end) {
        throw new Error("check let it pass");
      }
      return geneve.vni(view, 0) + geneve.protocol(view, 0) + Number(geneve.isControl(view, 0));
    }),
  },
  {
    name: "vxlan",
    seeds: udpSegments.map((s) => s.subarray(8)),
    create: reader((view, end) => {
      const reason = vxlan.check(view, 0, end);
      if (reason !== OK) return -reason;
      const bits =
        Number(vxlan.reservedBitsAreZero(view, 0, false)) +
        2 * Number(vxlan.reservedBitsAreZero(view, 0, true));
      const marks = Number(vxlan.dontLearn(view, 0)) + 2 * Number(vxlan.policyApplied(view, 0));
      return `${vxlan.vni(view, 0)} ${bits} ${marks} ${vxlan.hasGroupPolicy(view, 0)} ${vxlan.groupPolicyId(view, 0)}`;
    }),
  },
  {
    name: "bfd",
    seeds: bfdPackets,
    create: reader((view, end) => {
      const text = formatBfd(view, 0, end, end);
      const fault = bfd.check(view, 0, end);
      if (fault !== undefined) return `${text} ${fault}`;
      const packet = bfd.parse(view, 0);
      if (packet.myDiscriminator === 0 || packet.detectMult === 0) throw new Error("check let it pass");
      const rest = [bfd.version(view, 0), bfd.len(view, 0), bfd.requiredMinEchoRxUs(view, 0)];
      return `${text} ${JSON.stringify(packet)} ${rest.join(" ")} ${bfd.authenticated(view, 0)} ${bfd.diagName(packet.diag)}`;
    }),
  },
  {
    name: "pcapng",
    seeds: [captureFile()],
    create: () => (bytes, end) => JSON.stringify(pcapng.parse(bytes.subarray(0, end))),
  },
  {
    name: "pretty frame",
    seeds: frames,
    repair: repairFrame,
    create: print((printer, view, end) => printer.frame(view, 0, end)),
  },
  {
    name: "pretty packet",
    seeds: packets,
    repair: repairPacket,
    create: print((printer, view, end) => printer.packet(view, 0, end)),
  },
  ...bgpTargets,
];
