// A Calico node: what calico-node and its CNI plugin do, in one engine. The store's updates go to Felix and to BIRD; tunnel addresses,
// the node's own resource and pods are seen to; what all of them ask for goes out by poll. Specs on Calico §1 to §3.
import { formatIpv4, formatPrefix, type Ipv4Addr, prefix } from "../../base/ipv4-addr.ts";
import { formatMac } from "../../base/mac-addr.ts";
import { err } from "../../base/result.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import type { IpamBlock } from "../../control/calico/ipam/ipam-block.ts";
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import type { NodeResource } from "../../control/calico/resources.ts";
import type { Labels } from "../../control/calico/selector.ts";
import type { StoreEvent } from "../../control/datastore/messages.ts";
import type { InspectNoun, InspectRows } from "../../control/inspect.ts";
import { ConnIds } from "../../routing/bgp/session/peer-messages.ts";
import type { SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import type { Netns } from "../../stack/netns.ts";
import { FOU_PORT, Fou } from "../../tunnel/fou.ts";
import type { IpipCarrier, IpipReceiver } from "../../tunnel/ipip-carrier.ts";
import type { DatagramReceiver, Underlay } from "../../tunnel/underlay.ts";
import type { AgentState, NodeAgentDeps, PodSpec } from "../agent-messages.ts";
import { type AgentBgp, CABLE_PORT, NodeAgent, type NodeBasics } from "../node-agent.ts";
import { BirdManager } from "./bird/bird-manager.ts";
import type { NodeStatusRow } from "./bird/node-status.ts";
import type { NextHopWay } from "./bird/route-exporter.ts";
import { Bootstrap } from "./bootstrap.ts";
import { inspectCalico } from "./calico-inspect.ts";
import { CalicoStore, type CalicoStoreOutput } from "./calico-store.ts";
import { CniBridge, type CniEffect } from "./cni-bridge.ts";
import { CniPlugin } from "./cni-plugin.ts";
import { type CalicoVersion, Felix } from "./felix/felix.ts";
import { attributeAt, type TunnelKind } from "./felix/tunnel-addresses.ts";
import { chooses, ipamPools } from "./ipam-pools.ts";
import { OwnNodeWriter } from "./own-node-writer.ts";
import { TunnelHolder } from "./tunnel-holder.ts";

/** What CentOS puts on each interface; the pods' gateway lies in it, and so the node answers for that. */
const ZEROCONF = prefix("169.254.0.0/16");
const ZEROCONF_METRIC = 1000;
const DEFAULT_ROUTE = prefix("0.0.0.0/0");
/** Says that this node was here before: BIRD then begins with a graceful restart. */
const BEEN_HERE = "var/lib/calico/nodename";

/** How IPIP leaves the node. `auto`: as protocol 4 where the process may, and in UDP. */
export type IpipChoice = "auto" | "proto4" | "fou";

export interface CalicoAgentConfig extends NodeBasics {
  readonly version: CalicoVersion;
  readonly timers: "calico" | "fast";
  readonly ipipCarrier: IpipChoice;
  /** Where the default route leads; undefined: there is none. */
  readonly gateway: Ipv4Addr | undefined;
}

export interface CalicoAgentDeps extends NodeAgentDeps {
  /** Milliseconds since 1970. */
  readonly wallMs: (now: Instant) => number;
}

export class CalicoAgent extends NodeAgent {
  readonly #agentBgp: AgentBgp;
  readonly #config: CalicoAgentConfig;
  readonly #store: CalicoStore;
  readonly #felix: Felix;
  readonly #bird: BirdManager;
  readonly #cni: CniPlugin;
  readonly #ownNode: OwnNodeWriter;
  readonly #tunnels: readonly TunnelHolder[];
  readonly #blocks = new Map<string, IpamBlock>();
  /** Labels of all nodes, which selectors of pools ask about. */
  readonly #labels = new Map<string, Labels>();
  readonly #cniBridge: CniBridge;
  readonly #bootstrap: Bootstrap;
  #bgpPort: number | undefined;
  /** Is it known whether the process may send IP protocol 4, and is FOU's port open? */
  #rawAnswered = false;
  #fouOpen = false;
  #toldReachable = -1;
  /** The store has said something that has not been acted on: events that come together are acted on together. */
  #heard = false;

  constructor(config: CalicoAgentConfig, deps: CalicoAgentDeps) {
    super(config, deps);
    this.#config = config;
    const { name, version } = config;
    const log = (level: "debug" | "info" | "warn" | "error", message: string): void =>
      this.log(level, "felix", message);
    this.#store = new CalicoStore({
      node: name,
      rng: deps.rng,
      wallMs: deps.wallMs,
      pools: (host, namespace) =>
        ipamPools(
          this.#felix.pools,
          host === undefined ? undefined : (this.#labels.get(host) ?? {}),
          namespace,
        ),
    });
    this.#felix = new Felix({
      node: name,
      version,
      stack: this.stack,
      host: this.host,
      uplink: this.uplink,
      underlay: config.underlay,
      underlayMtuBytes: config.underlayMtuBytes,
      log,
      podRoute: (addr, there) => this.#bird.learn(addr, there),
      listen: (port) => this.emit({ t: "listen", local: config.underlay, port }),
      unlisten: (port) => this.emit({ t: "unlisten", local: config.underlay, port }),
    });
    const ids = new ConnIds();
    this.#bird = new BirdManager({
      node: name,
      underlay: config.underlay,
      timers: config.timers,
      version,
      rng: deps.rng,
      ids,
      restarting: config.files.has(BEEN_HERE),
      matches: chooses,
      wayTo: (addr) => this.#wayTo(addr),
    });
    this.#agentBgp = { speaker: this.#bird.speaker, ids, addresses: [config.underlay], ranges: [] };
    this.#cni = new CniPlugin({
      node: name,
      rng: deps.rng,
      endpoints: this.#felix.endpoints,
      files: config.files,
      podMtuBytes: () => this.#felix.mtus.podBytes,
      holds: (addr, handle) => attributeAt(this.#blocks.values(), addr)?.handleId === handle,
      wallMs: deps.wallMs,
    });
    const submit = (request: ResourceRequest, now: Instant): number => this.#store.submit(request, now);
    const request = (asked: IpamRequest, now: Instant): number => this.#store.request(asked, now);
    this.#cniBridge = new CniBridge(this.#cni, { request, submit });
    this.#ownNode = new OwnNodeWriter({ submit, log });
    this.#bootstrap = new Bootstrap({ rng: deps.rng, submit, log });
    this.#tunnels = (["ipip", "vxlan"] as const).map((kind) => this.#tunnelHolder(kind, log));
  }

  override get bgp(): AgentBgp {
    return this.#agentBgp;
  }

  override start(now: Instant): void {
    super.start(now);
    this.emit({ t: "putFile", path: BEEN_HERE, text: `${this.#config.name}\n` });
    const { underlay, ipipCarrier, gateway } = this.#config;
    const { host, uplink } = this;
    host.addRoute(
      { dst: ZEROCONF, dev: uplink, scope: "link", metric: ZEROCONF_METRIC + uplink.ifindex },
      now,
    );
    if (gateway !== undefined) {
      const added = host.addRoute({ dst: DEFAULT_ROUTE, via: gateway, dev: uplink }, now);
      if (!added.ok)
        this.log("error", "gateway", `no default route by ${formatIpv4(gateway)}: ${added.error}`);
    }
    this.emit({ t: "listen", local: underlay, port: CABLE_PORT });
    if (ipipCarrier !== "proto4") this.emit({ t: "listen", local: underlay, port: FOU_PORT });
    if (ipipCarrier !== "fou") this.emit({ t: "openRawIp" });
    this.#cni.restore(now);
    this.#store.start(now);
    this.#advance(now);
    this.emitState();
  }

  override handle(event: StoreEvent, now: Instant): void {
    if (this.exited) return;
    this.#store.handle(event, now);
    this.#heard = true;
  }

  override run(now: Instant, budget: number): boolean {
    if (this.exited) return false;
    const due = this.#deadline() <= now;
    if (due) {
      this.#store.tick(now);
      this.#felix.tick(now);
      this.#cni.tick(now);
    }
    if (due || this.#heard) this.#advance(now);
    return this.stack.run(now, budget);
  }

  override nextDeadline(): Instant {
    if (this.exited) return NEVER;
    return this.#heard ? 0 : Math.min(this.#deadline(), this.stack.nextDeadline());
  }

  override portOpened(port: number, underlay: Underlay, now: Instant): DatagramReceiver {
    if (port === CABLE_PORT) {
      return this.plugCable(this.uplink, this.#config.segment, underlay);
    }
    if (port === FOU_PORT) {
      const fou = new Fou(this.stack, underlay, this.#felix.ipip);
      this.#fouOpen = true;
      this.#ipipOpened(fou, now);
      return fou;
    }
    const receiver = this.#felix.vxlanOpened(underlay, now);
    this.#advance(now);
    return receiver;
  }

  override portFailed(port: number, message: string): void {
    this.exit(5, `cannot listen on UDP port ${port}: ${message}`);
  }

  override rawIpOpened(carrier: IpipCarrier, now: Instant): IpipReceiver {
    this.#rawAnswered = true;
    this.#ipipOpened(carrier, now);
    return this.#felix.ipip;
  }

  override rawIpFailed(message: string, now: Instant): void {
    this.#rawAnswered = true;
    if (this.#config.ipipCarrier === "proto4") this.exit(5, message);
    else {
      this.log("info", "ipip", `IPIP goes in UDP (FOU, port ${FOU_PORT}): ${message}`);
      this.#settleIpip();
      this.#advance(now);
    }
  }

  override bgpFailed(message: string): void {
    this.exit(5, message);
  }

  override onSpeakerOutput(output: SpeakerOutput, now: Instant): void {
    if (this.exited) return;
    this.#bird.onSpeakerOutput(output, now);
    this.#advance(now);
  }

  override stop(_revoke: boolean, _now: Instant): void {
    if (this.exited) return;
    this.setPhase("stopping", undefined);
    this.#store.stop();
    this.#drainStore(0);
    this.emit({ t: "bgpStop", silent: false });
    this.exit(0, "stopped");
  }

  /** Not before the MTU of pods is known, which depends on the pools. */
  override get takesPods(): boolean {
    if (this.#ownNode.deleted) return false;
    return (
      this.phase === "ready" || (this.#store.isInSync && this.#tunnels.every(({ isSettled }) => isSettled))
    );
  }

  override podAdd(request: number, spec: PodSpec, now: Instant): void {
    if (this.#ownNode.deleted) {
      const reason = this.#deletedText();
      this.emit({ t: "podDone", request, result: err(`pod "${spec.name}" cannot be attached: ${reason}`) });
      return;
    }
    this.#cni.add(request, spec, now);
    this.#advance(now);
  }

  override podDel(request: number, name: string, now: Instant): void {
    this.#cni.del(request, name, now);
    this.#advance(now);
  }

  override netnsOf(pod: string): Netns | undefined {
    return pod === "" ? this.host : this.#felix.endpoints.netns(pod);
  }

  override subnetsBehind(remote: Ipv4Addr): readonly string[] {
    return this.#felix.blocksBehind(remote).map(formatPrefix);
  }

  /** The rows of `calicoctl node status`. */
  nodeStatus(now: Instant): readonly NodeStatusRow[] {
    return this.#bird.status(now);
  }

  override state(): AgentState {
    const [first] = this.#felix.localBlocks();
    const vtep = this.#felix.vtep;
    return {
      name: this.#config.name,
      phase: this.phase,
      ...(first === undefined ? {} : { subnet: formatPrefix(first) }),
      ...(vtep === undefined ? {} : { vtepMac: formatMac(vtep.mac) }),
      leases: this.#felix.reachableBlocks(),
      ignored: [],
      store: this.#store.status,
      pods: this.#felix.endpoints.names(),
      ...(this.reason === undefined ? {} : { reason: this.reason }),
    };
  }

  override inspect<N extends InspectNoun>(noun: N, now: Instant): readonly InspectRows[N][] {
    return inspectCalico(noun, {
      name: this.#config.name,
      underlay: this.#config.underlay,
      stack: this.stack,
      host: this.host,
      felix: this.#felix,
      speaker: this.#bird.speaker,
      state: this.state(),
      ageUs: now - this.startedAt,
      now,
    });
  }

  #deadline(): Instant {
    let at = Math.min(this.#store.nextDeadline(), this.#felix.nextDeadline(), this.#cni.nextDeadline());
    at = Math.min(at, this.#ownNode.nextDeadline(), this.#bootstrap.nextDeadline());
    // Nobody tends them once the node is deleted.
    if (this.#ownNode.deleted) return at;
    for (const tunnel of this.#tunnels) at = Math.min(at, tunnel.nextDeadline());
    return at;
  }

  /** Takes in what the store has said, then does what it comes to, until nobody has anything more to ask. */
  #advance(now: Instant): void {
    this.#heard = false;
    this.#drainStore(now);
    if (this.#store.isInSync && !this.exited) {
      this.#bootstrap.work(now);
      // A node that was taken out of the cluster asks for nothing any more.
      if (!this.#ownNode.deleted) this.#cni.confirm(now);
      if (this.#bootstrap.isDone && !this.#ownNode.deleted)
        for (const tunnel of this.#tunnels) tunnel.work(now);
      this.#tellOwnNode(now);
      this.#felix.completeDeferredWork(now);
    }
    // Before BIRD's turn, which tells the others of pods.
    this.#drainCni(now);
    if (this.#store.isInSync && !this.exited) {
      this.#bird.completeDeferredWork(now);
      this.#drainBird(now);
      this.#felix.completeDeferredWork(now);
      this.emit({ t: "bgpTurn" });
    }
    // What was asked just now goes out in the same turn.
    this.#drainStore(now);
    this.#updatePhase(now);
  }

  #drainStore(now: Instant): void {
    for (let output = this.#store.poll(); output !== undefined; output = this.#store.poll()) {
      this.#onStore(output, now);
    }
  }

  #onStore(output: CalicoStoreOutput, now: Instant): void {
    switch (output.t) {
      case "op":
        this.emit(output);
        return;
      case "log":
        this.log(output.level, "store", output.message);
        return;
      case "status":
        this.emitState();
        return;
      case "ipamDone":
        this.#onIpam(output.request, output.answer, now);
        return;
      case "resourceDone":
        this.#onWritten(output.request, output.outcome, now);
        return;
      default:
        this.#onUpdate(output);
    }
  }

  #onUpdate(update: CalicoUpdate): void {
    if (update.t === "block") {
      const key = formatPrefix(update.cidr);
      if (update.value === undefined) this.#blocks.delete(key);
      else this.#blocks.set(key, update.value);
    } else if (update.t === "resource") this.#onResource(update);
    this.#felix.onUpdate(update);
    this.#bird.onUpdate(update);
    this.#bootstrap.onUpdate(update);
  }

  #onResource({ kind, name, value }: CalicoUpdate & { readonly t: "resource" }): void {
    if (kind !== "Node") return;
    if (value === undefined) this.#labels.delete(name);
    else this.#labels.set(name, value.metadata.labels ?? {});
    if (name !== this.#config.name) return;
    const node = value as NodeResource | undefined;
    if (this.#ownNode.current === undefined && node !== undefined) {
      for (const tunnel of this.#tunnels) {
        tunnel.recall(
          tunnel.kind === "ipip" ? node.spec.bgp?.ipv4IPIPTunnelAddr : node.spec.ipv4VXLANTunnelAddr,
        );
      }
    }
    this.#ownNode.onUpdate(node);
  }

  #onIpam(request: number, answer: IpamAnswer, now: Instant): void {
    if (this.#cniBridge.onIpam(request, answer, now)) return;
    for (const tunnel of this.#tunnels) if (tunnel.onIpam(request, answer, now)) return;
  }

  #onWritten(request: number, outcome: ResourceOutcome, now: Instant): void {
    if (this.#cniBridge.onWritten(request, outcome, now)) return;
    if (!this.#ownNode.onDone(request, outcome, now)) this.#bootstrap.onDone(request, outcome, now);
  }

  #drainCni(now: Instant): void {
    for (let output = this.#cniBridge.poll(now); output !== undefined; output = this.#cniBridge.poll(now))
      this.#onCni(output, now);
  }

  #onCni(output: CniEffect, now: Instant): void {
    switch (output.t) {
      case "done":
        this.emit({ ...output, t: "podDone" });
        this.#felix.completeDeferredWork(now);
        this.emitState();
        return;
      case "log":
        this.log(output.level, "cni", output.message);
        return;
      default:
        this.emit(output);
    }
  }

  #drainBird(now: Instant): void {
    for (let output = this.#bird.poll(); output !== undefined; output = this.#bird.poll()) {
      if (output.t === "route") this.#felix.kernelRoute(output.change);
      else if (output.t === "sweep") this.#felix.sweep(now);
      else if (output.t === "log") this.log(output.level, "bird", output.message);
      else if (output.t === "status") this.emitState();
      else this.#listenBgp(output.port);
    }
  }

  #listenBgp(port: number): void {
    // Another port than before: the sessions begin anew there.
    if (this.#bgpPort !== undefined) this.emit({ t: "bgpStop", silent: true });
    this.#bgpPort = port;
    this.emit({ t: "bgpStart", port });
  }

  #tellOwnNode(now: Instant): void {
    const { name, underlay, segment, ipipCarrier } = this.#config;
    const [ipip, vxlan] = this.#tunnels as readonly [TunnelHolder, TunnelHolder];
    const ways = this.#felix.ipip.ways();
    this.#ownNode.setFacts({
      name,
      addr: underlay,
      len: segment.len,
      ipipTunnelAddr: ipip.addr,
      vxlanTunnelAddr: vxlan.addr,
      // Before the sockets are open nobody knows.
      ipipCarriers: ways.length === 0 || (ipipCarrier === "auto" && !this.#rawAnswered) ? undefined : ways,
    });
    this.#ownNode.work(now);
  }

  /** How the kernel gets to an address, what BIRD has put there aside. */
  #wayTo(addr: Ipv4Addr): readonly NextHopWay[] {
    for (const route of this.host.fib.matching(addr)) {
      if (route.proto === "bird" || route.dev === undefined) continue;
      const paths = route.multipath?.paths ?? [route];
      return paths.flatMap(({ via, dev }) => (dev?.up === true ? { gateway: via, dev: dev.name } : []));
    }
    return [];
  }

  #updatePhase(now: Instant): void {
    if (this.exited || this.phase === "stopping") return;
    const waits = this.#notReady(now);
    if (waits === undefined) this.setPhase("ready", undefined);
    else this.setPhase("acquiring", waits);
    const reachable = this.#felix.reachableVersion;
    if (reachable === this.#toldReachable) return;
    this.#toldReachable = reachable;
    this.emitState();
  }

  #notReady(now: Instant): string | undefined {
    if (!this.#store.isInSync) return "the store has not been read yet";
    if (this.#ownNode.deleted) return this.#deletedText();
    if (!this.#bootstrap.datastoreReady) return "the datastore is not ready (ClusterInformation says so)";
    if (!this.#ownNode.isTold || this.#tunnels.some(({ isSettled }) => !isSettled))
      return "the node is not registered yet";
    return this.#bird.isReady(now);
  }

  #deletedText(): string {
    return `Node ${this.#config.name} was deleted from the store; start the node again to have it back`;
  }

  #ipipOpened(carrier: IpipCarrier, now: Instant): void {
    this.#felix.ipipOpened(carrier);
    this.#settleIpip();
    this.#advance(now);
  }

  #settleIpip(): void {
    const { ipipCarrier } = this.#config;
    if ((ipipCarrier === "proto4" || this.#fouOpen) && (ipipCarrier === "fou" || this.#rawAnswered))
      this.#felix.ipip.settle();
  }

  #tunnelHolder(
    kind: TunnelKind,
    log: (level: "debug" | "info" | "warn", message: string) => void,
  ): TunnelHolder {
    return new TunnelHolder({
      kind,
      node: this.#config.name,
      pools: () => {
        const labels = this.#labels.get(this.#config.name) ?? {};
        return [...this.#felix.pools.values()].filter(({ nodeSelector }) => chooses(nodeSelector, labels));
      },
      blocks: () => this.#blocks.values(),
      request: (request, now) => this.#store.request(request, now),
      log,
      settled: (addr, now) => {
        if (kind === "ipip") this.#felix.setIpipTunnel(addr, now);
        else this.#felix.setVxlanTunnel(addr, now);
      },
    });
  }
}
