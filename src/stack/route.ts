import type { Ipv4Addr, Prefix } from "../base/ipv4-addr.ts";
import type { NetDevice } from "./net-device.ts";

/** Who put a route there; `ip route` prints it as `proto`. `kernel` comes with an address, `boot` with no word of it. */
export type RouteProto = "kernel" | "boot" | "static" | "flannel" | "bird" | "felix";

export type RouteType = "unicast" | "local" | "broadcast" | "blackhole" | "unreachable" | "prohibit";

export type RouteScope = "global" | "link" | "host";

/** One route. Immutable; equal when `table`, `dst` and `metric` are (the key that `ip route replace` uses). */
export interface Route {
  /** `local` is consulted before `main`, as by Linux's rules 0 and 32766. */
  readonly table: "local" | "main";
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
}
