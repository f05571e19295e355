// What the kernel demands of a route before it takes it. Read `fib_create_info` and `fib_check_nh` of Linux first; the
// texts are theirs, as iproute2 prints them.
import { assert } from "../base/assert.ts";
import { type Ipv4Addr, isMulticast, prefixOf } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { tableOf } from "./fib.ts";
import { Multipath, type NextHop, type RouteCommon } from "./multipath.ts";
import type { NetDevice } from "./net-device.ts";
import type { Netns } from "./netns.ts";
import type { NextHopSpec, Route, RouteScope, RouteSpec } from "./route.ts";

/** One next hop leads somewhere by it: that of a route, or one of several. */
type Hop = Pick<RouteSpec, "via" | "dev" | "onlink">;

/** Checks what `ip route add` was told and completes it. @returns the kernel's complaint otherwise */
export function checkRoute(netns: Netns, spec: RouteSpec): Result<Route, string> {
  if (prefixOf(spec.dst.addr, spec.dst.len).addr !== spec.dst.addr) {
    return err("Invalid prefix for given prefix length");
  }
  const type = spec.type ?? "unicast";
  if (type === "blackhole" || type === "unreachable" || type === "prohibit") {
    if (spec.via !== undefined || spec.dev !== undefined || spec.nextHops !== undefined) {
      return err("Gateway, device and multipath can not be specified for this route type");
    }
    return ok(single(spec, spec, undefined, spec.scope ?? "global"));
  }
  const { nextHops } = spec;
  const onLink = spec.via === undefined && nextHops === undefined;
  const near = type === "local" ? "host" : onLink || type === "broadcast" ? "link" : "global";
  const scope = spec.scope ?? near;
  const route =
    nextHops === undefined
      ? checkSingle(netns, spec, spec, scope)
      : checkSeveral(netns, spec, nextHops, scope);
  if (!route.ok) return route;
  if (spec.src !== undefined && !netns.isLocal(spec.src)) return err("Invalid prefsrc address");
  return route;
}

function checkSingle(netns: Netns, spec: RouteSpec, hop: Hop, scope: RouteScope): Result<Route, string> {
  const dev = checkHop(netns, hop, scope);
  return dev.ok ? ok(single(spec, hop, dev.value, scope)) : dev;
}

/** `fib_get_nhs`: each next hop is checked as that of a route would be. */
function checkSeveral(
  netns: Netns,
  spec: RouteSpec,
  hops: readonly NextHopSpec[],
  scope: RouteScope,
): Result<Route, string> {
  const [first] = hops;
  if (first === undefined) return err("Invalid argument");
  if (scope === "host" && hops.length > 1) return err("Route with host scope can not have multiple nexthops");
  const checked: NextHop[] = [];
  for (const hop of hops) {
    const { via, onlink = false, weight = 1 } = hop;
    assert(Number.isInteger(weight) && weight >= 1 && weight <= 256, `route: ${weight} is no weight`);
    const dev = checkHop(netns, hop, scope);
    if (!dev.ok) return dev;
    checked.push({ via, dev: dev.value, onlink, weight });
  }
  // What stands beside next hops is only compared with the first.
  if (spec.dev !== undefined && spec.dev !== first.dev) {
    return err("Nexthop device index does not match RTA_OIF");
  }
  if (spec.via !== undefined && spec.via !== first.via) {
    return err("Nexthop gateway does not match RTA_GATEWAY or RTA_VIA");
  }
  const [only, ...others] = checked as [NextHop, ...NextHop[]];
  if (others.length === 0) return ok(single(spec, only, only.dev, scope));
  return ok(new Multipath(common(spec, scope), checked).paths[0] as Route);
}

function checkHop(netns: Netns, hop: Hop, scope: RouteScope): Result<NetDevice, string> {
  if (hop.dev !== undefined && hop.dev.home !== netns) return err(`Cannot find device "${hop.dev.name}"`);
  return hop.via === undefined ? checkDevice(hop, scope) : checkGateway(netns, hop, hop.via, scope);
}

function checkDevice(spec: Hop, scope: RouteScope): Result<NetDevice, string> {
  if (spec.onlink === true) return err("Invalid flags for nexthop - PERVASIVE and ONLINK can not be set");
  if (spec.dev === undefined) return err("No such device");
  // A route of scope host leads to ourselves, as an address does, and a device that is down keeps its addresses.
  if (!spec.dev.up && scope !== "host") return err("Device for nexthop is not up");
  return ok(spec.dev);
}

function checkGateway(netns: Netns, spec: Hop, via: Ipv4Addr, scope: RouteScope): Result<NetDevice, string> {
  if (scope === "host") return err("Route with host scope can not have a gateway");
  if (spec.onlink === true) {
    if (scope !== "global") return err("Nexthop has invalid scope");
    if (spec.dev === undefined) return err("Nexthop device required for onlink");
    if (!spec.dev.up) return err("Nexthop device is not up");
    const unicast = netns.fib.addrType(via) === undefined && via !== 0 && via < 0xe000_0000;
    return unicast ? ok(spec.dev) : err("Nexthop has invalid gateway");
  }
  if (isMulticast(via)) return err("Nexthop has invalid gateway");
  // The gateway must be nearer than the route: on the link of a global route, this host for one of scope link.
  const way = netns.fib.lookupScope(via, scope === "global" ? "link" : "host", spec.dev);
  // Linux also takes an own address for a gateway, with the meaning of none at all; here that is a mistake.
  if (way === undefined || way.type !== "unicast") return err("Nexthop has invalid gateway");
  if (way.dev === undefined) return err("No egress device for nexthop");
  return way.dev.up ? ok(way.dev) : err("Network is down");
}

function single(spec: RouteSpec, hop: Hop, dev: NetDevice | undefined, scope: RouteScope): Route {
  const { via, onlink = false } = hop;
  return { ...common(spec, scope), via, dev, onlink, multipath: undefined };
}

function common(spec: RouteSpec, scope: RouteScope): RouteCommon {
  const type = spec.type ?? "unicast";
  return {
    table: spec.table ?? tableOf(type),
    type,
    dst: spec.dst,
    src: spec.src,
    scope,
    proto: spec.proto ?? "boot",
    metric: spec.metric ?? 0,
  };
}
