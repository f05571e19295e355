import { BirdManager, type BirdOutput } from "../../src/agent/calico/bird/bird-manager.ts";
import type { TimerProfile } from "../../src/agent/calico/bird/bird-timers.ts";
import { formatIpv4, type Ipv4Addr, ipv4, parseIpv4, prefix } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { SEC_US } from "../../src/base/time.ts";
import type { CalicoVersion } from "../../src/control/calico/calc/desired-peer.ts";
import type { CalicoUpdate } from "../../src/control/calico/calico-updates.ts";
import type { CalicoKind, ResourceOf } from "../../src/control/calico/resources.ts";
import { BgpCluster, SimSpeaker } from "./bgp-cluster.ts";

/** `all()`, `has(key)`, `key == 'value'`, `! has(key)`: as much of Calico's selectors as these tests need. */
export function simpleSelector(selector: string, labels: Readonly<Record<string, string>>): boolean {
  if (selector === "all()") return true;
  const not = /^!\s*(.+)$/.exec(selector);
  if (not !== null) return !simpleSelector(not[1] as string, labels);
  const has = /^has\((.+)\)$/.exec(selector);
  if (has !== null) return labels[has[1] as string] !== undefined;
  const equal = /^(\S+) == '(.*)'$/.exec(selector);
  return equal !== null && labels[equal[1] as string] === equal[2];
}

export function resource<K extends CalicoKind>(
  kind: K,
  name: string,
  spec: ResourceOf<K>["spec"] | undefined,
  labels: Readonly<Record<string, string>> = {},
): CalicoUpdate {
  const value = spec && { kind, apiVersion: "projectcalico.org/v3", metadata: { name, labels }, spec };
  return { t: "resource", kind, name, value: value as ResourceOf<K> | undefined, modRevision: 1 };
}

export function calicoNode(
  name: string,
  bgp: ResourceOf<"Node">["spec"]["bgp"] | undefined,
  labels: Readonly<Record<string, string>> = {},
): CalicoUpdate {
  return resource("Node", name, bgp === undefined ? undefined : { bgp }, labels);
}

export function affinity(
  cidr: string,
  value: "confirmed" | "pending" | "pendingDeletion" | undefined,
): CalicoUpdate {
  return { t: "affinity", cidr: prefix(cidr), value };
}

export const IN_SYNC: CalicoUpdate = { t: "inSync" };

export interface BirdNodeOptions {
  readonly timers?: TimerProfile;
  readonly version?: CalicoVersion;
  readonly restarting?: boolean;
}

/** A node: what its kernel holds of `proto bird`, as `ip route` would show it. */
export class BirdNode {
  readonly name: string;
  readonly manager: BirdManager;
  readonly sim: SimSpeaker;
  readonly kernel: Map<string, string>;
  readonly logs: string[] = [];
  /** Routes that were in the kernel and came back, and after how many seconds. */
  readonly gaps: { readonly dst: string; readonly sec: number }[] = [];
  /** Those that are away, and since when. */
  readonly lost = new Map<string, number>();
  readonly #world: BirdWorld;
  #started = false;

  constructor(
    world: BirdWorld,
    name: string,
    addr: Ipv4Addr,
    kernel: Map<string, string>,
    options: BirdNodeOptions,
  ) {
    this.#world = world;
    this.name = name;
    this.kernel = kernel;
    let manager: BirdManager | undefined;
    this.sim = new SimSpeaker(
      addr,
      (ids) => {
        manager = new BirdManager({
          node: name,
          underlay: addr,
          timers: options.timers ?? "calico",
          version: options.version ?? "3.32",
          rng: new SeededRng(addr),
          ids,
          restarting: options.restarting ?? false,
          matches: simpleSelector,
        });
        return manager.speaker;
      },
      (output) => {
        this.manager.onSpeakerOutput(output, world.cluster.now);
        this.#drain();
      },
    );
    this.manager = manager as unknown as BirdManager;
  }

  update(...updates: readonly CalicoUpdate[]): void {
    for (const update of updates) this.manager.onUpdate(update);
    this.manager.completeDeferredWork(this.#world.cluster.now);
    this.#drain();
    this.#world.cluster.drain(this.sim);
  }

  /** A route to a pod is in the kernel, or is no more. */
  learn(addr: Ipv4Addr, there: boolean): void {
    this.manager.learn(addr, there);
    this.update();
  }

  #drain(): void {
    for (let output = this.manager.poll(); output !== undefined; output = this.manager.poll()) {
      this.#perform(output);
    }
  }

  #perform(output: BirdOutput): void {
    const { cluster } = this.#world;
    switch (output.t) {
      case "listen":
        if (this.#started) return;
        this.#started = true;
        cluster.adopt(this.sim);
        cluster.give(this.sim, { t: "start" });
        return;
      case "route":
        this.#route(output.change);
        return;
      case "sweep": {
        const wanted = new Set(this.manager.routes.map(({ dst }) => dstText(dst)));
        for (const dst of [...this.kernel.keys()]) if (!wanted.has(dst)) this.#lose(dst);
        return;
      }
      case "log":
        this.logs.push(output.message);
        return;
      case "status":
    }
  }

  #route(change: Extract<BirdOutput, { t: "route" }>["change"]): void {
    if (change.t === "del") {
      this.#lose(dstText(change.dst));
      return;
    }
    const { dst, type, nextHops } = change.route;
    const hops = nextHops.map(
      ({ via, dev, onlink }) => `via ${formatIpv4(via)} dev ${dev}${onlink ? " onlink" : ""}`,
    );
    const text = type === "blackhole" ? "blackhole" : hops.join(" ");
    const key = dstText(dst);
    this.kernel.set(key, text);
    const since = this.lost.get(key);
    if (since === undefined) return;
    this.lost.delete(key);
    this.gaps.push({ dst: key, sec: (this.#world.cluster.now - since) / SEC_US });
  }

  #lose(dst: string): void {
    this.kernel.delete(dst);
    this.lost.set(dst, this.#world.cluster.now);
  }
}

function dstText({ addr, len }: { readonly addr: number; readonly len: number }): string {
  return `${formatIpv4(addr)}/${len}`;
}

/** A store that everybody hears at once, and nodes that speak BGP with each other on a virtual clock. */
export class BirdWorld {
  readonly cluster: BgpCluster;
  readonly nodes = new Map<string, BirdNode>();
  /** What stands in the store, by kind and name. */
  readonly #store = new Map<string, CalicoUpdate>();

  constructor(seed: number) {
    this.cluster = new BgpCluster(seed);
  }

  /** Writes to the store. */
  apply(...updates: readonly CalicoUpdate[]): void {
    for (const update of updates) {
      if (update.t !== "resource") continue;
      this.#store.set(`${update.kind}/${update.name}`, update);
    }
    for (const node of this.nodes.values()) node.update(...updates);
  }

  /** Starts a node with what the store has, its own blocks, and the kernel that an earlier life left. */
  start(name: string, addr: string, blocks: readonly string[], options: BirdNodeOptions = {}): BirdNode {
    const kernel = this.nodes.get(name)?.kernel ?? new Map<string, string>();
    const node = new BirdNode(this, name, parseIpv4(addr) ?? ipv4(addr), kernel, options);
    this.nodes.set(name, node);
    node.update(
      ...[...this.#store.values()].filter((one) => one.t === "resource" && one.value !== undefined),
      ...blocks.map((block) => affinity(block, "confirmed")),
      IN_SYNC,
    );
    return node;
  }

  /** A pulled cable: nothing comes of the node any more, and nobody is told. */
  silence(name: string): void {
    const { sim } = this.node(name);
    for (const { connection } of sim.conns.values()) connection.cut = true;
    sim.dead = true;
    this.cluster.nodes.delete(sim.addr);
  }

  node(name: string): BirdNode {
    return this.nodes.get(name) as BirdNode;
  }
}
