// Where a route leads as a neighbour is told. Read RFC 4271 section 5.1.3 first, then RFC 2545 section 3 and RFC 8950 section 4.
import { contains } from "../../../base/ipv4-addr.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { ExportTarget } from "./export-route.ts";
import type { RibPeer } from "./rib-peer.ts";
import { NEXT_HOP_SELF, type RouteAttributes } from "./route.ts";

/**
 * The next hop to tell, or why there is none that the neighbour could use. An IPv4 address is for routes of IPv4 alone.
 *
 * @param route as export policy left it
 * @rfc 4271#5.1.3 @rfc 2545#3 @rfc 8950#4
 */
export function exportNextHop(
  route: RouteAttributes,
  source: RibPeer,
  family: Family,
  to: ExportTarget,
): NextHop | string {
  return wantsSelf(route, source, to) ? ownNextHop(family, to) : givenNextHop(route.nextHop, family, to);
}

function wantsSelf(route: RouteAttributes, source: RibPeer, to: ExportTarget): boolean {
  const { nextHop } = route;
  if (nextHop === NEXT_HOP_SELF || route.sets.nextHop === "self") return true;
  if (route.sets.nextHop === "given") return false;
  switch (to.config.nextHop) {
    case "keep":
      return false;
    case "forceSelf":
      return true;
    case "self":
      // A reflector stays out of the way. RFC 4456, section 10.
      return !to.internal || source.local || !source.config.internal;
    case "auto":
      return !to.internal && !isShared(nextHop, to);
  }
}

/** Can the neighbour reach the next hop itself, on a subnet that all three are on? */
function isShared(nextHop: NextHop, to: ExportTarget): boolean {
  const { sharedSubnet } = to.config;
  return sharedSubnet !== undefined && typeof nextHop === "number" && contains(sharedSubnet, nextHop);
}

function ownNextHop(family: Family, to: ExportTarget): NextHop | string {
  if (family === Family.IPV4_UNICAST) return to.config.localAddr;
  const global = to.config.localAddr6;
  return global === undefined
    ? "we have no IPv6 address to give as its next hop"
    : { global, linkLocal: undefined };
}

function givenNextHop(nextHop: NextHop, family: Family, to: ExportTarget): NextHop | string {
  if (typeof nextHop === "number") {
    return family === Family.IPV4_UNICAST ? nextHop : "its next hop is an IPv4 address";
  }
  if (family === Family.IPV4_UNICAST && !to.extNextHop.includes(family)) {
    return "its next hop is an IPv6 address, which the neighbour does not take";
  }
  // A link-local address means nothing beyond the link that it was told on.
  return nextHop.linkLocal === undefined ? nextHop : { global: nextHop.global, linkLocal: undefined };
}
