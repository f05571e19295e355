import { DropReason } from "../../base/drop-reason.ts";
import type { Instant } from "../../base/time.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { NetDevice } from "../net-device.ts";
import { type PacketBuffer, PacketType } from "../packet-buffer.ts";
import type { Route } from "../route.ts";
import type { Ipv4Layer } from "./ipv4-layer.ts";
import { networkBytes } from "./output.ts";

/** `ip_forward`. See {@link Ipv4Layer.forward}. */
export function forward(ip: Ipv4Layer, pkt: PacketBuffer, route: Route, now: Instant): void {
  const view = pkt.view;
  const netns = ip.netns;
  if (pkt.packetType !== PacketType.HOST) {
    netns.ctx.drop(pkt, DropReason.UNICAST_IN_L2_MULTICAST, now);
    return;
  }
  if (ipv4.ttl(view, pkt.l3) <= 1) {
    ip.stats.inHdrErrors++;
    netns.icmp.send(icmp.Type.TIME_EXCEEDED, icmp.Exceeded.TTL, pkt, 0, now);
    netns.ctx.drop(pkt, DropReason.IP_INHDR, now);
    return;
  }
  const mtuBytes = (route.dev as NetDevice).mtuBytes;
  if (networkBytes(pkt) > mtuBytes && ipv4.dontFragment(view, pkt.l3)) {
    ip.stats.fragFails++;
    netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, pkt, mtuBytes, now);
    netns.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    return;
  }
  ipv4.decrementTtl(view, pkt.l3);
  // Netfilter's FORWARD belongs here.
  ip.stats.forwDatagrams++;
  ip.output(pkt, route, now);
}
