// What a neighbour is told of a path: whether at all, and with which attributes. Everything here depends on the path and on facts
// that all neighbours of an update group share; what sets one member apart from the others is in group-member.ts.
//
//   learnt from \ told to   another AS   our client   our non-client
//   this speaker               yes          yes           yes
//   another AS                 yes          yes           yes
//   our client                 yes        reflected     reflected
//   our non-client             yes        reflected       no
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { countAs, EMPTY_AS_PATH, prepend, withoutConfed } from "../../../wire/bgp/as-path.ts";
import { NONE, Origin, type PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";
import { Community } from "../../../wire/bgp/communities.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { ExportConfig } from "./export-config.ts";
import { exportNextHop } from "./export-next-hop.ts";
import type { RibPeer } from "./rib-peer.ts";
import { DEFAULT_LOCAL_PREF, type Path, RouteAttributes } from "./route.ts";

/** To whom: what the members of an update group have in common. */
export interface ExportTarget {
  /** Same AS as ours? */
  readonly internal: boolean;
  readonly peerAs: number;
  /** We reflect routes to it. */
  readonly rrClient: boolean;
  /** Ours, as a reflector. @rfc 4456#7 */
  readonly clusterId: Ipv4Addr;
  /** IPv4 families in which it takes IPv6 next hops. @rfc 8950#4 */
  readonly extNextHop: readonly Family[];
  readonly config: ExportConfig;
}

/** A route as it is told, or why it is not. */
export type Exported = { readonly route: RouteAttributes } | { readonly refused: string };

/**
 * The route that a path makes to a neighbour, or why it makes none. Split horizon is not in it: who told the path is for
 * the caller to leave out.
 *
 * @rfc 4271#9.1.3 @rfc 4271#9.2 @rfc 4456#6
 */
export function exportRoute(path: Path, to: ExportTarget): Exported {
  const { dest, source } = path;
  if (path.imported === undefined || path.ineligible !== undefined) return { refused: "it cannot be used" };
  if (!mayTell(source, to)) return { refused: "iBGP to iBGP" };
  const { policy } = to.config;
  const input = { prefix: dest, route: path.imported, source };
  const route = policy.evaluate(input);
  if (route !== undefined) return tellRoute(route, source, dest.family, to);
  const { rule } = policy.explain(input);
  return { refused: `refused by ${rule ?? `the default of policy ${policy.policy.name}`}` };
}

/** May what `source` tells be told to the neighbour? What came from inside our AS stays with who learnt it, reflection apart. @rfc 4456#6 */
export function mayTell(source: RibPeer, to: ExportTarget): boolean {
  return source.local || !source.config.internal || !to.internal || to.rrClient || source.config.rrClient;
}

/**
 * What becomes of a route behind the policy. The result is the same for the same arguments, so that callers may keep it.
 *
 * @param route as export policy left it
 * @rfc 4271#5.1 @rfc 1997 @rfc 4456#8
 */
export function tellRoute(
  route: RouteAttributes,
  source: RibPeer,
  family: Family,
  to: ExportTarget,
): Exported {
  const { attributes } = route;
  const barrier = barrierOf(attributes, to);
  if (barrier !== undefined) return { refused: barrier };
  const nextHop = exportNextHop(route, source, family, to);
  if (typeof nextHop === "string") return { refused: nextHop };
  const told = to.internal
    ? internalAttributes(attributes, nextHop, source, to)
    : externalAttributes(route, nextHop, source, to);
  return { route: new RouteAttributes(told, nextHop) };
}

function barrierOf(attributes: PathAttributes, to: ExportTarget): string | undefined {
  const { communities } = attributes;
  if (communities.includes(Community.NO_ADVERTISE)) return "NO_ADVERTISE";
  if (to.internal) return undefined;
  if (communities.includes(Community.NO_EXPORT)) return "NO_EXPORT";
  // There is no confederation here: any other AS is outside.
  if (communities.includes(Community.NO_EXPORT_SUBCONFED)) return "NO_EXPORT_SUBCONFED";
  if (to.config.checkPeerAs && countAs(attributes.asPath ?? EMPTY_AS_PATH, to.peerAs) > 0) {
    return `AS ${to.peerAs} is in its path`;
  }
  return undefined;
}

/** Inside the AS nothing changes; a reflector says whose the route is and that it has been here. @rfc 4456#8 @rfc 4271#5.1.5 */
function internalAttributes(
  a: PathAttributes,
  nextHop: NextHop,
  source: RibPeer,
  to: ExportTarget,
): PathAttributes {
  const reflected = !source.local && source.config.internal;
  return {
    ...a,
    origin: a.origin ?? Origin.IGP,
    asPath: a.asPath ?? EMPTY_AS_PATH,
    nextHop: typeof nextHop === "number" ? nextHop : undefined,
    localPref: a.localPref ?? DEFAULT_LOCAL_PREF,
    originatorId: reflected ? (a.originatorId ?? source.bgpId) : undefined,
    clusterList: reflected ? [to.clusterId, ...a.clusterList] : NONE,
  };
}

/** What another AS gets: our AS in front, and nothing that is between us. @rfc 4271#5.1.2 @rfc 4271#5.1.4 @rfc 4271#5.1.5 @rfc 4360#6 */
function externalAttributes(
  { attributes: a, sets }: RouteAttributes,
  nextHop: NextHop,
  source: RibPeer,
  to: ExportTarget,
): PathAttributes {
  return {
    ...a,
    origin: a.origin ?? Origin.IGP,
    asPath: prepend(withoutConfed(a.asPath ?? EMPTY_AS_PATH), to.config.localAs),
    nextHop: typeof nextHop === "number" ? nextHop : undefined,
    // One neighbour's wish is not for another to hear; our own is.
    med: source.local || sets.med ? a.med : undefined,
    localPref: undefined,
    originatorId: undefined,
    clusterList: NONE,
    extCommunities: transitive(a.extCommunities, (one) => one.high),
    ipv6ExtCommunities: transitive(a.ipv6ExtCommunities, (one) => one[0]),
  };
}

/** In the type of an extended community: it stays in the AS. @rfc 4360#2 */
const NON_TRANSITIVE = 0x40000000;

function transitive<T>(list: readonly T[], typeOf: (one: T) => number): readonly T[] {
  return list.some((one) => (typeOf(one) & NON_TRANSITIVE) !== 0)
    ? list.filter((one) => (typeOf(one) & NON_TRANSITIVE) === 0)
    : list;
}
