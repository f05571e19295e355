// A frame as a list of layers, plain data that JSON can hold: bytes -> layers -> bytes, by way of the codecs under test.
import { ipv4 as address, formatIpv4 } from "../../src/base/ipv4-addr.ts";
import { formatMac, mac } from "../../src/base/mac-addr.ts";
import * as arp from "../../src/wire/arp.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as geneve from "../../src/wire/geneve.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";
import * as vxlan from "../../src/wire/vxlan.ts";

export type Layer =
  | { t: "ethernet"; dst: string; src: string; type: number; tci?: number }
  | { t: "arp"; op: number; sha: string; spa: string; tha: string; tpa: string }
  | {
      t: "ipv4";
      tos: number;
      totalLen: number;
      id: number;
      df: boolean;
      mf: boolean;
      offset: number;
      ttl: number;
      protocol: number;
      src: string;
      dst: string;
    }
  | { t: "icmp"; type: number; code: number; rest: number }
  | { t: "udp"; src: number; dst: number; len: number; checksum: boolean }
  | {
      t: "tcp";
      src: number;
      dst: number;
      seq: number;
      ack: number;
      flags: number;
      window: number;
      options: string;
    }
  | { t: "vxlan"; vni: number; policy?: number }
  | { t: "geneve"; vni: number }
  | { t: "payload"; hex: string };

/** Where a dissection starts. */
export type Start = "ethernet" | "ipv4";

export function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  const text = hex.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** The layers of a frame whose every header is sound; throws when a `check` is not content. */
export function dissect(bytes: Uint8Array<ArrayBuffer>, start: Start): Layer[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const layers: Layer[] = [];
  let next: string = start;
  let off = 0;
  let end = bytes.length;
  const sound = (reason: number, layer: string) => {
    if (reason !== 0) throw new Error(`${layer} at ${off}: drop reason ${reason}`);
  };
  const payload = () => {
    if (end > off) layers.push({ t: "payload", hex: hexOf(bytes.subarray(off, end)) });
    return layers;
  };
  let src = 0;
  let dst = 0;
  for (;;) {
    switch (next) {
      case "ethernet": {
        sound(ethernet.check(off, end), "ethernet");
        let type = ethernet.etherType(view, off);
        const macs = { dst: formatMac(ethernet.dst(view, off)), src: formatMac(ethernet.src(view, off)) };
        if (type === ethernet.EtherType.VLAN) {
          sound(ethernet.checkVlan(off, end), "vlan");
          type = ethernet.vlanEtherType(view, off);
          const dei = ethernet.vlanDropEligible(view, off) ? 0x1000 : 0;
          const tci = (ethernet.vlanPriority(view, off) << 13) | dei | ethernet.vlanId(view, off);
          layers.push({ t: "ethernet", ...macs, type, tci });
          off += ethernet.VLAN_TAG_LEN;
        } else layers.push({ t: "ethernet", ...macs, type });
        off += ethernet.HEADER_LEN;
        next = type === 0x0800 ? "ipv4" : type === 0x0806 ? "arp" : "payload";
        break;
      }
      case "arp":
        sound(arp.check(view, off, end), "arp");
        layers.push({
          t: "arp",
          op: arp.operation(view, off),
          sha: formatMac(arp.senderMac(view, off)),
          spa: formatIpv4(arp.senderIp(view, off)),
          tha: formatMac(arp.targetMac(view, off)),
          tpa: formatIpv4(arp.targetIp(view, off)),
        });
        off += arp.HEADER_LEN;
        return payload();
      case "ipv4": {
        sound(ipv4.check(view, off, end), "ipv4");
        src = ipv4.src(view, off);
        dst = ipv4.dst(view, off);
        const protocol = ipv4.protocol(view, off);
        layers.push({
          t: "ipv4",
          tos: ipv4.tos(view, off),
          totalLen: ipv4.totalLen(view, off),
          id: ipv4.id(view, off),
          df: ipv4.dontFragment(view, off),
          mf: ipv4.moreFragments(view, off),
          offset: ipv4.fragmentOffset(view, off),
          ttl: ipv4.ttl(view, off),
          protocol,
          src: formatIpv4(src),
          dst: formatIpv4(dst),
        });
        if (ipv4.headerLen(view, off) !== 20) throw new Error("options are not dissected");
        end = off + ipv4.totalLen(view, off);
        const fragment = ipv4.isFragment(view, off);
        off += 20;
        next = fragment ? "payload" : ({ 1: "icmp", 4: "ipv4", 6: "tcp", 17: "udp" }[protocol] ?? "payload");
        break;
      }
      case "icmp":
        sound(icmp.check(view, off, end), "icmp");
        layers.push({
          t: "icmp",
          type: icmp.type(view, off),
          code: icmp.code(view, off),
          rest: icmp.rest(view, off),
        });
        off += icmp.HEADER_LEN;
        return payload();
      case "udp": {
        sound(udp.check(view, off, end), "udp");
        sound(udp.checkChecksum(view, off, src, dst), "udp checksum");
        const ports = { src: udp.srcPort(view, off), dst: udp.dstPort(view, off) };
        layers.push({
          t: "udp",
          ...ports,
          len: udp.len(view, off),
          checksum: udp.checksumField(view, off) !== 0,
        });
        off += udp.HEADER_LEN;
        next = { 4789: "vxlan", 5555: "ipv4", 6081: "geneve", 8472: "vxlan" }[ports.dst] ?? "payload";
        break;
      }
      case "tcp": {
        sound(tcp.check(view, off, end), "tcp");
        if (!tcp.checksumOk(view, off, end, src, dst)) throw new Error("tcp checksum");
        const headerLen = tcp.headerLen(view, off);
        layers.push({
          t: "tcp",
          src: tcp.srcPort(view, off),
          dst: tcp.dstPort(view, off),
          seq: tcp.seq(view, off),
          ack: tcp.ack(view, off),
          flags: tcp.flags(view, off),
          window: tcp.window(view, off),
          options: hexOf(bytes.subarray(off + 20, off + headerLen)),
        });
        off += headerLen;
        return payload();
      }
      case "vxlan": {
        sound(vxlan.check(view, off, end), "vxlan");
        const vni = vxlan.vni(view, off);
        if (vxlan.hasGroupPolicy(view, off)) {
          const marks =
            (vxlan.dontLearn(view, off) ? 0x400000 : 0) | (vxlan.policyApplied(view, off) ? 0x80000 : 0);
          layers.push({ t: "vxlan", vni, policy: marks | vxlan.groupPolicyId(view, off) });
        } else layers.push({ t: "vxlan", vni });
        off += vxlan.HEADER_LEN;
        next = "ethernet";
        break;
      }
      case "geneve":
        sound(geneve.check(view, off, end), "geneve");
        if (geneve.headerLen(view, off) !== geneve.HEADER_LEN) throw new Error("options are not dissected");
        if (geneve.protocol(view, off) !== geneve.PROTOCOL_ETHERNET) throw new Error("not Ethernet");
        layers.push({ t: "geneve", vni: geneve.vni(view, off) });
        off += geneve.HEADER_LEN;
        next = "ethernet";
        break;
      default:
        return payload();
    }
  }
}

/** The bytes of `layers`, written into a buffer full of 0xa5, so that a field that nobody wrote shows. */
export function assemble(layers: readonly Layer[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layers.reduce((sum, layer) => sum + lengthOf(layer), 0)).fill(0xa5);
  const view = new DataView(bytes.buffer);
  let end = bytes.length;
  // From the inside out, because the outer checksums cover the inner bytes.
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i] as Layer;
    const off = end - lengthOf(layer);
    const below = layers[i - 1];
    const ip =
      below?.t === "ipv4" ? { src: address(below.src), dst: address(below.dst) } : { src: 0, dst: 0 };
    emitLayer(view, off, bytes.length, layer, ip);
    end = off;
  }
  return bytes;
}

function lengthOf(layer: Layer): number {
  switch (layer.t) {
    case "ethernet":
      return layer.tci === undefined ? 14 : 18;
    case "arp":
      return 28;
    case "ipv4":
      return 20;
    case "tcp":
      return 20 + layer.options.length / 2;
    case "payload":
      return layer.hex.length / 2;
    default:
      return 8;
  }
}

function emitLayer(
  view: DataView,
  off: number,
  end: number,
  layer: Layer,
  ip: { src: number; dst: number },
): void {
  switch (layer.t) {
    case "ethernet":
      if (layer.tci === undefined) ethernet.emit(view, off, mac(layer.dst), mac(layer.src), layer.type);
      else ethernet.emitVlan(view, off, mac(layer.dst), mac(layer.src), layer.tci, layer.type);
      return;
    case "arp":
      arp.emit(view, off, layer.op, mac(layer.sha), address(layer.spa), mac(layer.tha), address(layer.tpa));
      return;
    case "ipv4":
      ipv4.emit(
        view,
        off,
        layer.totalLen,
        layer.id,
        layer.df,
        layer.ttl,
        layer.protocol,
        address(layer.src),
        address(layer.dst),
        layer.tos,
      );
      if (layer.mf || layer.offset > 0) {
        ipv4.setFragment(view, off, layer.offset, layer.mf, layer.df);
        ipv4.updateChecksum(view, off);
      }
      return;
    case "icmp":
      icmp.emit(view, off, end, layer.type, layer.code, layer.rest);
      return;
    case "udp":
      udp.emit(view, off, layer.src, layer.dst, layer.len);
      if (layer.checksum) udp.updateChecksum(view, off, ip.src, ip.dst);
      return;
    case "tcp": {
      const options = bytesOf(layer.options);
      tcp.emit(
        view,
        off,
        layer.src,
        layer.dst,
        layer.seq,
        layer.ack,
        layer.flags,
        layer.window,
        options.length,
      );
      options.forEach((byte, i) => {
        view.setUint8(off + 20 + i, byte);
      });
      tcp.updateChecksum(view, off, end, ip.src, ip.dst);
      return;
    }
    case "vxlan":
      if (layer.policy === undefined) vxlan.emit(view, off, layer.vni);
      else vxlan.emitGroupPolicy(view, off, layer.vni, layer.policy);
      return;
    case "geneve":
      geneve.emit(view, off, layer.vni);
      return;
    case "payload":
      bytesOf(layer.hex).forEach((byte, i) => {
        view.setUint8(off + i, byte);
      });
  }
}
