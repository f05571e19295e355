// Routes to blocks that Felix programs itself instead of leaving them to BIRD: those of IPIP pools from Calico 3.33 on, and those
// without encapsulation where it is told to. Specs on Calico §0, §2.2.
import { formatPrefix } from "../../../base/ipv4-addr.ts";
import type { L3Changes, L3Route } from "../../../control/calico/calc/l3-routes.ts";
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
  #switch: Switch = "Disabled";

  constructor(options: ClusterRoutesOptions) {
    this.#options = options;
  }

  setSwitch(to: Switch): void {
    if (to === this.#switch) return;
    this.#switch = to;
    this.refresh();
  }

  /** The tunnel has come or gone. */
  refresh(): void {
    for (const route of this.#known.values()) this.#apply(route);
  }

  onRoutes({ replaced, deleted }: L3Changes): void {
    for (const dst of deleted) {
      const route = this.#known.get(formatPrefix(dst));
      this.#known.delete(formatPrefix(dst));
      if (route !== undefined && route.pool.vxlanMode === "Never") this.#options.routes.del({ dst });
    }
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
    if (!this.#programs(route) || dev === undefined) routes.del({ dst });
    else routes.replace({ dst, via, dev, onlink: true, proto: "felix" });
  }

  #programs({ pool }: L3Route): boolean {
    if (this.#switch === "Disabled") return false;
    if (this.#switch === "Enabled") return true;
    return (this.#switch === "EnabledIPIPOnly") === (pool.ipipMode !== "Never");
  }
}
