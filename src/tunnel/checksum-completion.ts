// Linux hands a packet to a tunnel before its transport checksum is made (CHECKSUM_PARTIAL): the field then holds only the
// sum of the pseudo header, and a network card, or the receiving kernel, is trusted with the rest. Over veth or a bridge
// nobody does the rest, so a kernel VTEP's datagram arrives in userspace with an unfinished *inner* checksum. It is finished
// here, once, so that the stack behind a tunnel sees complete checksums only.
import * as checksum from "../wire/checksum.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";

const IPV6_HEADER_LEN = 40;
/** Where the checksum stands in the transport header. */
const UDP_CHECKSUM = 6;
const TCP_CHECKSUM = 16;
/** Shortest transport header. */
const UDP_LEN = 8;
const TCP_LEN = 20;

/**
 * Completes the TCP or UDP checksum of the Ethernet frame `off`..`end` if it holds just the sum of its pseudo header. Every
 * other frame stays as it is; a complete checksum that looks the same by chance is replaced by itself.
 *
 * @returns was it completed?
 */
export function completeChecksum(view: DataView, off: number, end: number): boolean {
  let type = ethernet.etherType(view, off);
  let l3 = off + ethernet.HEADER_LEN;
  if (type === ethernet.EtherType.VLAN) {
    if (end - off < ethernet.HEADER_LEN + ethernet.VLAN_TAG_LEN) return false;
    type = ethernet.vlanEtherType(view, off);
    l3 += ethernet.VLAN_TAG_LEN;
  }
  if (type === ethernet.EtherType.IPV4) return completePacketChecksum(view, l3, end);
  if (type === ethernet.EtherType.IPV6) return completeIpv6(view, l3, end);
  return false;
}

/** The same for the IPv4 packet at `l3`..`end`, which a tunnel without Ethernet carries. @returns was it completed? */
export function completePacketChecksum(view: DataView, l3: number, end: number): boolean {
  if (end - l3 < ipv4.HEADER_LEN || ipv4.version(view, l3) !== 4 || ipv4.isFragment(view, l3)) return false;
  const l4 = l3 + ipv4.headerLen(view, l3);
  const stop = l3 + ipv4.totalLen(view, l3);
  if (stop > end || l4 < l3 + ipv4.HEADER_LEN) return false;
  return completeTransport(view, l4, stop, ipv4.protocol(view, l3), checksum.sum(view, l3 + 12, l3 + 20));
}

/** Only where TCP or UDP follows the fixed header directly. */
function completeIpv6(view: DataView, l3: number, end: number): boolean {
  if (end - l3 < IPV6_HEADER_LEN || view.getUint8(l3) >>> 4 !== 6) return false;
  const l4 = l3 + IPV6_HEADER_LEN;
  const stop = l4 + view.getUint16(l3 + 4);
  if (stop > end) return false;
  return completeTransport(view, l4, stop, view.getUint8(l3 + 6), checksum.sum(view, l3 + 8, l4));
}

/** @param addresses sum of the two addresses */
function completeTransport(
  view: DataView,
  l4: number,
  end: number,
  protocol: number,
  addresses: number,
): boolean {
  const isUdp = protocol === ipv4.Protocol.UDP;
  if (!isUdp && protocol !== ipv4.Protocol.TCP) return false;
  if (end - l4 < (isUdp ? UDP_LEN : TCP_LEN)) return false;
  const field = l4 + (isUdp ? UDP_CHECKSUM : TCP_CHECKSUM);
  const pseudo = addresses + protocol + (end - l4);
  if (view.getUint16(field) !== checksum.fold(pseudo)) return false;
  view.setUint16(field, 0);
  const value = checksum.compute(view, l4, end, pseudo);
  view.setUint16(field, value === 0 && isUdp ? 0xffff : value);
  return true;
}
