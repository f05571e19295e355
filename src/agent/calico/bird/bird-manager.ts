// The part of a Calico node that confd and BIRD play: from the store's resources to a running speaker, and from what it chooses to
// routes for the kernel. onUpdate() only takes notes; completeDeferredWork() does what they come to.
//
// The speaker is driven by whoever owns its sockets: call {@link BirdManager.completeDeferredWork} and
// {@link BirdManager.nextHopsChanged} inside BgpDriver.change(), hand every output of the driver to onSpeakerOutput(), and drain poll().
// It is to be started, and called at `port`, when `listen` says so: neighbours are known then, which a restart depends on.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { formatIpv4, type Prefix, parseIpv4, prefixOf } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import { type Instant, SEC_US } from "../../../base/time.ts";
import { BgpPeers, type SelectorMatches } from "../../../control/calico/calc/bgp-peers.ts";
import { BgpPolicies } from "../../../control/calico/calc/bgp-policy.ts";
import { DEFAULT_AS } from "../../../control/calico/calc/bgp-settings.ts";
import type { CalicoVersion } from "../../../control/calico/calc/desired-peer.ts";
import { NORMAL_LOCAL_PREF } from "../../../control/calico/calc/route-priority.ts";
import type { CalicoUpdate } from "../../../control/calico/calico-updates.ts";
import { type LogOutput, logOutput } from "../../../control/log.ts";
import { DEFAULT_DECISION } from "../../../routing/bgp/rib/decision.ts";
import { describeTrace } from "../../../routing/bgp/session/bgp-trace.ts";
import type { ConnIds } from "../../../routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../../routing/bgp/speaker/speaker.ts";
import type { SpeakerOutput } from "../../../routing/bgp/speaker/speaker-messages.ts";
import { BIRD_TIMERS, type BirdTimers, type TimerProfile } from "./bird-timers.ts";
import type { NeighborContext } from "./neighbor-config.ts";
import { NeighborPlan } from "./neighbor-plan.ts";
import { type NodeStatusRow, nodeStatus, readiness } from "./node-status.ts";
import { OwnNetworks, ownNetwork } from "./own-networks.ts";
import { PeerPolicies } from "./peer-policies.ts";
import { type KernelRouteChange, type NextHopWay, RouteExporter } from "./route-exporter.ts";

/** More than the kernel gets (`merge paths on`): of them {@link RouteExporter} takes those with the lowest addresses, as BIRD does. */
const EQUAL_PATHS_MAX = 256;

const IGP_METRIC_UNKNOWN = 0xffff_ffff;

export interface BirdManagerOptions {
  readonly node: string;
  /** The address of the NIC, and the router identifier. */
  readonly underlay: Ipv4Addr;
  /** Of a cluster without a setting; Calico's 64512 unless given. */
  readonly asNumber?: number;
  readonly timers: TimerProfile;
  readonly version: CalicoVersion;
  readonly rng: Rng;
  /** Shared with the driver, which numbers calls. */
  readonly ids: ConnIds;
  /** The node was here before, and its kernel kept the routes. */
  readonly restarting: boolean;
  readonly matches: SelectorMatches;
  /** "eth0" unless given. */
  readonly nic?: string;
  /**
   * How the kernel gets to an address, routes of `proto bird` aside. None: not at all, and what leads there is unreachable. Unless
   * given, everything is on the link of the NIC.
   */
  readonly wayTo?: (addr: Ipv4Addr) => readonly NextHopWay[];
  /** Without it no session has a password. */
  readonly secret?: (ref: { readonly name: string; readonly key: string }) => string | undefined;
}

export type BirdOutput =
  /** Start the speaker, and take calls at this port; said again when it is another one. */
  | { readonly t: "listen"; readonly port: number }
  /** Of `proto bird`. */
  | { readonly t: "route"; readonly change: KernelRouteChange }
  /** All routes that are to be have been said: what else is in the kernel of `proto bird` is from an earlier life, and goes. */
  | { readonly t: "sweep" }
  /** Something that `status()` shows has changed. */
  | { readonly t: "status" }
  | LogOutput;

export class BirdManager {
  readonly speaker: BgpSpeaker;
  readonly timers: BirdTimers;
  readonly #options: BirdManagerOptions;
  readonly #peers: BgpPeers;
  readonly #policies: BgpPolicies;
  readonly #peerPolicies: PeerPolicies;
  readonly #plan: NeighborPlan;
  readonly #networks: OwnNetworks;
  readonly #exporter: RouteExporter;
  readonly #originated = new Set<string>();
  #outputs: BirdOutput[] = [];
  #inSync = false;
  /** Where calls are taken; undefined before the start. */
  #port: number | undefined;
  #startedAt: Instant = 0;
  /** Are routes held back after a restart? */
  #recovering = false;
  #swept = false;
  #networksChanged = false;
  #ownAddr: Ipv4Addr;
  #subnet: Prefix | undefined;

  constructor(options: BirdManagerOptions) {
    const { node, underlay, asNumber = DEFAULT_AS, version, rng, ids, matches, nic = "eth0" } = options;
    const { wayTo = () => [{ gateway: undefined, dev: nic }] } = options;
    this.#options = options;
    this.timers = BIRD_TIMERS[options.timers];
    this.#ownAddr = underlay;
    this.speaker = new BgpSpeaker(
      {
        localAs: asNumber,
        routerId: underlay,
        clusterId: underlay,
        decision: { ...DEFAULT_DECISION, multipathMax: EQUAL_PATHS_MAX, multipathRelax: true },
        dynamicLimit: 0,
        restarting: options.restarting,
        deferralSec: this.timers.recoveryWaitSec,
      },
      {
        rng,
        ids,
        routes: true,
        nextHopMetric: (hop) => (typeof hop === "number" ? igpMetric(wayTo(hop)) : undefined),
        isLocalAddress: (hop) => hop === underlay || hop === this.#ownAddr,
      },
    );
    this.#peers = new BgpPeers({ node, defaultAs: asNumber, version, matches });
    this.#policies = new BgpPolicies(node, version);
    this.#peerPolicies = new PeerPolicies(this.#policies, nic);
    this.#networks = new OwnNetworks();
    this.#exporter = new RouteExporter(this.#policies.kernelRules(), wayTo);
    this.#plan = new NeighborPlan({
      speaker: this.speaker,
      secret: options.secret ?? (() => undefined),
      warn: (message) => this.#outputs.push(logOutput("warn", message)),
    });
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "inSync") this.#inSync = true;
    this.#peers.onUpdate(update);
    this.#policies.onUpdate(update);
    // A tunnel's address makes no peers.
    if (update.t === "resource" && update.kind === "Node" && update.name === this.#options.node) {
      this.#networksChanged = true;
    }
  }

  /** The kernel protocol's `learn`: there is a route to a pod of this node, or there is none any more. */
  learn(addr: Ipv4Addr, there: boolean): void {
    if (this.#networks.learn(addr, there)) this.#networksChanged = true;
  }

  /** Does nothing before everything has been listed once: half a configuration would take sessions down. */
  completeDeferredWork(now: Instant): void {
    if (!this.#inSync) return;
    const changes = this.#peers.recompute();
    const retune = this.#policies.takeChanged();
    if (retune) this.#peerPolicies.refresh();
    const ownAddr = this.#peers.me?.ip ?? this.#options.underlay;
    const moved = ownAddr !== this.#ownAddr || this.#port === undefined;
    this.#ownAddr = ownAddr;
    const starts = this.#plan.end(changes, now);
    this.#renumber(now);
    if (retune || this.#networksChanged) this.#originate(now);
    this.#networksChanged = false;
    this.#plan.begin(starts, this.#neighborContext(), now);
    this.#plan.retune(this.#neighborContext(), retune || moved, now);
    this.#configureExporter(retune || moved);
    for (const complaint of [...this.#peers.takeComplaints(), ...this.#policies.takeComplaints()]) {
      this.#outputs.push(logOutput("warn", complaint));
    }
    this.#listen(now);
    if (changes.length > 0) this.#outputs.push({ t: "status" });
    this.#export();
  }

  /** What the driver passes on. */
  onSpeakerOutput(output: SpeakerOutput, _now: Instant): void {
    switch (output.t) {
      case "route":
        this.#exporter.onRoute(output.change);
        this.#export();
        return;
      case "restartComplete":
        this.#recovering = false;
        this.#outputs.push(logOutput("info", "graceful restart done"), { t: "status" });
        this.#export();
        return;
      case "trace":
        this.#onTrace(output);
        return;
      case "log":
        this.#outputs.push(logOutput(output.level, logText(output)));
        return;
      default:
    }
  }

  /** The kernel gets to next hops by other ways than before. */
  nextHopsChanged(now: Instant): void {
    this.speaker.nextHopsChanged(now);
    this.#exporter.touchAll();
    this.#export();
  }

  poll(): BirdOutput | undefined {
    return this.#outputs.shift();
  }

  /** Undefined: ready. Else Calico's sentence. */
  isReady(now: Instant): string | undefined {
    if (this.#port === undefined) return "calico/node is not ready: BIRD is not ready: not configured yet";
    return readiness(this.speaker, this.#recovering, (now - this.#startedAt) / SEC_US);
  }

  /** The rows of `calicoctl node status`. */
  status(now: Instant): NodeStatusRow[] {
    return nodeStatus(this.speaker, this.#recovering, now);
  }

  /** Routes that are to be in the kernel, of `proto bird`. */
  get routes(): ReturnType<RouteExporter["dump"]> {
    return this.#exporter.dump();
  }

  get recovering(): boolean {
    return this.#recovering;
  }

  #neighborContext(): NeighborContext {
    return {
      routerId: this.#options.underlay,
      ownAddr: this.#ownAddr,
      timers: this.timers,
      policies: this.#peerPolicies,
    };
  }

  /**
   * The speaker lives on when its AS or cluster changes: sessions that say the old AS, or reflect for the old cluster, have been taken
   * out with Cease/6 before, and come back after; others stay.
   */
  #renumber(now: Instant): void {
    const { localAs, me } = this.#peers;
    const clusterId = this.#clusterId(me?.clusterId ?? "");
    const { config } = this.speaker;
    if (localAs === config.localAs && clusterId === config.clusterId) return;
    this.speaker.renumber({ localAs, clusterId }, now);
  }

  /** BIRD's default is the router identifier. */
  #clusterId(text: string): Ipv4Addr {
    if (text === "") return this.#options.underlay;
    const id = parseIpv4(text);
    if (id !== undefined) return id;
    const { node, underlay } = this.#options;
    this.#outputs.push(
      logOutput(
        "warn",
        `Node ${node}: routeReflectorClusterID "${text}" is not written like 244.0.0.1; ${formatIpv4(underlay)} is used`,
      ),
    );
    return underlay;
  }

  #originate(now: Instant): void {
    const { version } = this.#options;
    const tunnelAddr = version === "3.33" ? undefined : this.#peers.me?.ipipTunnelAddr;
    const blocks = this.#policies.ownBlocks();
    const wanted = this.#networks.wanted(blocks, this.#policies.serviceStatics(), tunnelAddr);
    const localPref = version === "3.31" ? undefined : NORMAL_LOCAL_PREF;
    for (const text of this.#originated) {
      if (wanted.has(text)) continue;
      const [addr = "", len = ""] = text.split("/");
      const prefix = prefixOf(parseIpv4(addr) ?? 0, Number(len));
      this.speaker.withdraw(ownNetwork(prefix, undefined).prefix, now);
      this.#originated.delete(text);
    }
    for (const [text, prefix] of wanted) {
      if (this.#originated.has(text)) continue;
      this.#originated.add(text);
      this.speaker.originate(ownNetwork(prefix, localPref), now);
    }
  }

  #configureExporter(changed: boolean): void {
    const subnet = this.#peers.me?.subnet;
    if (changed || subnet?.addr !== this.#subnet?.addr || subnet?.len !== this.#subnet?.len) {
      this.#subnet = subnet;
      this.#exporter.configure(this.#policies.kernelRules(), subnet);
      this.#exporter.setBlocks(this.#policies.ownBlocks());
    }
    const reachable = this.#plan.takeReachable();
    if (reachable !== undefined) this.#exporter.setStatics(reachable);
  }

  #listen(now: Instant): void {
    const port = this.#peers.listenPort;
    if (port === this.#port) return;
    if (this.#port === undefined) {
      this.#startedAt = now;
      const expected = this.speaker.neighbors.dump().length > 0;
      this.#recovering = this.#options.restarting && expected;
    }
    this.#port = port;
    this.#outputs.push({ t: "listen", port });
  }

  /** Not while peers' routes are awaited after a restart: the kernel still has the old ones. */
  #export(): void {
    if (this.#recovering || this.#port === undefined) return;
    for (const change of this.#exporter.takeChanges()) this.#outputs.push({ t: "route", change });
    if (this.#swept) return;
    this.#swept = true;
    this.#outputs.push({ t: "sweep" });
  }

  #onTrace({ neighbor, trace }: SpeakerOutput & { readonly t: "trace" }): void {
    const { level, message } = describeTrace(trace);
    if (level !== "debug") this.#outputs.push(logOutput(level, `${neighbor}: ${message}`));
    if (trace.t === "state" || trace.t === "connectFailed") this.#outputs.push({ t: "status" });
  }
}

/** `rt_get_igp_metric`: what is on a link is nearest, and of what is behind a gateway nobody knows how far it is. */
function igpMetric([way]: readonly NextHopWay[]): number | undefined {
  if (way === undefined) return undefined;
  return way.gateway === undefined ? 0 : IGP_METRIC_UNKNOWN;
}

/** In BIRD's words, where it has any. */
function logText({ event, message }: SpeakerOutput & { readonly t: "log" }): string {
  const stranger = event === "unexpectedConnection" ? /^connection from (\S+) closed/.exec(message) : null;
  return stranger === null ? message : `Unexpected connect from unknown address ${stranger[1]}`;
}
