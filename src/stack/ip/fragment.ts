import { DropReason } from "../../base/drop-reason.ts";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { NetDevice } from "../net-device.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import type { Ipv4Layer } from "./ipv4-layer.ts";

/**
 * Sends `pkt` to `nexthop` in pieces of at most `mtuBytes`, the last perhaps shorter, as `ip_do_fragment`. A packet that fits
 * goes as it is, and a fragment is fragmented further. Takes ownership.
 *
 * @drops PKT_TOO_BIG (the MTU leaves no room for 8 bytes), NOMEM
 * @rfc 791#2.3
 */
export function fragment(
  ip: Ipv4Layer,
  pkt: PacketBuffer,
  dev: NetDevice,
  nexthop: Ipv4Addr,
  mtuBytes: number,
  now: Instant,
): void {
  const { netns, stats } = ip;
  if (pkt.tail - pkt.l3 <= mtuBytes) {
    netns.neigh.output(pkt, dev, nexthop, now);
    return;
  }
  const headerBytes = ipv4.headerLen(pkt.view, pkt.l3);
  const pieceBytes = (mtuBytes - headerBytes) & ~7;
  if (pieceBytes < 8) {
    stats.fragFails++;
    netns.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    return;
  }
  for (let at = pkt.l3 + headerBytes; at < pkt.tail; at += pieceBytes) {
    const piece = copyPiece(ip, pkt, headerBytes, at, Math.min(at + pieceBytes, pkt.tail));
    if (piece === undefined) {
      stats.fragFails++;
      netns.ctx.drop(pkt, DropReason.NOMEM, now);
      return;
    }
    stats.fragCreates++;
    netns.neigh.output(piece, dev, nexthop, now);
  }
  stats.fragOks++;
  netns.ctx.consume(pkt);
}

/** A fragment with the payload bytes `from`..`to` of `pkt`; the caller owns it. Undefined when the pool is exhausted. */
function copyPiece(
  ip: Ipv4Layer,
  pkt: PacketBuffer,
  headerBytes: number,
  from: number,
  to: number,
): PacketBuffer | undefined {
  const piece = ip.netns.ctx.pool.acquire(headerBytes + to - from);
  if (piece === undefined) return undefined;
  const view = piece.view;
  const l3 = piece.put(headerBytes + to - from);
  const before = from - pkt.l3 - headerBytes;
  piece.l2 = l3;
  piece.l3 = l3;
  piece.l4 = l3 + headerBytes;
  piece.protocol = pkt.protocol;
  piece.packetType = pkt.packetType;
  piece.dev = pkt.dev;
  piece.iif = pkt.iif;
  piece.mark = pkt.mark;
  piece.tunnelRemote = pkt.tunnelRemote;
  piece.bytes.set(pkt.bytes.subarray(pkt.l3, pkt.l3 + headerBytes), l3);
  piece.bytes.set(pkt.bytes.subarray(from, to), l3 + headerBytes);
  if (before !== 0) ipv4.blankUncopiedOptions(view, l3);
  const more = to < pkt.tail || ipv4.moreFragments(pkt.view, pkt.l3);
  ipv4.setTotalLen(view, l3, headerBytes + to - from);
  ipv4.setFragment(view, l3, ipv4.fragmentOffset(pkt.view, pkt.l3) + before, more, false);
  ipv4.updateChecksum(view, l3);
  return piece;
}
