// What this node tells its peers, believes of them, and puts into its kernel (specs on Calico, section 3.3), as descriptions: what
// confd writes into BIRD's filters. The speaker's own policies are made of them elsewhere.
import { contains, formatPrefix, type Prefix, parseCidr, prefixOf } from "../../../base/ipv4-addr.ts";
import { type LargeCommunity, parseCommunity, parseLargeCommunity } from "../../../wire/bgp/communities.ts";
import type { AffinityState, CalicoUpdate } from "../calico-updates.ts";
import type {
  BGPConfiguration,
  BGPConfigurationSpec,
  BGPFilter,
  IPPool,
  NodeResource,
} from "../resources.ts";
import type { CalicoVersion } from "./desired-peer.ts";
import { filterSteps } from "./filter-steps.ts";
import { type KernelPool, type KernelRules, kernelPool, programsBy } from "./kernel-rules.ts";
import { exactly, inside } from "./net-match.ts";
import type { PolicyDescription, PolicyStep } from "./policy-step.ts";
import { ELEVATED_PREFERENCE, NORMAL_LOCAL_PREF } from "./route-priority.ts";

/** What of a peer its policies depend on: peers of one class share them. */
export interface PeerClass {
  readonly internal: boolean;
  readonly filters: readonly string[];
}

/** A node with this label does not draw traffic for services from outside. */
const NO_SERVICES = "node.kubernetes.io/exclude-from-external-load-balancers";

export class BgpPolicies {
  readonly #node: string;
  readonly #version: CalicoVersion;
  readonly #pools = new Map<string, KernelPool>();
  readonly #blocks = new Map<string, { readonly cidr: Prefix; readonly state: AffinityState }>();
  readonly #filters = new Map<string, BGPFilter>();
  #global: BGPConfigurationSpec = {};
  #own: BGPConfigurationSpec = {};
  #reflects = false;
  #servicesExcluded = false;
  #changed = false;
  #complaints: string[] = [];
  readonly #said = new Set<string>();

  constructor(node: string, version: CalicoVersion) {
    this.#node = node;
    this.#version = version;
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "affinity") {
      const key = formatPrefix(update.cidr);
      if (update.value === undefined) this.#blocks.delete(key);
      else this.#blocks.set(key, { cidr: update.cidr, state: update.value });
      this.#changed = true;
    } else if (update.t === "resource") this.#onResource(update);
  }

  /** Has anything been said since the last call that policies depend on? */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** What has been found to be wrong since the last call. */
  takeComplaints(): string[] {
    const found = [
      ...this.#complaints,
      ...this.#configurationFaults("default", this.#global),
      ...this.#configurationFaults(`node.${this.#node}`, this.#own),
    ].filter((one) => !this.#said.has(one));
    for (const one of found) this.#said.add(one);
    this.#complaints = [];
    return found;
  }

  /** Blocks that are this node's: BIRD is not told of those whose affinity is still pending. */
  ownBlocks(): Prefix[] {
    return [...this.#blocks.values()]
      .filter(({ state }) => state !== "pending")
      .map(({ cidr }) => cidr)
      .sort((x, y) => x.addr - y.addr || x.len - y.len);
  }

  /** Service ranges that every node originates: a single address is for the nodes that have an endpoint. */
  serviceStatics(): Prefix[] {
    if (this.#servicesExcluded) return [];
    const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs } = this.#global;
    const many = prefixesOf([...(serviceExternalIPs ?? []), ...(serviceLoadBalancerIPs ?? [])]);
    return [...prefixesOf(serviceClusterIPs), ...many.filter(({ len }) => len < 32)];
  }

  /** The order is Calico's; the first step that decides wins. */
  exportPolicy({ internal, filters }: PeerClass): PolicyDescription {
    const steps = [
      ...(internal ? this.#prioritySteps() : []),
      ...this.#filterSteps(filters, "export"),
      ...this.#step(
        "disableBGPExport pools",
        "reject",
        this.#poolCidrs(({ exported }) => !exported),
      ),
      // Steps 4 and 5 refuse what leaves by vxlan.calico, tunl0 or a bpf device: Felix's routes, which this speaker never learns.
      ...this.#communitySteps(),
      ...this.ownBlocks().flatMap((block) => this.#aggregationSteps(block)),
      ...this.#step("service ranges", "accept", this.serviceStatics(), exactly),
      ...(this.#reflects
        ? this.#step("load balancer ranges", "accept", prefixesOf(this.#global.serviceLoadBalancerIPs))
        : []),
      ...this.#step(
        "pools",
        "accept",
        this.#poolCidrs(({ enabled }) => enabled),
      ),
    ];
    return { name: policyName("export", internal, filters), steps, default: "reject" };
  }

  importPolicy({ internal, filters }: PeerClass): PolicyDescription {
    const elevated: PolicyStep = {
      name: "elevated priority",
      localPrefMin: NORMAL_LOCAL_PREF + 1,
      set: { preference: ELEVATED_PREFERENCE },
      action: "next",
    };
    const steps = [
      ...(internal && this.#version !== "3.31" ? [elevated] : []),
      ...this.#filterSteps(filters, "import"),
    ];
    return { name: policyName("import", internal, filters), steps, default: "accept" };
  }

  kernelRules(): KernelRules {
    const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs, programClusterRoutes } =
      this.#global;
    return {
      serviceCidrs: prefixesOf([
        ...(serviceClusterIPs ?? []),
        ...(serviceExternalIPs ?? []),
        ...(serviceLoadBalancerIPs ?? []),
      ]),
      pools: [...this.#pools.values()],
      programs: programsBy(programClusterRoutes, this.#version),
    };
  }

  /** Does an enabled pool hold the address? */
  inPool(net: Prefix): boolean {
    for (const { cidr, enabled } of this.#pools.values()) {
      if (enabled && net.len >= cidr.len && contains(cidr, net.addr)) return true;
    }
    return false;
  }

  #onResource({ kind, name, value }: CalicoUpdate & { readonly t: "resource" }): void {
    if (kind === "IPPool") this.#setPool(name, value as IPPool | undefined);
    else if (kind === "BGPFilter") {
      if (value === undefined) this.#filters.delete(name);
      else this.#setFilter(name, value as BGPFilter);
    } else if (kind === "BGPConfiguration") {
      const spec = (value as BGPConfiguration | undefined)?.spec ?? {};
      if (name === "default") this.#global = spec;
      else if (name === `node.${this.#node}`) this.#own = spec;
      else return;
    } else if (kind === "Node" && name === this.#node) {
      if (!this.#setNode(value as NodeResource | undefined)) return;
    } else return;
    this.#changed = true;
  }

  /** False: nothing of interest is different. */
  #setNode(value: NodeResource | undefined): boolean {
    const reflects = (value?.spec.bgp?.routeReflectorClusterID ?? "") !== "";
    const excluded = value?.metadata.labels?.[NO_SERVICES] === "true";
    if (reflects === this.#reflects && excluded === this.#servicesExcluded) return false;
    this.#reflects = reflects;
    this.#servicesExcluded = excluded;
    return true;
  }

  #setPool(name: string, value: IPPool | undefined): void {
    const pool = value === undefined ? undefined : kernelPool(value.spec);
    if (value !== undefined && pool === undefined) {
      this.#complaints.push(
        `IPPool ${name}: cidr "${value.spec.cidr}" is no prefix; write it as a.b.c.d/len`,
      );
    }
    if (pool === undefined) this.#pools.delete(name);
    else this.#pools.set(name, pool);
  }

  #setFilter(name: string, filter: BGPFilter): void {
    this.#filters.set(name, filter);
    for (const direction of ["export", "import"] as const) {
      const steps = filterSteps(filter, direction);
      if (!steps.ok) this.#complaints.push(`${steps.error}; until then the filter is passed over`);
    }
  }

  /** Communities and prefixes that cannot be read; they are left out. */
  #configurationFaults(name: string, spec: BGPConfigurationSpec): string[] {
    return (spec.prefixAdvertisements ?? []).flatMap(({ cidr, communities }) => {
      const place = `BGPConfiguration ${name}: prefixAdvertisements ${cidr}`;
      const bad = communities.filter((one) => this.#community(one) === undefined);
      return [
        ...(parseCidr(cidr).ok ? [] : [`${place}: this is no prefix; write it as a.b.c.d/len`]),
        ...bad.map(
          (one) =>
            `${place}: "${one}" is neither a community like 64512:100 nor the name of one under communities`,
        ),
      ];
    });
  }

  /** Step 1. What this node originates gets its priority where it is originated, and what iBGP told keeps it. */
  #prioritySteps(): PolicyStep[] {
    if (this.#version === "3.31") return [];
    return [
      {
        name: "priority of external routes",
        from: ["external"],
        set: { localPref: NORMAL_LOCAL_PREF },
        action: "next",
      },
    ];
  }

  #filterSteps(names: readonly string[], direction: "export" | "import"): PolicyStep[] {
    return names.flatMap((name) => {
      const filter = this.#filters.get(name);
      const steps = filter === undefined ? undefined : filterSteps(filter, direction);
      return steps?.ok === true ? steps.value : [];
    });
  }

  #step(
    name: string,
    action: "accept" | "reject",
    cidrs: readonly Prefix[],
    match: typeof inside = inside,
  ): PolicyStep[] {
    return cidrs.length === 0 ? [] : [{ name, nets: cidrs.map(match), action }];
  }

  /** A block is told whole, and nothing of it, but what has a better metric than normal. */
  #aggregationSteps(block: Prefix): PolicyStep[] {
    const name = `block ${formatPrefix(block)}`;
    const nets = [inside(block)];
    const elevated: PolicyStep = {
      name: `${name}, elevated priority`,
      nets,
      localPrefMin: NORMAL_LOCAL_PREF + 1,
      action: "accept",
    };
    return [
      { name, nets: [exactly(block)], action: "accept" },
      ...(this.#version === "3.31" ? [] : [elevated]),
      { name: `inside ${name}`, nets, action: "reject" },
    ];
  }

  #communitySteps(): PolicyStep[] {
    const advertisements = this.#own.prefixAdvertisements ?? this.#global.prefixAdvertisements ?? [];
    return advertisements.flatMap(({ cidr, communities }): PolicyStep[] => {
      const [prefix] = prefixesOf([{ cidr }]);
      const values = communities.flatMap((one) => this.#community(one) ?? []);
      if (prefix === undefined || values.length === 0) return [];
      const set = {
        communities: values.filter((one) => typeof one === "number"),
        largeCommunities: values.filter((one) => typeof one === "object"),
      };
      return [{ name: `communities of ${cidr}`, nets: [inside(prefix)], set, action: "next" }];
    });
  }

  /** By its value, or by its name in the cluster's configuration. */
  #community(text: string): number | LargeCommunity | undefined {
    const lists = [...(this.#global.communities ?? []), ...(this.#own.communities ?? [])];
    const value = lists.find(({ name }) => name === text)?.value ?? text;
    return parseCommunity(value) ?? parseLargeCommunity(value);
  }

  #poolCidrs(which: (pool: KernelPool) => boolean): Prefix[] {
    return [...this.#pools.values()]
      .filter(which)
      .map(({ cidr }) => cidr)
      .sort(byAddress);
  }
}

function byAddress(x: Prefix, y: Prefix): number {
  return x.addr - y.addr || x.len - y.len;
}

/** Those that are prefixes. */
function prefixesOf(list: readonly { readonly cidr: string }[] | undefined): Prefix[] {
  return (list ?? []).flatMap(({ cidr }) => {
    const parsed = parseCidr(cidr);
    return parsed.ok ? [prefixOf(parsed.value.addr, parsed.value.len)] : [];
  });
}

function policyName(direction: string, internal: boolean, filters: readonly string[]): string {
  const name = `calico_${direction}_${internal ? "ibgp" : "ebgp"}`;
  return filters.length === 0 ? name : `${name}(${filters.join(",")})`;
}
