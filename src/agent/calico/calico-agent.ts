// A Calico node: what calico-node and its CNI plugin do, in one engine. The store's updates go to Felix and to BIRD; tunnel addresses,
// the node's own resource and pods are seen to; what all of them ask for goes out by poll. Specs on Calico §1 to §3.
import { formatIpv4, formatPrefix, type Ipv4Addr, prefix } from "../../base/ipv4-addr.ts";
import { formatMac } from "../../base/mac-addr.ts";
import { err } from "../../base/result.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import type { NodeResource } from "../../control/calico/resources.ts";
import type { StoreEvent } from "../../control/datastore/messages.ts";
import type { InspectNoun, InspectRows } from "../../control/inspect.ts";
import { ConnIds } from "../../routing/bgp/session/peer-messages.ts";
import type { SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import type { Netns } from "../../stack/netns.ts";
import { FOU_PORT } from "../../tunnel/fou.ts";
import type { IpipCarrier, IpipReceiver } from "../../tunnel/ipip-carrier.ts";
import type { OuterErrorReceiver } from "../../tunnel/outer-error.ts";
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
import { chooses, IpamView } from "./ipam-view.ts";
import { type IpipChoice, IpipWays } from "./ipip-ways.ts";
import { OwnNodeWriter } from "./own-node-writer.ts";
import { TunnelHolders } from "./tunnel-holders.ts";

/** What CentOS puts on each interface; the pods' gateway lies in it, and so the node answers for that. */
const ZEROCONF = prefix("169.254.0.0/16");
const ZEROCONF_METRIC = 1000;
const DEFAULT_ROUTE = prefix("0.0.0.0/0");
/** Says that this node was here before: BIRD then begins with a graceful restart. */
const BEEN_HERE = "var/lib/calico/nodename";

/** What the CNI plugin answers, and why. */
const NOT_READY =
  "Calico is currently not ready to process requests: ClusterInformation says datastoreReady: false";

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
  readonly #tunnels: TunnelHolders;
  readonly #ipam = new IpamView(() => this.#felix.pools);
  readonly #cniBridge: CniBridge;
  readonly #bootstrap: Bootstrap;
  readonly #ipipWays: IpipWays;
  #bgpPort: number | undefined;
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
      pools: (host, namespace) => this.#ipam.pools(host, namespace),
      reservations: () => this.#ipam.reservations(),
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
      holds: (addr, handle) => this.#ipam.holds(addr, handle),
      wallMs: deps.wallMs,
    });
    const submit = (request: ResourceRequest, now: Instant): number => this.#store.submit(request, now);
    const request = (asked: IpamRequest, now: Instant): number => this.#store.request(asked, now);
    this.#cniBridge = new CniBridge(this.#cni, { request, submit });
    this.#ownNode = new OwnNodeWriter({ submit, log });
    this.#bootstrap = new Bootstrap({ rng: deps.rng, submit, log });
    this.#ipipWays = new IpipWays({
      choice: config.ipipCarrier,
      underlay: config.underlay,
      ctx: this.stack,
      felix: this.#felix,
      log: (level, message) => this.log(level, "ipip", message),
    });
    this.#tunnels = new TunnelHolders({
      node: name,
      felix: this.#felix,
      pools: () => this.#ipam.poolsOn(name),
      blocks: () => this.#ipam.blocks(),
      request,
      log,
    });
  }

  override get bgp(): AgentBgp {
    return this.#agentBgp;
  }

  override start(now: Instant): void {
    super.start(now);
    this.emit({ t: "putFile", path: BEEN_HERE, text: `${this.#config.name}\n` });
    const { underlay, gateway } = this.#config;
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
    for (const asked of this.#ipipWays.sockets()) this.emit(asked);
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
      const fou = this.#ipipWays.fouOpened(underlay);
      this.#advance(now);
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
    this.#ipipWays.rawOpened(carrier);
    this.#advance(now);
    return this.#felix.ipip;
  }

  override rawIpFailed(message: string, now: Instant): void {
    if (this.#ipipWays.rawFailed(message)) this.#advance(now);
    else this.exit(5, message);
  }

  override rawIcmpOpened(): OuterErrorReceiver {
    return this.#felix.ipip;
  }

  override rawIcmpFailed(message: string): void {
    this.#ipipWays.icmpFailed(message);
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
    if (this.#ownNode.deleted || !this.#felix.datastoreReady) return false;
    return this.phase === "ready" || (this.#store.isInSync && this.#tunnels.isSettled);
  }

  override podAdd(request: number, spec: PodSpec, now: Instant): void {
    if (this.#ownNode.deleted || !this.#felix.datastoreReady) {
      this.#refusePod(request, `pod "${spec.name}" cannot be attached`);
      return;
    }
    this.#cni.add(request, spec, now);
    this.#advance(now);
  }

  override podDel(request: number, name: string, now: Instant): void {
    if (!this.#felix.datastoreReady) {
      this.#refusePod(request, `pod "${name}" cannot be detached`);
      return;
    }
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
    return this.#tendsTunnels ? Math.min(at, this.#tunnels.nextDeadline()) : at;
  }

  get #tendsTunnels(): boolean {
    return this.#bootstrap.isDone && !this.#ownNode.deleted && this.#felix.datastoreReady;
  }

  /** Takes in what the store has said, then does what it comes to, until nobody has anything more to ask. */
  #advance(now: Instant): void {
    this.#heard = false;
    this.#drainStore(now);
    if (this.#store.isInSync && !this.exited) {
      this.#bootstrap.work(now);
      // A node that was taken out of the cluster asks for nothing any more.
      if (!this.#ownNode.deleted) this.#cni.confirm(now);
      if (this.#tendsTunnels) this.#tunnels.work(now);
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
    this.#ipam.onUpdate(update);
    if (update.t === "resource" && update.kind === "Node" && update.name === this.#config.name)
      this.#onOwnNode(update.value as NodeResource | undefined);
    this.#felix.onUpdate(update);
    this.#bird.onUpdate(update);
    this.#bootstrap.onUpdate(update);
  }

  #onOwnNode(node: NodeResource | undefined): void {
    if (this.#ownNode.current === undefined && node !== undefined) this.#tunnels.recall(node.spec);
    this.#ownNode.onUpdate(node);
  }

  #onIpam(request: number, answer: IpamAnswer, now: Instant): void {
    if (this.#cniBridge.onIpam(request, answer, now)) return;
    this.#tunnels.onIpam(request, answer, now);
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
    const { name, underlay, segment } = this.#config;
    this.#ownNode.setFacts({
      name,
      addr: underlay,
      len: segment.len,
      ...this.#tunnels.addrs(),
      ipipCarriers: this.#ipipWays.carriers(),
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
    if (!this.#felix.datastoreReady) return NOT_READY;
    if (!this.#ownNode.isTold || !this.#tunnels.isSettled) return "the node is not registered yet";
    return this.#bird.isReady(now);
  }

  #refusePod(request: number, what: string): void {
    const passing = !this.#ownNode.deleted;
    const reason = passing ? NOT_READY : this.#deletedText();
    this.emit({ t: "podDone", request, result: err(`${what}: ${reason}`), ...(passing ? { passing } : {}) });
  }

  #deletedText(): string {
    return `Node ${this.#config.name} was deleted from the store; start the node again to have it back`;
  }
}
