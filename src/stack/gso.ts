// Segmentation of super-packets, Linux's UDP_L4 generic segmentation offload. Read `__udp_gso_segment` and
// `inet_gso_segment` first.
//
//     l2 or a tunnel's header        l3         l4       l4 + 8
//     |everything in front of l3    |IPv4      |UDP     |gsoSize bytes|gsoSize bytes|…|rest|
//     head                                                                            tail
//
// A super-packet is one UDP datagram (IPv4, not fragmented, no checksum needed yet) whose payload stands for several, each of
// `gsoSize` bytes and the last of what is left. The rule that makes it work: whoever sets `gsoSize` sets l3 and l4 too, and
// whoever pushes headers in front leaves both alone. So for a super-packet inside VXLAN, head is at the VXLAN header while l3
// and l4 are the *inner* headers; everything from head to l3 (VXLAN, inner Ethernet) is copied in front of each segment.
// Only a header of IPv4 and UDP is patched, because nothing in front of it depends on the length: the outer UDP and IP
// headers come from the host's kernel.
//
// Not implemented: TCP (nobody speaks it yet), IPv6.
import { assert } from "../base/assert.ts";
import { DropReason } from "../base/drop-reason.ts";
import type { Instant } from "../base/time.ts";
import * as checksum from "../wire/checksum.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { StackContext } from "./stack-context.ts";

/** Offset of the checksum in a UDP header. Written here because its sum is a by-product of the copy. */
const UDP_CHECKSUM = 6;

/** Who takes the single packets. */
export interface SegmentReceiver {
  /** Takes ownership. Metadata and offsets are the super-packet's; `gsoSize` is 0. */
  segment(pkt: PacketBuffer, now: Instant): void;
}

/** Layer-3 bytes of a super-packet's largest segment (`skb_gso_network_seglen`): what an MTU is compared with. */
export function gsoNetworkLen(pkt: PacketBuffer): number {
  return Math.min(pkt.l4 + udp.HEADER_LEN + pkt.gsoSize, pkt.tail) - pkt.l3;
}

/** How many packets `pkt` stands for: 1 when it is no super-packet. */
export function gsoSegments(pkt: PacketBuffer): number {
  if (pkt.gsoSize === 0) return 1;
  return Math.max(1, Math.ceil((pkt.tail - pkt.l4 - udp.HEADER_LEN) / pkt.gsoSize));
}

/**
 * Splits a super-packet into single ones and hands them over in order; anything else is handed over as it is. Each has its
 * own lengths, checksums and IP identification (the first the original's, then one more each). Takes ownership.
 *
 * @drops NOMEM: what is left of the super-packet when the pool is empty
 */
export function segment(pkt: PacketBuffer, ctx: StackContext, emit: SegmentReceiver, now: Instant): void {
  const size = pkt.gsoSize;
  if (size === 0) {
    emit.segment(pkt, now);
    return;
  }
  const payload = pkt.l4 + udp.HEADER_LEN;
  assert(
    pkt.head <= pkt.l3 && pkt.l3 < pkt.l4 && payload <= pkt.tail,
    "gso: l3 and l4 are not this packet's",
  );
  assert(ipv4.protocol(pkt.view, pkt.l3) === ipv4.Protocol.UDP, "gso: a super-packet is UDP over IPv4");
  let at = payload;
  let count = 0;
  do {
    const len = Math.min(size, pkt.tail - at);
    const one = ctx.pool.acquire(payload + len - pkt.head);
    if (one === undefined) {
      ctx.drop(pkt, DropReason.NOMEM, now);
      return;
    }
    fillSegment(one, pkt, at, len, count);
    emit.segment(one, now);
    at += len;
    count++;
  } while (at < pkt.tail);
  ctx.consume(pkt);
}

/** Writes segment number `count`, with the `len` payload bytes at `at` of `pkt`, into the fresh packet `one`. */
function fillSegment(one: PacketBuffer, pkt: PacketBuffer, at: number, len: number, count: number): void {
  const head = one.head;
  const headers = pkt.l4 + udp.HEADER_LEN - pkt.head;
  one.put(headers + len);
  one.l2 = pkt.l2 < pkt.head ? head : head + pkt.l2 - pkt.head;
  one.l3 = head + pkt.l3 - pkt.head;
  one.l4 = head + pkt.l4 - pkt.head;
  one.protocol = pkt.protocol;
  one.packetType = pkt.packetType;
  one.dev = pkt.dev;
  one.iif = pkt.iif;
  one.mark = pkt.mark;
  one.tunnelRemote = pkt.tunnelRemote;

  const view = one.view;
  for (let i = 0; i < headers; i++) view.setUint8(head + i, pkt.view.getUint8(pkt.head + i));
  const payloadSum = copyAndSum(view, head + headers, pkt.view, at, len);

  const l3 = one.l3;
  const l4 = one.l4;
  ipv4.setTotalLen(view, l3, l4 + udp.HEADER_LEN + len - l3);
  ipv4.setId(view, l3, (ipv4.id(view, l3) + count) & 0xffff);
  ipv4.updateChecksum(view, l3);

  const udpLen = udp.HEADER_LEN + len;
  udp.emit(view, l4, udp.srcPort(view, l4), udp.dstPort(view, l4), udpLen);
  const addresses = checksum.sum(view, l3 + 12, l3 + 20);
  const total = addresses + ipv4.Protocol.UDP + udpLen + checksum.sum(view, l4, l4 + 8) + payloadSum;
  const value = checksum.complement(total);
  view.setUint16(l4 + UDP_CHECKSUM, value === 0 ? 0xffff : value);
}

/** Copies `len` bytes and returns their checksum sum, in one pass: `csum_partial_copy`. No view is made, so no garbage. */
function copyAndSum(to: DataView, toOff: number, from: DataView, fromOff: number, len: number): number {
  let high = 0;
  let low = 0;
  let i = 0;
  for (const last = len - 4; i <= last; i += 4) {
    const word = from.getInt32(fromOff + i);
    to.setInt32(toOff + i, word);
    high = (high + (word >>> 16)) | 0;
    low = (low + (word & 0xffff)) | 0;
  }
  if (len - i >= 2) {
    const half = from.getUint16(fromOff + i);
    to.setUint16(toOff + i, half);
    low += half;
    i += 2;
  }
  if (i < len) {
    const last = from.getUint8(fromOff + i);
    to.setUint8(toOff + i, last);
    low += last << 8;
  }
  return high + low;
}
