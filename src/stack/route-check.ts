// What the kernel demands of a route before it takes it. Read `fib_create_info` and `fib_check_nh` of Linux first; the
// texts are theirs, as iproute2 prints them.
import { type Ipv4Addr, isMulticast, prefixOf } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { tableOf } from "./fib.ts";
import type { NetDevice } from "./net-device.ts";
import type { Netns } from "./netns.ts";
import type { Route, RouteScope, RouteSpec } from "./route.ts";

/** Checks what `ip route add` was told and completes it. @returns the kernel's complaint otherwise */
export function checkRoute(netns: Netns, spec: RouteSpec): Result<Route, string> {
  if (prefixOf(spec.dst.addr, spec.dst.len).addr !== spec.dst.addr) {
    return err("Invalid prefix for given prefix length");
  }
  const type = spec.type ?? "unicast";
  if (type === "blackhole" || type === "unreachable" || type === "prohibit") {
    if (spec.via !== undefined || spec.dev !== undefined) {
      return err("Gateway, device and multipath can not be specified for this route type");
    }
    return ok(complete(spec, undefined, spec.scope ?? "global"));
  }
  if (spec.dev !== undefined && spec.dev.home !== netns) return err(`Cannot find device "${spec.dev.name}"`);
  const near = type === "local" ? "host" : spec.via === undefined || type === "broadcast" ? "link" : "global";
  const scope = spec.scope ?? near;
  const dev = spec.via === undefined ? checkDevice(spec, scope) : checkGateway(netns, spec, spec.via, scope);
  if (!dev.ok) return dev;
  if (spec.src !== undefined && !netns.isLocal(spec.src)) return err("Invalid prefsrc address");
  return ok(complete(spec, dev.value, scope));
}

function checkDevice(spec: RouteSpec, scope: RouteScope): Result<NetDevice, string> {
  if (spec.onlink === true && spec.dev === undefined) return err("Nexthop device required for onlink");
  if (spec.dev === undefined) return err("No such device");
  // A route of scope host leads to ourselves, as an address does, and a device that is down keeps its addresses.
  if (!spec.dev.up && scope !== "host") return err("Device for nexthop is not up");
  return ok(spec.dev);
}

function checkGateway(
  netns: Netns,
  spec: RouteSpec,
  via: Ipv4Addr,
  scope: RouteScope,
): Result<NetDevice, string> {
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

function complete(spec: RouteSpec, dev: NetDevice | undefined, scope: RouteScope): Route {
  const type = spec.type ?? "unicast";
  return {
    table: spec.table ?? tableOf(type),
    type,
    dst: spec.dst,
    via: spec.via,
    dev,
    src: spec.src,
    scope,
    proto: spec.proto ?? "boot",
    metric: spec.metric ?? 0,
    onlink: spec.onlink ?? false,
  };
}
