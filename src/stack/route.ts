import type { Ipv4Addr, Prefix } from "../base/ipv4-addr.ts";
import type { Multipath } from "./multipath.ts";
import type { NetDevice } from "./net-device.ts";

/** Who put a route there; `ip route` prints it as `proto`. `kernel` comes with an address, `boot` with no word of it. */
export type RouteProto = "kernel" | "boot" | "static" | "flannel" | "bird" | "felix";

export type RouteType = "unicast" | "local" | "broadcast" | "blackhole" | "unreachable" | "prohibit";

export type RouteScope = "global" | "link" | "host";

export type RouteTable = "local" | "main";

/**
 * One route. Immutable; equal when `table`, `dst` and `metric` are (the key that `ip route replace` uses).
 *
 * Of a route with several next hops there is one `Route` for each: `via`, `dev` and `onlink` are that one's, `multipath` knows
 * them all. The tables keep, and `dump` shows, the first.
 */
export interface Route {
  /** `local` is consulted before `main`, as by Linux's rules 0 and 32766. */
  readonly table: RouteTable;
  readonly type: RouteType;
  readonly dst: Prefix;
  /** Next hop; undefined when the destination is on the link. */
  readonly via: Ipv4Addr | undefined;
  /** Undefined for blackhole, unreachable and prohibit. */
  readonly dev: NetDevice | undefined;
  /** Preferred source address (`src`). */
  readonly src: Ipv4Addr | undefined;
  readonly scope: RouteScope;
  readonly proto: RouteProto;
  readonly metric: number;
  /** The next hop is taken to be on the link, whatever the addresses say. */
  readonly onlink: boolean;
  /** The next hops that share the load; undefined when there is one, or none. */
  readonly multipath: Multipath | undefined;
}

/** One of several next hops: `nexthop [via ADDRESS] [dev DEV] [weight NUMBER] [onlink]`. */
export interface NextHopSpec {
  readonly via?: Ipv4Addr | undefined;
  /** May be left out when `via` is reachable by a route of scope link. */
  readonly dev?: NetDevice | undefined;
  /** Its share of the flows, 1 (the default) to 256. */
  readonly weight?: number | undefined;
  readonly onlink?: boolean | undefined;
}

/** What `ip route add` is told; the rest follows from it. */
export interface RouteSpec {
  readonly dst: Prefix;
  readonly via?: Ipv4Addr | undefined;
  /** May be left out when `via` is reachable by a route of scope link. */
  readonly dev?: NetDevice | undefined;
  readonly src?: Ipv4Addr | undefined;
  /** Default "unicast". */
  readonly type?: RouteType | undefined;
  /** Default: "link" without a next hop, "global" with one, "host" for type local. */
  readonly scope?: RouteScope | undefined;
  /** Default "boot". */
  readonly proto?: RouteProto | undefined;
  /** Default 0, the best. */
  readonly metric?: number | undefined;
  readonly onlink?: boolean | undefined;
  /** In the place of `via`, `dev` and `onlink`. A single one makes an ordinary route, as in Linux. */
  readonly nextHops?: readonly NextHopSpec[] | undefined;
  /** Default "main"; "local" for the types local and broadcast. */
  readonly table?: RouteTable | undefined;
}

/** What `ip route` says about a next hop. The kernel marks a dead one as one without carrier, too. */
export function routeFlags({ dev, onlink }: Route, dead: boolean): string[] {
  const linkDown = dead || (dev?.up === true && !dev.carrier);
  return [...(dead ? ["dead"] : []), ...(onlink ? ["onlink"] : []), ...(linkDown ? ["linkdown"] : [])];
}
