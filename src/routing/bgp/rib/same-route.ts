// Equality of routes by value: sessions that read equal octets at different times make different objects of them.
import { EMPTY_AS_PATH, sameAsPath } from "../../../wire/bgp/as-path.ts";
import type { PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";
import type { Ipv6Addr } from "../../../wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { RouteAttributes } from "./route.ts";

/** Remembers the last answer: the routes of neighbouring prefixes tend to be the same two objects. */
export class RouteComparer {
  #x: RouteAttributes | undefined = undefined;
  #y: RouteAttributes | undefined = undefined;
  #same = false;

  /** {@link sameRoute} */
  same(x: RouteAttributes, y: RouteAttributes): boolean {
    if (x === y) return true;
    if (x !== this.#x || y !== this.#y) {
      this.#x = x;
      this.#y = y;
      this.#same = sameRoute(x, y);
    }
    return this.#same;
  }
}

/** Do the two say the same? */
export function sameRoute(x: RouteAttributes, y: RouteAttributes): boolean {
  return (
    x === y ||
    (x.weight === y.weight &&
      x.sets.med === y.sets.med &&
      x.sets.nextHop === y.sets.nextHop &&
      sameNextHop(x.nextHop, y.nextHop) &&
      sameAttributes(x.attributes, y.attributes))
  );
}

export function sameNextHop(x: NextHop, y: NextHop): boolean {
  if (typeof x === "number" || typeof y === "number") return x === y;
  return sameIpv6(x.global, y.global) && sameIpv6(x.linkLocal, y.linkLocal);
}

function sameIpv6(x: Ipv6Addr | undefined, y: Ipv6Addr | undefined): boolean {
  if (x === undefined || y === undefined) return x === y;
  return x.a === y.a && x.b === y.b && x.c === y.c && x.d === y.d;
}

export function sameAttributes(x: PathAttributes, y: PathAttributes): boolean {
  if (x === y) return true;
  return (
    x.origin === y.origin &&
    x.med === y.med &&
    x.localPref === y.localPref &&
    x.nextHop === y.nextHop &&
    x.originatorId === y.originatorId &&
    x.atomicAggregate === y.atomicAggregate &&
    x.aggregator?.as === y.aggregator?.as &&
    x.aggregator?.addr === y.aggregator?.addr &&
    (x.asPath === undefined) === (y.asPath === undefined) &&
    sameAsPath(x.asPath ?? EMPTY_AS_PATH, y.asPath ?? EMPTY_AS_PATH) &&
    sameNumbers(x.communities, y.communities) &&
    sameNumbers(x.clusterList, y.clusterList) &&
    sameNumbers(x.partial, y.partial) &&
    sameOctets(x.pmsiTunnel, y.pmsiTunnel) &&
    sameList(x.extCommunities, y.extCommunities, (a, b) => a.high === b.high && a.low === b.low) &&
    sameList(x.ipv6ExtCommunities, y.ipv6ExtCommunities, sameNumbers) &&
    sameList(
      x.largeCommunities,
      y.largeCommunities,
      (a, b) => a.global === b.global && a.local1 === b.local1 && a.local2 === b.local2,
    ) &&
    sameList(
      x.unknown,
      y.unknown,
      (a, b) => a.type === b.type && a.flags === b.flags && sameOctets(a.value, b.value),
    )
  );
}

function sameList<T>(x: readonly T[], y: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return x === y || (x.length === y.length && x.every((one, i) => same(one, y[i] as T)));
}

function sameNumbers(x: ArrayLike<number>, y: ArrayLike<number>): boolean {
  if (x === y) return true;
  if (x.length !== y.length) return false;
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
}

function sameOctets(x: Uint8Array | undefined, y: Uint8Array | undefined): boolean {
  return x === y || (x !== undefined && y !== undefined && sameNumbers(x, y));
}
