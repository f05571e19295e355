// Routes to blocks that Felix programs itself instead of leaving them to BIRD: those of IPIP pools from Calico 3.33 on, and those
// without encapsulation where it is told to. Specs on Calico §0, §2.2.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import type { L3Changes, L3Route } from "../../../control/calico/calc/l3-routes.ts";
import type { Pool } from "../../../control/calico/calc/pool-table.ts";
import type { FelixConfigurationSpec } from "../../../control/calico/resources.ts";
import type { NetDevice } from "../../../stack/net-device.ts";
import type { RouteTable } from "../../route-table.ts";

type Switch = NonNullable<FelixConfigurationSpec["programClusterRoutes"]>;

/** @param version Calico's */
export function felixSwitch(version: "3.31" | "3.32" | "3.33", config: FelixConfigurationSpec): Switch {
  if (version !== "3.33") return "Disabled";
  return config.programClusterRoutes ?? "EnabledIPIPOnly";
}

export interface ClusterRoutesOptions {
  readonly routes: RouteTable;
  readonly uplink: NetDevice;
  /** tunl0, while there is one. */
  readonly tunnel: () => NetDevice | undefined;
}

export class ClusterRoutes {
  readonly #options: ClusterRoutesOptions;
  readonly #known = new Map<string, L3Route>();
  /** Those that are in the table because of us. */
  readonly #put = new Set<string>();
  #switch: Switch = "Disabled";

  constructor(options: ClusterRoutesOptions) {
    this.#options = options;
  }

  /** True: it was another one. */
  setSwitch(to: Switch): boolean {
    if (to === this.#switch) return false;
    this.#switch = to;
    this.refresh();
    return true;
  }

  /** Does Felix program the routes to the blocks of this pool, the blackholes of own ones included? */
  programs({ ipipMode, vxlanMode }: Pick<Pool, "ipipMode" | "vxlanMode">): boolean {
    if (vxlanMode !== "Never" || this.#switch === "Enabled") return true;
    if (this.#switch === "Disabled") return false;
    return (this.#switch === "EnabledIPIPOnly") === (ipipMode !== "Never");
  }

  /** Gives up what is the VTEP's from now on, or nobody's: before the VTEP puts its own there. */
  release({ replaced, deleted }: L3Changes): void {
    for (const dst of deleted) this.#del(dst);
    for (const { dst, pool } of replaced) if (pool.vxlanMode !== "Never") this.#del(dst);
  }

  /** The tunnel has come or gone. */
  refresh(): void {
    for (const route of this.#known.values()) this.#apply(route);
  }

  onRoutes({ replaced, deleted }: L3Changes): void {
    for (const dst of deleted) this.#known.delete(formatPrefix(dst));
    for (const route of replaced) {
      this.#known.set(formatPrefix(route.dst), route);
      this.#apply(route);
    }
  }

  #apply(route: L3Route): void {
    // Those of VXLAN pools are the VTEP's.
    if (route.pool.vxlanMode !== "Never") return;
    const { routes, uplink, tunnel } = this.#options;
    const { dst, nodeAddr: via, encap } = route;
    const dev = encap === "ipip" ? tunnel() : uplink;
    if (!this.programs(route.pool) || dev === undefined) {
      this.#del(dst);
      return;
    }
    this.#put.add(formatPrefix(dst));
    routes.replace({ dst, via, dev, onlink: true, proto: "felix" });
  }

  #del(dst: Prefix): void {
    if (this.#put.delete(formatPrefix(dst))) this.#options.routes.del({ dst });
  }
}
