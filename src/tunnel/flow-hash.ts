import { finish, mix } from "../base/murmur3.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";

const IPV6_HEADER_LEN = 40;

/**
 * A hash of the flow that an Ethernet frame belongs to: chooses the outer source port, so that one flow keeps one port
 * (Linux's `udp_flow_src_port`). IPv4: addresses and protocol, and the ports of TCP and UDP; of a fragment no ports, so that
 * all fragments of a packet go the same way. IPv6: addresses. Anything else: the MAC addresses.
 *
 * @param off where the frame starts @param end where it ends; a header cut short is not read
 * @param salt random bits of the node
 * @returns 0..2^31-1: always a small integer, never a heap number
 */
export function flowHash(view: DataView, off: number, end: number, salt: number): number {
  const l3 = off + ethernet.HEADER_LEN;
  const type = ethernet.etherType(view, off);
  if (type === ethernet.EtherType.IPV4 && end - l3 >= ipv4.HEADER_LEN) return hashIpv4(view, l3, end, salt);
  if (type === ethernet.EtherType.IPV6 && end - l3 >= IPV6_HEADER_LEN) {
    let h = salt | 0;
    for (let at = l3 + 8; at < l3 + IPV6_HEADER_LEN; at += 4) h = mix(h, view.getInt32(at));
    return finish(h);
  }
  return finish(mix(mix(mix(salt | 0, view.getInt32(off)), view.getInt32(off + 4)), view.getInt32(off + 8)));
}

/** The same for an IPv4 packet without Ethernet header at `off`; 0 for anything else. */
export function packetFlowHash(view: DataView, off: number, end: number, salt: number): number {
  if (end - off < ipv4.HEADER_LEN || ipv4.version(view, off) !== 4) return 0;
  return hashIpv4(view, off, end, salt);
}

function hashIpv4(view: DataView, l3: number, end: number, salt: number): number {
  const protocol = ipv4.protocol(view, l3);
  let h = mix(mix(mix(salt | 0, view.getInt32(l3 + 12)), view.getInt32(l3 + 16)), protocol);
  if (protocol === ipv4.Protocol.TCP || protocol === ipv4.Protocol.UDP) {
    const l4 = l3 + ipv4.headerLen(view, l3);
    if (end - l4 >= 4 && !ipv4.isFragment(view, l3)) h = mix(h, view.getInt32(l4));
  }
  return finish(h);
}
