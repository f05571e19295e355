// A router: a NIC in each of several segments, no pods, and a BGP speaker whose routes become the kernel's. A gateway, a top-of-rack
// switch; or, with a store to watch, the component that tells such ones which node has which block.
import { formatPrefix, type Ipv4Addr, type Prefix } from "../../base/ipv4-addr.ts";
import { err, type Result } from "../../base/result.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import type { SyncerOutput } from "../../control/calico/calico-updates.ts";
import type { StoreEvent } from "../../control/datastore/messages.ts";
import type { StoreStatus } from "../../control/datastore/reflector.ts";
import type { InspectNoun, InspectRows } from "../../control/inspect.ts";
import { ConnIds } from "../../routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import type {
  NeighborConfig,
  NetworkConfig,
  RangeConfig,
  SpeakerConfig,
} from "../../routing/bgp/speaker/speaker-config.ts";
import type { RouteChange, SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import type { Netns } from "../../stack/netns.ts";
import type { DatagramReceiver, Underlay } from "../../tunnel/underlay.ts";
import type { Uplink } from "../../tunnel/uplink.ts";
import { Family } from "../../wire/bgp/family.ts";
import type { AgentState, NodeAgentDeps, PodSpec } from "../agent-messages.ts";
import { bgpTotals } from "../bgp-totals.ts";
import { inspectLinks, inspectNeigh, inspectNode, inspectRoutes } from "../inspect.ts";
import { BIRD_SCAN_US, KernelWatch } from "../kernel-watch.ts";
import { type AgentBgp, CABLE_PORT, type Nic, NodeAgent } from "../node-agent.ts";
import { RouteTable } from "../route-table.ts";
import { BlockAnnouncer } from "./block-announcer.ts";

/** What its speaker is. */
export interface RouterBgp {
  readonly speaker: SpeakerConfig;
  /** Undefined: nobody may call. */
  readonly port: number | undefined;
  readonly neighbors: readonly NeighborConfig[];
  readonly ranges: readonly RangeConfig[];
  readonly networks: readonly NetworkConfig[];
}

export interface RouterConfig {
  readonly name: string;
  /** One at least. */
  readonly nics: readonly Nic[];
  readonly underlayMtuBytes: number;
  readonly bgp: RouterBgp | undefined;
  /** Watches the store; what it finds is announced. Undefined: this is a router alone. */
  readonly syncer: Syncer | undefined;
}

/** What keeps a copy of Calico's part of the store: {@link CalicoSyncer}. */
export interface Syncer {
  start(now: Instant): void;
  /** False: the event is not its. */
  handle(event: StoreEvent, now: Instant): boolean;
  poll(): SyncerOutput | undefined;
  tick(now: Instant): void;
  nextDeadline(): Instant;
  stop(): void;
}

export class RouterAgent extends NodeAgent {
  readonly #config: RouterConfig;
  readonly #bgp: AgentBgp | undefined;
  readonly #routes: RouteTable;
  /** BIRD's looks at the table. */
  readonly #scan: KernelWatch;
  readonly #announcer: BlockAnnouncer | undefined;
  readonly #cables = new Set<Ipv4Addr>();
  /** Routes of which some next hop is on no link of ours, by destination. */
  readonly #unresolved = new Map<string, { readonly dst: Prefix; readonly hops: readonly Ipv4Addr[] }>();
  #store: StoreStatus = "Synced";
  /** Complaints of routes that were said already, so that a route that stays impossible is told of once. */
  #complaints = "";

  constructor(config: RouterConfig, deps: NodeAgentDeps) {
    const { name, nics, underlayMtuBytes, bgp } = config;
    const [{ addr, segment }, ...others] = nics as readonly [Nic, ...Nic[]];
    super({ name, underlay: addr, segment, underlayMtuBytes, files: new Map() }, deps, others);
    this.#config = config;
    this.#routes = new RouteTable({ host: this.host, owns: ({ proto }) => proto === "bird" });
    this.#scan = new KernelWatch(BIRD_SCAN_US, () => this.host.fib.version + this.host.linkVersion);
    if (bgp === undefined) return;
    const ids = new ConnIds();
    const speaker = new BgpSpeaker(bgp.speaker, { rng: deps.rng, ids, routes: true });
    this.#bgp = {
      speaker,
      ids,
      addresses: bgp.port === undefined ? [] : nics.map((nic) => nic.addr),
      ranges: bgp.ranges.map(({ prefix }) => prefix),
    };
    if (config.syncer !== undefined) this.#announcer = new BlockAnnouncer(speaker);
  }

  override get bgp(): AgentBgp | undefined {
    return this.#bgp;
  }

  override start(now: Instant): void {
    super.start(now);
    for (const { addr } of this.nics) this.emit({ t: "listen", local: addr, port: CABLE_PORT });
    const { bgp, syncer } = this.#config;
    if (bgp !== undefined) this.#startBgp(bgp, now);
    if (syncer !== undefined) {
      this.#store = "Syncing";
      syncer.start(now);
      this.#drainSyncer(now);
    }
    this.emitState();
  }

  override handle(event: StoreEvent, now: Instant): void {
    if (this.exited || this.#config.syncer?.handle(event, now) !== true) return;
    this.#drainSyncer(now);
  }

  override run(now: Instant, budget: number): boolean {
    if (this.exited) return false;
    const { syncer } = this.#config;
    if (this.#scan.due(now)) {
      const { restored, removed } = this.#routes.resync(now);
      if (restored + removed > 0) {
        this.log("warn", "routes", `kernel scan: ${restored} restored, ${removed} foreign ones removed`);
      }
      this.#scan.disregard();
    }
    if (syncer !== undefined && syncer.nextDeadline() <= now) {
      syncer.tick(now);
      this.#drainSyncer(now);
    }
    return this.stack.run(now, budget);
  }

  override nextDeadline(): Instant {
    if (this.exited) return NEVER;
    const syncerAt = this.#config.syncer?.nextDeadline() ?? NEVER;
    return Math.min(syncerAt, this.#scan.nextDeadline(), this.stack.nextDeadline());
  }

  override portOpened(_port: number, underlay: Underlay, _now: Instant): DatagramReceiver {
    const i = this.nics.findIndex(({ addr }) => addr === underlay.local);
    const nic = this.nics[i] as Nic;
    const receiver = this.plugCable(this.uplinks[i] as Uplink, nic.segment, underlay);
    this.#cables.add(nic.addr);
    if (this.#cables.size === this.nics.length) this.setPhase("ready", undefined);
    return receiver;
  }

  override portFailed(port: number, message: string): void {
    this.exit(5, `cannot listen on UDP port ${port}: ${message}`);
  }

  override bgpFailed(message: string): void {
    this.exit(5, message);
  }

  override onSpeakerOutput(output: SpeakerOutput, now: Instant): void {
    if (output.t === "route") {
      this.#onRoute(output.change);
      this.#program(now);
    } else if (output.t === "log") this.log(output.level, output.event, output.message);
    else if (output.t === "trace" && output.trace.t === "state") {
      const { from, to } = output.trace;
      this.log("info", "bgp", `${output.neighbor}: ${from} -> ${to}`);
      this.emitState();
      // A next hop that could not be resolved may have become one that can.
      for (const [key, { dst, hops }] of [...this.#unresolved]) {
        this.#unresolved.delete(key);
        this.#install(dst, hops);
      }
      this.#program(now);
    }
  }

  override stop(_revoke: boolean, _now: Instant): void {
    if (this.exited) return;
    this.#config.syncer?.stop();
    this.emit({ t: "bgpStop", silent: false });
    this.exit(0, "stopped");
  }

  override readonly takesPods = false;

  override podAdd(request: number, _spec: PodSpec, _now: Instant): void {
    this.emit({ t: "podDone", request, result: err(`${this.#config.name} is a router: it has no pods`) });
  }

  override podDel(request: number, name: string, _now: Instant): void {
    this.emit({ t: "podDone", request, result: err(`no pod "${name}" on router "${this.#config.name}"`) });
  }

  override netnsOf(pod: string): Netns | undefined {
    return pod === "" ? this.host : undefined;
  }

  override subnetsBehind(remote: Ipv4Addr): readonly string[] {
    return [...this.#routes.dump()].flatMap(({ nextHops, dst }) =>
      nextHops?.some(({ via }) => via === remote) === true ? [formatPrefix(dst)] : [],
    );
  }

  override state(): AgentState {
    return {
      name: this.#config.name,
      phase: this.phase,
      leases: [...this.#routes.dump()].map(({ dst }) => formatPrefix(dst)).sort(),
      ignored: [],
      store: this.#store,
      pods: [],
      ...(this.reason === undefined ? {} : { reason: this.reason }),
    };
  }

  override inspect<N extends InspectNoun>(noun: N, now: Instant): readonly InspectRows[N][] {
    const { name } = this.#config;
    const speaker = this.#bgp?.speaker;
    const bgp = speaker === undefined ? undefined : bgpTotals(speaker);
    const readers: { readonly [K in InspectNoun]: () => readonly InspectRows[K][] } = {
      nodes: () => [
        inspectNode(this.state(), {
          underlay: (this.nics[0] as Nic).addr,
          backend: this.#announcer === undefined ? "router" : "announcer",
          device: this.uplink,
          ...(speaker === undefined || bgp === undefined ? {} : { asNumber: speaker.config.localAs, bgp }),
          peers: bgp?.established ?? 0,
          routes: this.host.fib.dump("main").length,
          drops: this.stack.drops,
          ageUs: now - this.startedAt,
        }),
      ],
      pods: () => [],
      leases: () => [],
      routes: () => inspectRoutes(name, this.stack),
      neigh: () => inspectNeigh(name, this.stack),
      fdb: () => [],
      links: () => inspectLinks(name, this.stack),
    };
    return readers[noun]();
  }

  #startBgp({ neighbors, ranges, networks, port }: RouterBgp, now: Instant): void {
    const { speaker } = this.#bgp as AgentBgp;
    for (const range of ranges) this.#insist(speaker.addRange(range));
    for (const neighbor of neighbors) this.#insist(speaker.addNeighbor(neighbor, now));
    for (const network of networks) speaker.originate(network, now);
    this.emit({ t: "bgpStart", port: port ?? 0 });
  }

  /** What the file says has been checked; what is refused all the same ends the router, with the reason. */
  #insist(done: Result<void, string>): void {
    if (!done.ok) this.exit(2, done.error);
  }

  #onRoute({ prefix, nextHops, local }: RouteChange): void {
    if (prefix.family !== Family.IPV4_UNICAST) return;
    const dst: Prefix = { addr: prefix.a, len: prefix.len };
    const hops = local ? [] : nextHops.filter((hop) => typeof hop === "number");
    this.#unresolved.delete(formatPrefix(dst));
    if (hops.length === 0) this.#routes.del({ dst });
    else this.#install(dst, hops);
  }

  /**
   * By all next hops that are on a link of ours, in the order of their addresses, as BIRD merges them. Without any the kernel is
   * asked all the same, so that it says why not.
   */
  #install(dst: Prefix, hops: readonly Ipv4Addr[]): void {
    const near = hops.filter((hop) => this.host.fib.lookupScope(hop, "link")?.type === "unicast");
    if (near.length < hops.length) this.#unresolved.set(formatPrefix(dst), { dst, hops });
    const chosen = near.length === 0 ? hops.slice(0, 1) : near;
    const nextHops = [...chosen].sort((x, y) => x - y).map((via) => ({ via }));
    this.#routes.replace({ dst, nextHops, proto: "bird" });
  }

  #program(now: Instant): void {
    this.#scan.observe(now);
    const complaints = this.#routes.apply(now).join("; ");
    if (complaints !== this.#complaints && complaints !== "") this.log("warn", "routes", complaints);
    this.#complaints = complaints;
    this.#scan.disregard();
    this.emitState();
  }

  #drainSyncer(now: Instant): void {
    const syncer = this.#config.syncer as Syncer;
    for (let output = syncer.poll(); output !== undefined; output = syncer.poll()) {
      if (output.t === "op") this.emit(output);
      else if (output.t === "log") this.log(output.level, "store", output.message);
      else if (output.t === "status") {
        this.#store = output.status;
        this.emitState();
      } else this.#announcer?.onUpdate(output);
    }
    this.#announcer?.completeDeferredWork(now);
    this.emit({ t: "bgpTurn" });
  }
}
