// What an interface's addresses put into the routing table. Read `fib_add_ifaddr` and `__inet_insert_ifa` of Linux first.
import { IPV4_BROADCAST, type Ipv4Addr, netmask, prefixOf } from "../base/ipv4-addr.ts";
import type { NetDevice } from "./net-device.ts";
import type { Route, RouteScope, RouteType } from "./route.ts";

/** What `ip address add` is told. */
export interface AddressSpec {
  readonly addr: Ipv4Addr;
  /** Prefix length in bits, 0..32. */
  readonly len: number;
  /** Default "global"; "host" on the loopback device. */
  readonly scope?: RouteScope | undefined;
  /** `brd`: the explicit broadcast address. The one of the prefix is one without being told. */
  readonly broadcast?: Ipv4Addr | undefined;
  /** `noprefixroute`: no connected route comes with the address. */
  readonly noPrefixRoute?: boolean | undefined;
}

/** One address of an interface. Immutable. */
export interface IfAddr {
  readonly addr: Ipv4Addr;
  readonly len: number;
  readonly scope: RouteScope;
  readonly broadcast: Ipv4Addr | undefined;
  readonly noPrefixRoute: boolean;
  /** Another address of the same prefix was there before: not used as a source by itself, and it goes with the first. */
  readonly secondary: boolean;
}

/** Does `addr` lie in the subnet of `ifa`? */
export function inSubnet(ifa: IfAddr, addr: Ipv4Addr): boolean {
  return ((ifa.addr ^ addr) & netmask(ifa.len)) === 0;
}

/**
 * The routes that the kernel keeps for a device's addresses: local for each address; when the device is up, also the
 * connected route of each primary one and the broadcast addresses.
 */
export function kernelRoutes(dev: NetDevice, addrs: readonly IfAddr[], up: boolean): Route[] {
  const routes: Route[] = [];
  const add = (type: RouteType, addr: Ipv4Addr, len: number, src: Ipv4Addr) => {
    const same = (r: Route) => r.type === type && r.dst.addr === addr && r.dst.len === len && r.src === src;
    if (!routes.some(same)) routes.push(kernelRoute(dev, type, addr, len, src));
  };
  for (const ifa of addrs) {
    const primary = ifa.secondary ? primaryOf(addrs, ifa) : ifa;
    const src = primary.addr;
    add("local", ifa.addr, 32, src);
    if (!up) continue;
    if (ifa.broadcast !== undefined && ifa.broadcast !== IPV4_BROADCAST)
      add("broadcast", ifa.broadcast, 32, src);
    const net = prefixOf(ifa.addr, ifa.len).addr;
    // None for the address 0, none for secondaries (their primary's serves), none for a bare host address.
    if (net === 0 || ifa.secondary || ifa.len === 32) continue;
    if (!ifa.noPrefixRoute) add(dev.kind === "loopback" ? "local" : "unicast", net, ifa.len, src);
    if (ifa.len < 31) add("broadcast", (net | ~netmask(ifa.len)) >>> 0, 32, src);
  }
  return routes;
}

function primaryOf(addrs: readonly IfAddr[], secondary: IfAddr): IfAddr {
  const primary = addrs.find(
    (ifa) => !ifa.secondary && ifa.len === secondary.len && inSubnet(ifa, secondary.addr),
  );
  return primary ?? secondary;
}

function kernelRoute(dev: NetDevice, type: RouteType, addr: Ipv4Addr, len: number, src: Ipv4Addr): Route {
  return {
    table: type === "unicast" ? "main" : "local",
    type,
    dst: { addr, len },
    via: undefined,
    dev,
    src,
    scope: type === "local" ? "host" : "link",
    proto: "kernel",
    metric: 0,
    onlink: false,
    multipath: undefined,
  };
}
