// From what the speaker has chosen to what stands in the kernel: BIRD's kernel protocol with Calico's filter and the fork's
// krt_tunnel and `merge paths on` (specs on Calico, sections 2.2, 3.1 and 3.3). Each route is said once, and what is the same as
// before not at all. Which paths are equal the speaker has decided; here they become next hops of one route.
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import { type KernelRules, kernelVerdict } from "../../../control/calico/calc/kernel-rules.ts";
import type { RouteChange } from "../../../routing/bgp/speaker/speaker-messages.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";

/** How the kernel gets to an address, BIRD's own routes aside. */
export interface NextHopWay {
  /** Undefined: it is on the link. */
  readonly gateway: Ipv4Addr | undefined;
  readonly dev: string;
}

/** One next hop of such a route. */
export interface KernelNextHop {
  readonly via: Ipv4Addr;
  /** "tunl0", or the NIC. */
  readonly dev: string;
  readonly onlink: boolean;
}

/** A route that is to be in the kernel, of `proto bird`. */
export interface KernelRoute {
  readonly dst: Prefix;
  readonly type: "unicast" | "blackhole";
  /** Several share the load, and stand in the order of their addresses. None for a blackhole. */
  readonly nextHops: readonly KernelNextHop[];
}

export type KernelRouteChange =
  | { readonly t: "replace"; readonly route: KernelRoute }
  | { readonly t: "del"; readonly dst: Prefix };

const TUNNEL_DEVICE = "tunl0";

/** The default limit of `merge paths`. */
const NEXT_HOPS_MAX = 16;

/** Number that stands for a prefix. */
function keyOf({ addr, len }: Prefix): number {
  return addr * 64 + len;
}

interface Learned {
  readonly dst: Prefix;
  readonly hops: readonly Ipv4Addr[];
}

export class RouteExporter {
  readonly #wayTo: (addr: Ipv4Addr) => readonly NextHopWay[];
  readonly #learned = new Map<number, Learned>();
  #blocks = new Map<number, Prefix>();
  /** Static routes to peers that are behind a gateway (`reachableBy`). */
  #statics = new Map<number, { readonly dst: Prefix; readonly gateway: Ipv4Addr }>();
  readonly #emitted = new Map<number, KernelRoute>();
  readonly #dirty = new Map<number, Prefix>();
  #rules: KernelRules;
  #subnet: Prefix | undefined;

  /** @param wayTo answers from the kernel's table, all next hops of one route; BIRD's routes must not be in the answer */
  constructor(rules: KernelRules, wayTo: (addr: Ipv4Addr) => readonly NextHopWay[]) {
    this.#rules = rules;
    this.#wayTo = wayTo;
  }

  /** The speaker has chosen. Our own routes are in the kernel already, or are blackholes that {@link setBlocks} knows. */
  onRoute({ prefix, nextHops, local }: RouteChange): void {
    if (prefix.family !== Family.IPV4_UNICAST) return;
    const dst: Prefix = { addr: prefix.a, len: prefix.len };
    const key = keyOf(dst);
    const hops = local ? [] : nextHops.filter(isIpv4);
    if (hops.length === 0) {
      if (!this.#learned.delete(key)) return;
    } else this.#learned.set(key, { dst, hops });
    this.#dirty.set(key, dst);
  }

  /** @param subnet the node's own, which CrossSubnet asks about */
  configure(rules: KernelRules, subnet: Prefix | undefined): void {
    this.#rules = rules;
    this.#subnet = subnet;
    this.touchAll();
  }

  /** Own blocks, each a blackhole for what no pod has. */
  setBlocks(blocks: readonly Prefix[]): void {
    for (const block of [...this.#blocks.values(), ...blocks]) this.#dirty.set(keyOf(block), block);
    this.#blocks = new Map(blocks.map((block) => [keyOf(block), block]));
  }

  setStatics(routes: readonly { readonly addr: Ipv4Addr; readonly gateway: Ipv4Addr }[]): void {
    const statics = routes.map(({ addr, gateway }) => ({ dst: { addr, len: 32 }, gateway }));
    for (const { dst } of [...this.#statics.values(), ...statics]) this.#dirty.set(keyOf(dst), dst);
    this.#statics = new Map(statics.map((route) => [keyOf(route.dst), route]));
  }

  /** The ways to next hops, or what else all routes depend on, may be different. */
  touchAll(): void {
    for (const [key, { dst }] of this.#learned) this.#dirty.set(key, dst);
    for (const [key, dst] of this.#blocks) this.#dirty.set(key, dst);
    for (const [key, { dst }] of this.#statics) this.#dirty.set(key, dst);
  }

  /** What is to be done to the kernel's table since the last call. */
  takeChanges(): KernelRouteChange[] {
    const changes: KernelRouteChange[] = [];
    for (const [key, dst] of this.#dirty) {
      const route = this.#desired(key);
      const before = this.#emitted.get(key);
      if (route === undefined) {
        if (this.#emitted.delete(key)) changes.push({ t: "del", dst });
      } else if (before === undefined || !sameRoute(before, route)) {
        this.#emitted.set(key, route);
        changes.push({ t: "replace", route });
      }
    }
    this.#dirty.clear();
    return changes;
  }

  /** All that has been said to be in the kernel. */
  dump(): KernelRoute[] {
    return [...this.#emitted.values()].sort((x, y) => x.dst.addr - y.dst.addr || x.dst.len - y.dst.len);
  }

  #desired(key: number): KernelRoute | undefined {
    const block = this.#blocks.get(key);
    if (block !== undefined) return this.#blackhole(block);
    const fixed = this.#statics.get(key);
    if (fixed !== undefined) return this.#straight(fixed.dst, [fixed.gateway]);
    const learned = this.#learned.get(key);
    return learned === undefined ? undefined : this.#unicast(learned);
  }

  /** A block of a single address is that of a pod or of nobody. */
  #blackhole(dst: Prefix): KernelRoute | undefined {
    if (dst.len === 32 || kernelVerdict(this.#rules, dst, undefined, this.#subnet).t === "reject") {
      return undefined;
    }
    return { dst, type: "blackhole", nextHops: [] };
  }

  #unicast({ dst, hops }: Learned): KernelRoute | undefined {
    const [first] = hops;
    const verdict = kernelVerdict(this.#rules, dst, first, this.#subnet);
    if (verdict.t === "reject" || first === undefined) return undefined;
    const straight = this.#straight(dst, hops);
    // The fork sets the tunnel on routes with one next hop alone: those with several leave as they are.
    if (verdict.tunnel && (hops.length === 1 || straight?.nextHops.length === 1)) {
      return { dst, type: "unicast", nextHops: [{ via: first, dev: TUNNEL_DEVICE, onlink: true }] };
    }
    return straight;
  }

  /** `gateway recursive`: through whatever gateways each next hop is reached by. Those behind one gateway are one. */
  #straight(dst: Prefix, hops: readonly Ipv4Addr[]): KernelRoute | undefined {
    const nextHops: KernelNextHop[] = [];
    for (const hop of hops) {
      for (const { gateway = hop, dev } of this.#wayTo(hop)) {
        const next = { via: gateway, dev, onlink: false };
        if (!nextHops.some((one) => sameNextHop(one, next))) nextHops.push(next);
      }
    }
    nextHops.sort((x, y) => x.via - y.via);
    nextHops.splice(NEXT_HOPS_MAX);
    return nextHops.length === 0 ? undefined : { dst, type: "unicast", nextHops };
  }
}

function isIpv4(hop: NextHop): hop is Ipv4Addr {
  return typeof hop === "number";
}

function sameRoute(x: KernelRoute, y: KernelRoute): boolean {
  return (
    x.type === y.type &&
    x.nextHops.length === y.nextHops.length &&
    x.nextHops.every((hop, i) => sameNextHop(hop, y.nextHops[i] as KernelNextHop))
  );
}

function sameNextHop(x: KernelNextHop, y: KernelNextHop): boolean {
  return x.via === y.via && x.dev === y.dev && x.onlink === y.onlink;
}
