// Which prefix of the pod network is behind which node: from pools, blocks and nodes to one route a block, and one more for each address
// that a node has borrowed from another's. Specs on Calico §2.2. Who programs them is not decided here: Felix, or BIRD by what it
// hears of the others.
import { contains, formatPrefix, type Ipv4Addr, type Prefix, parseCidr } from "../../../base/ipv4-addr.ts";
import type { CalicoUpdate } from "../calico-updates.ts";
import type { IpamBlock } from "../ipam/ipam-block.ts";
import type { EncapMode, IPPool, NodeResource } from "../resources.ts";
import { type Pool, PoolTable } from "./pool-table.ts";

export type Encap = "ipip" | "vxlan" | "none";

/** The way to a block, or to a borrowed address. */
export interface L3Route {
  readonly dst: Prefix;
  readonly node: string;
  /** The node's address on the underlay. */
  readonly nodeAddr: Ipv4Addr;
  /** What the pool asks for. */
  readonly pool: Pool;
  /** What it comes to between these two nodes: CrossSubnet is decided. */
  readonly encap: Encap;
  /** Is the node in our own segment? */
  readonly sameSubnet: boolean;
}

export interface L3Changes {
  readonly replaced: readonly L3Route[];
  readonly deleted: readonly Prefix[];
}

interface Host {
  readonly addr: Ipv4Addr;
  readonly len: number;
}

export class L3Routes {
  readonly #self: string;
  readonly #pools = new PoolTable();
  readonly #hosts = new Map<string, Host>();
  readonly #blocks = new Map<string, IpamBlock>();
  /** Blocks that name a node, as their owner or as a borrower. */
  readonly #byNode = new Map<string, Set<string>>();
  /** Routes of each block, by destination. */
  readonly #routes = new Map<string, ReadonlyMap<string, L3Route>>();
  readonly #dirty = new Set<string>();
  /** How many blocks have been looked at: what an update costs. */
  computed = 0;

  /** @param self this node: it has no routes to itself */
  constructor(self: string) {
    this.#self = self;
  }

  /** All routes there are, after the last flush. */
  *dump(): Iterable<L3Route> {
    for (const routes of this.#routes.values()) yield* routes.values();
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "block") this.#onBlock(formatPrefix(update.cidr), update.value);
    else if (update.t !== "resource") return;
    else if (update.kind === "IPPool") this.#onPool(update.name, update.value as IPPool | undefined);
    else if (update.kind === "Node") this.#onNode(update.name, update.value as NodeResource | undefined);
  }

  /** What has changed since the last call. */
  flush(): L3Changes {
    const replaced: L3Route[] = [];
    const deleted: Prefix[] = [];
    for (const key of this.#dirty) {
      const before = this.#routes.get(key);
      const after = this.#compute(key);
      for (const [dst, route] of after) {
        const had = before?.get(dst);
        if (had === undefined || !sameRoute(had, route)) replaced.push(route);
      }
      for (const [dst, route] of before ?? []) if (!after.has(dst)) deleted.push(route.dst);
      if (after.size === 0) this.#routes.delete(key);
      else this.#routes.set(key, after);
    }
    this.#dirty.clear();
    return { replaced, deleted };
  }

  #onBlock(key: string, block: IpamBlock | undefined): void {
    const before = this.#blocks.get(key);
    if (before !== undefined) for (const node of nodesOf(before)) this.#byNode.get(node)?.delete(key);
    if (block === undefined) this.#blocks.delete(key);
    else {
      this.#blocks.set(key, block);
      for (const node of nodesOf(block)) {
        const blocks = this.#byNode.get(node);
        if (blocks === undefined) this.#byNode.set(node, new Set([key]));
        else blocks.add(key);
      }
    }
    this.#dirty.add(key);
  }

  #onPool(name: string, pool: IPPool | undefined): void {
    const { before, after } = this.#pools.replace(name, pool);
    for (const [key, { cidr }] of this.#blocks) {
      if ([before, after].some((one) => one !== undefined && contains(one.cidr, cidr.addr))) {
        this.#dirty.add(key);
      }
    }
  }

  #onNode(name: string, node: NodeResource | undefined): void {
    const before = this.#hosts.get(name);
    const cidr = parseCidr(node?.spec.bgp?.ipv4Address ?? "");
    const after = cidr.ok ? cidr.value : undefined;
    if (before?.addr === after?.addr && before?.len === after?.len) return;
    if (after === undefined) this.#hosts.delete(name);
    else this.#hosts.set(name, after);
    // Who is in our segment depends on our own address.
    const touched = name === this.#self ? this.#blocks.keys() : (this.#byNode.get(name) ?? []);
    for (const key of touched) this.#dirty.add(key);
  }

  #compute(key: string): ReadonlyMap<string, L3Route> {
    const routes = new Map<string, L3Route>();
    const block = this.#blocks.get(key);
    const pool = block === undefined ? undefined : this.#pools.lookup(block.cidr);
    if (block === undefined || pool === undefined) return routes;
    this.computed++;
    this.#add(routes, block.cidr, block.host, pool);
    for (const [ordinal, at] of block.allocations.entries()) {
      const borrower = at === undefined ? undefined : block.attributes[at]?.secondary?.node;
      if (borrower === undefined || borrower === block.host) continue;
      this.#add(routes, { addr: (block.cidr.addr + ordinal) >>> 0, len: 32 }, borrower, pool);
    }
    return routes;
  }

  #add(routes: Map<string, L3Route>, dst: Prefix, node: string | undefined, pool: Pool): void {
    const host = node === undefined ? undefined : this.#hosts.get(node);
    if (node === undefined || node === this.#self || host === undefined) return;
    const sameSubnet = this.#isNear(host.addr);
    const encap = encapOf(pool, sameSubnet);
    routes.set(formatPrefix(dst), { dst, node, nodeAddr: host.addr, pool, encap, sameSubnet });
  }

  /** A node with a /32 has no segment: everybody is far from it. */
  #isNear(addr: Ipv4Addr): boolean {
    const self = this.#hosts.get(this.#self);
    return self !== undefined && contains(self, addr);
  }
}

function* nodesOf(block: IpamBlock): Iterable<string> {
  if (block.host !== undefined) yield block.host;
  for (const { secondary } of block.attributes) if (secondary?.node !== undefined) yield secondary.node;
}

function encapOf({ ipipMode, vxlanMode }: Pool, sameSubnet: boolean): Encap {
  const applies = (mode: EncapMode): boolean => mode === "Always" || (mode === "CrossSubnet" && !sameSubnet);
  if (applies(ipipMode)) return "ipip";
  return applies(vxlanMode) ? "vxlan" : "none";
}

function sameRoute(a: L3Route, b: L3Route): boolean {
  return (
    a.node === b.node &&
    a.nodeAddr === b.nodeAddr &&
    a.pool === b.pool &&
    a.encap === b.encap &&
    a.sameSubnet === b.sameSubnet
  );
}
