// One line a packet, as `tcpdump -nn -e` writes it after the time. What tcpdump knows and this does not: protocols above
// UDP and TCP other than VXLAN, Geneve and BFD, IPv6, 802.3 length frames. Where tcpdump breaks the line before a tunnelled frame, so can
// this: see `FramePrinter.inner`.
//
// Nothing here throws, whatever the bytes: every header is measured before it is read, and what is missing prints as
// tcpdump's `[|ip]`.

import { DropReason } from "../../base/drop-reason.ts";
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import { formatMac } from "../../base/mac-addr.ts";
import * as bfd from "../bfd.ts";
import * as ethernet from "../ethernet.ts";
import * as geneve from "../geneve.ts";
import * as ipv4 from "../ipv4.ts";
import * as udp from "../udp.ts";
import * as vxlan from "../vxlan.ts";
import { formatArp } from "./arp.ts";
import { formatBfd } from "./bfd.ts";
import { formatGeneve } from "./geneve.ts";
import { formatIcmp } from "./icmp.ts";
import { formatTcp, TcpFlows } from "./tcp.ts";

/** Tunnels within tunnels are followed this far. */
const NESTING_MAX = 4;

export interface FramePrinterOptions {
  /** What stands between a VXLAN or Geneve header and the frame inside: tcpdump writes a newline, the default is ": ". */
  readonly inner?: string;
  /** UDP ports that carry VXLAN. Default: 4789 and 8472. */
  readonly vxlanPorts?: readonly number[];
  /** Count TCP sequence numbers from the connection's start, as tcpdump does without -S. Default: true. */
  readonly relativeSeq?: boolean;
}

/** Prints packets; remembers the TCP connections that it saw, so one printer serves one capture. Cold: allocates. */
export class FramePrinter {
  readonly #inner: string;
  readonly #vxlanPorts: readonly number[];
  readonly #flows: TcpFlows | undefined;
  /** What stands before an IP packet in another: tcpdump names it only when it prints no Ethernet header (-e). */
  #packetWord = "";

  constructor(options: FramePrinterOptions = {}) {
    this.#inner = options.inner ?? ": ";
    this.#vxlanPorts = options.vxlanPorts ?? [vxlan.PORT, vxlan.PORT_LINUX];
    this.#flows = options.relativeSeq === false ? undefined : new TcpFlows();
  }

  /** The Ethernet frame at `off`..`end`; `view` is borrowed. */
  frame(view: DataView, off: number, end: number): string {
    this.#packetWord = "";
    return this.#frame(view, off, end, end, 0);
  }

  /** The IPv4 packet at `off`..`end`, as on a device without link-layer header; `view` is borrowed. */
  packet(view: DataView, off: number, end: number): string {
    this.#packetWord = "IP ";
    return `IP ${this.#ip(view, off, end, end, 0)}`;
  }

  // Below, bytes are there up to `end`; the headers passed so far claim that they go on to `claimed`, which may lie beyond.

  #frame(view: DataView, off: number, end: number, claimed: number, depth: number): string {
    if (ethernet.check(off, end) !== DropReason.NOT_DROPPED) return " [|ether]";
    const macs = `${formatMac(ethernet.src(view, off))} > ${formatMac(ethernet.dst(view, off))}`;
    const type = ethernet.etherType(view, off);
    const head = `${macs}, ethertype ${etherTypeName(type)}, length ${claimed - off}: `;
    const start = off + ethernet.HEADER_LEN;
    if (type !== ethernet.EtherType.VLAN) return head + this.#body(view, start, end, claimed, type, depth);
    if (ethernet.checkVlan(off, end) !== DropReason.NOT_DROPPED) return `${head} [|vlan]`;
    const tag = `vlan ${ethernet.vlanId(view, off)}, p ${ethernet.vlanPriority(view, off)}`;
    const dei = ethernet.vlanDropEligible(view, off) ? ", DEI" : "";
    const inner = ethernet.vlanEtherType(view, off);
    const body = this.#body(view, start + ethernet.VLAN_TAG_LEN, end, claimed, inner, depth);
    return `${head}${tag}${dei}, ethertype ${etherTypeName(inner)}, ${body}`;
  }

  #body(view: DataView, off: number, end: number, claimed: number, type: number, depth: number): string {
    if (type === ethernet.EtherType.IPV4) return this.#ip(view, off, end, claimed, depth);
    if (type === ethernet.EtherType.ARP) return formatArp(view, off, end, claimed);
    return `unhandled, length ${claimed - off}`;
  }

  #ip(view: DataView, off: number, end: number, claimed: number, depth: number): string {
    if (end - off < 1) return " [|ip]";
    const version = ipv4.version(view, off);
    if (version !== 4)
      return `IP${version}${version === 6 ? ", wrong link-layer encapsulation" : ""} (invalid)`;
    if (end - off < ipv4.HEADER_LEN) return " [|ip]";
    const headerBytes = ipv4.headerLen(view, off);
    if (headerBytes < ipv4.HEADER_LEN) return `bad-hlen ${headerBytes}`;
    const total = ipv4.totalLen(view, off);
    const missing = total - (claimed - off);
    const prefix = missing > 0 ? `truncated-ip - ${missing} bytes missing! ` : "";
    if (total < headerBytes) return `${prefix}bad-len ${total}`;
    const addresses = `${formatIpv4(ipv4.src(view, off))} > ${formatIpv4(ipv4.dst(view, off))}:`;
    const protocol = ipv4.protocol(view, off);
    if (ipv4.fragmentOffset(view, off) > 0) return `${prefix}${addresses} ip-proto-${protocol}`;
    const start = off + headerBytes;
    const stop = Math.min(off + total, end);
    if (stop < start) return `${prefix}${addresses}  [|ip]`;
    switch (protocol) {
      case ipv4.Protocol.ICMP:
        return `${prefix}${addresses} ${formatIcmp(view, start, stop, off + total)}`;
      case ipv4.Protocol.UDP:
        return prefix + this.#udp(view, off, start, stop, off + total, depth);
      case ipv4.Protocol.TCP:
        return prefix + formatTcp(view, off, start, stop, off + total, this.#flows);
      case ipv4.Protocol.IPIP:
        if (depth >= NESTING_MAX) return `${prefix}${addresses} IP`;
        return `${prefix}${addresses} ${this.#packetWord}${this.#ip(view, start, stop, off + total, depth + 1)}`;
      default:
        return `${prefix}${addresses}  ip-proto-${protocol} ${total - headerBytes}`;
    }
  }

  #udp(view: DataView, ip: number, off: number, end: number, claimed: number, depth: number): string {
    const src = formatIpv4(ipv4.src(view, ip));
    const dst = formatIpv4(ipv4.dst(view, ip));
    if (end - off < 4) return `${src} > ${dst}:  [|udp]`;
    const ports = `${src}.${udp.srcPort(view, off)} > ${dst}.${udp.dstPort(view, off)}:`;
    if (end - off < udp.HEADER_LEN) return `${ports}  [|udp]`;
    const bytes = udp.len(view, off);
    if (bytes < udp.HEADER_LEN) return `${ports} truncated-udplength ${bytes}`;
    const start = off + udp.HEADER_LEN;
    const stop = Math.min(off + bytes, end);
    if (this.#vxlanPorts.includes(udp.dstPort(view, off))) {
      return `${ports} ${this.#vxlan(view, start, stop, Math.min(off + bytes, claimed), depth)}`;
    }
    if (udp.dstPort(view, off) === geneve.PORT) {
      return `${ports} ${this.#geneve(view, start, stop, Math.min(off + bytes, claimed), depth)}`;
    }
    if (udp.dstPort(view, off) === bfd.PORT) {
      return `${ports} ${formatBfd(view, start, stop, Math.min(off + bytes, claimed))}`;
    }
    const text = `${ports} UDP, length ${bytes - udp.HEADER_LEN}`;
    return off + bytes > claimed
      ? `${ports} UDP, bad length ${bytes - udp.HEADER_LEN} > ${claimed - start}`
      : text;
  }

  #vxlan(view: DataView, off: number, end: number, claimed: number, depth: number): string {
    if (end - off < vxlan.HEADER_LEN) return "VXLAN [|vxlan]";
    const flags = vxlan.flags(view, off);
    const valid = (flags & 0x08) === 0 ? "invalid" : "I";
    const text = `VXLAN, flags [${valid}] (0x${flags.toString(16).padStart(2, "0")}), vni ${vxlan.vni(view, off)}`;
    if (depth >= NESTING_MAX) return text;
    return text + this.#inner + this.#frame(view, off + vxlan.HEADER_LEN, end, claimed, depth + 1);
  }

  #geneve(view: DataView, off: number, end: number, claimed: number, depth: number): string {
    const { text, whole } = formatGeneve(view, off, end, claimed);
    if (!whole || depth >= NESTING_MAX) return text;
    const start = off + geneve.headerLen(view, off);
    const protocol = geneve.protocol(view, off);
    if (protocol === geneve.PROTOCOL_ETHERNET) {
      return text + this.#inner + this.#frame(view, start, end, claimed, depth + 1);
    }
    if (protocol !== ethernet.EtherType.IPV4) return `${text}: geneve-proto-0x${protocol.toString(16)}`;
    return `${text}: ${this.#packetWord}${this.#ip(view, start, end, claimed, depth + 1)}`;
  }
}

function etherTypeName(type: number): string {
  const hex = `(0x${type.toString(16).padStart(4, "0")})`;
  switch (type) {
    case ethernet.EtherType.IPV4:
      return `IPv4 ${hex}`;
    case ethernet.EtherType.ARP:
      return `ARP ${hex}`;
    case ethernet.EtherType.VLAN:
      return `802.1Q ${hex}`;
    case ethernet.EtherType.IPV6:
      return `IPv6 ${hex}`;
    default:
      return `Unknown ${hex}`;
  }
}
