// The fragments of one datagram on their way to becoming whole. Read RFC 791 section 3.2 and RFC 815 first, then RFC 5722
// for why an overlap costs the whole datagram (Linux applies that rule to IPv4 as well).
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { PacketBuffer } from "../packet-buffer.ts";

/** What became of a fragment. */
export const Insert = {
  /** Kept. */
  KEPT: 0,
  /** Holds only what is there already: drop it, keep the rest. */
  DUPLICATE: 1,
  /** Contradicts what is there (overlap, two ends, bytes beyond the end): drop everything. */
  CORRUPT: 2,
  /** The datagram would exceed 65,535 bytes: drop everything. */
  OVERSIZE: 3,
} as const;

/** Fragments received from one source, all datagrams together: says how long ago a datagram's last fragment came. */
export interface FragSource {
  seen: number;
  /** Queues of this source. */
  queues: number;
}

/** First byte of the fragment's payload within the datagram. `l3` and `head` as {@link FragQueue} keeps them. */
function startOf(pkt: PacketBuffer): number {
  return ipv4.fragmentOffset(pkt.view, pkt.l3);
}

/** One past its last byte. */
function endOf(pkt: PacketBuffer): number {
  return ipv4.fragmentOffset(pkt.view, pkt.l3) + pkt.tail - pkt.head;
}

/** The fragments of one datagram, in order, not overlapping. Owns them. `l3` at the IP header, `head` at the payload. */
export class FragQueue {
  readonly src: Ipv4Addr;
  readonly dst: Ipv4Addr;
  readonly id: number;
  readonly protocol: number;
  readonly source: FragSource;
  /** The source's `seen` when the last fragment of this datagram came. */
  lastSeen = 0;
  deadline: Instant = 0;
  /** Chain of one hash bucket, and the list of all by deadline: links of {@link Reassembly}. */
  chained: FragQueue | undefined = undefined;
  older: FragQueue | undefined = undefined;
  newer: FragQueue | undefined = undefined;
  /** By offset. */
  frags: PacketBuffer[] = [];
  /** Payload bytes here. */
  meat = 0;
  /** Payload bytes of the whole, as far as is known: exact once `lastIn`. */
  len = 0;
  lastIn = false;
  /** Bit `1 << ecn` for each ECN codepoint seen. */
  ecnSeen = 0;
  /** Largest fragment, and largest with don't-fragment, header included. */
  maxBytes = 0;
  maxDfBytes = 0;

  constructor(src: Ipv4Addr, dst: Ipv4Addr, id: number, protocol: number, source: FragSource) {
    this.src = src;
    this.dst = dst;
    this.id = id;
    this.protocol = protocol;
    this.source = source;
  }

  get complete(): boolean {
    return this.lastIn && this.meat === this.len;
  }

  /** The fragment with the transport header, when it is here. */
  get first(): PacketBuffer | undefined {
    const pkt = this.frags[0];
    return pkt !== undefined && startOf(pkt) === 0 ? pkt : undefined;
  }

  /** Forgets everything; the caller took the fragments. */
  reset(): void {
    this.frags = [];
    this.meat = 0;
    this.len = 0;
    this.lastIn = false;
    this.ecnSeen = 0;
    this.maxBytes = 0;
    this.maxDfBytes = 0;
  }

  /** Takes a fragment in. Owns it only when the answer is KEPT. Follows `ip_frag_queue`. */
  insert(pkt: PacketBuffer): number {
    const view = pkt.view;
    const offset = startOf(pkt);
    const headerBytes = pkt.head - pkt.l3;
    let end = endOf(pkt);
    if (end + headerBytes > ipv4.PACKET_LEN_MAX) return Insert.OVERSIZE;
    if (ipv4.moreFragments(view, pkt.l3)) {
      end &= ~7;
      if (end > this.len && this.lastIn) return Insert.CORRUPT;
    } else if (end < this.len || (this.lastIn && end !== this.len)) return Insert.CORRUPT;
    if (end <= offset) return Insert.CORRUPT;
    const at = this.#place(offset, end);
    if (at < 0) return at === CONTAINED ? Insert.DUPLICATE : Insert.CORRUPT;
    if (!ipv4.moreFragments(view, pkt.l3)) {
      this.lastIn = true;
      this.len = end;
    } else if (end > this.len) this.len = end;
    pkt.trim(end - offset);
    if (at === this.frags.length) this.frags.push(pkt);
    else this.frags.splice(at, 0, pkt);
    this.#account(pkt, end - offset, headerBytes);
    return Insert.KEPT;
  }

  #account(pkt: PacketBuffer, payloadBytes: number, headerBytes: number): void {
    const bytes = payloadBytes + headerBytes;
    this.meat += payloadBytes;
    this.ecnSeen |= 1 << ipv4.ecn(pkt.view, pkt.l3);
    if (bytes > this.maxBytes) this.maxBytes = bytes;
    if (ipv4.dontFragment(pkt.view, pkt.l3) && bytes > this.maxDfBytes) this.maxDfBytes = bytes;
  }

  /** Index to insert `offset`..`end` at, or CONTAINED, or OVERLAP. In order, which is usual, it looks at the last one only. */
  #place(offset: number, end: number): number {
    const frags = this.frags;
    let low = 0;
    let high = frags.length;
    if (high === 0 || offset >= endOf(frags[high - 1] as PacketBuffer)) return high;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (endOf(frags[mid] as PacketBuffer) <= offset) low = mid + 1;
      else high = mid;
    }
    const next = frags[low] as PacketBuffer;
    if (startOf(next) >= end) return low;
    return startOf(next) <= offset && this.#runEnd(low, end) >= end ? CONTAINED : OVERLAP;
  }

  /** Where the gapless run that starts with fragment `at` ends; stops looking at `enough`. */
  #runEnd(at: number, enough: number): number {
    let reached = endOf(this.frags[at] as PacketBuffer);
    for (let i = at + 1; i < this.frags.length && reached < enough; i++) {
      const pkt = this.frags[i] as PacketBuffer;
      if (startOf(pkt) !== reached) break;
      reached = endOf(pkt);
    }
    return reached;
  }
}

const CONTAINED = -1;
const OVERLAP = -2;
