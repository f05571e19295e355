// Which of several next hops: the hash of a flow, as Linux's `fib_multipath_hash`. The hash itself is not Linux's (a SipHash with a
// key that nobody knows), what goes into it is. Both directions of a flow have the same hash, and so do the ICMP errors about it
// where the addresses alone count.
import { finish, mix } from "../../base/murmur3.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import { dstWord, srcWord } from "./address-word.ts";

/** `net.ipv4.fib_multipath_hash_policy`. */
export const HashPolicy = { L3: 0, L4: 1 } as const;

/**
 * The hash of a flow. Addresses may be signed or unsigned.
 *
 * @param policy one of {@link HashPolicy}; L3: protocol and ports do not count
 * @param ports source port in the upper 16 bits, destination port in the lower; 0 when there are none
 * @returns 0..2^31-1
 */
export function flowHash(
  policy: number,
  seed: number,
  src: number,
  dst: number,
  protocol: number,
  ports: number,
): number {
  // Ordered, so that the way back is the same.
  const swap = src >>> 0 > dst >>> 0;
  const hash = mix(mix(seed | 0, swap ? dst : src), swap ? src : dst);
  if (policy === HashPolicy.L3) return finish(hash);
  const low = ports & 0xffff;
  const high = ports >>> 16;
  return finish(mix(mix(hash, low < high ? (low << 16) | high : (high << 16) | low), protocol));
}

/** The hash of the flow that a packet to be forwarded belongs to. `l3` is at its header. */
export function packetHash(policy: number, seed: number, pkt: PacketBuffer): number {
  const view = pkt.view;
  const l3 = pkt.l3;
  const protocol = ipv4.protocol(view, l3);
  if (policy === HashPolicy.L3) {
    const key = protocol === ipv4.Protocol.ICMP ? offender(pkt) : l3;
    return flowHash(policy, seed, srcWord(view, key), dstWord(view, key), 0, 0);
  }
  let ports = 0;
  if (protocol === ipv4.Protocol.TCP || protocol === ipv4.Protocol.UDP) {
    const l4 = l3 + ipv4.headerLen(view, l3);
    // Of a fragment none, so that all fragments of a packet go the same way.
    if (pkt.tail - l4 >= 4 && !ipv4.isFragment(view, l3)) ports = view.getInt32(l4);
  }
  return flowHash(policy, seed, srcWord(view, l3), dstWord(view, l3), protocol, ports);
}

/** Where the header starts whose addresses count: of an ICMP error, that of the packet in it (`ip_multipath_l3_keys`). */
function offender(pkt: PacketBuffer): number {
  const view = pkt.view;
  const l3 = pkt.l3;
  const l4 = l3 + ipv4.headerLen(view, l3);
  const inner = l4 + icmp.HEADER_LEN;
  const whole = ipv4.fragmentOffset(view, l3) === 0 && pkt.tail - inner >= ipv4.HEADER_LEN;
  return whole && icmp.isError(icmp.type(view, l4)) ? inner : l3;
}
