// Which BGP sessions this node is to have (specs on Calico, section 3.2): what confd computes, but incrementally. Each pair of a
// reason (the mesh, a BGPPeer, the other end of a BGPPeer) and a node is a unit that makes at most one session; an event rebuilds the
// units that it is an input of, and no others, so that a new node costs one unit and not as many as there are nodes.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { CalicoUpdate } from "../calico-updates.ts";
import type { BGPConfiguration, BGPConfigurationSpec, BGPPeer, NodeResource } from "../resources.ts";
import { type MeshSettings, meshSettings, nodeOfConfiguration, sameMesh } from "./bgp-settings.ts";
import type { CalicoVersion, DesiredPeer } from "./desired-peer.ts";
import { type NodeFacts, nodeFacts, samePeering } from "./node-facts.ts";
import {
  asOf,
  meshPeer,
  type PeerContext,
  peerWithAddress,
  peerWithNode,
  reversePeer,
} from "./peer-derivation.ts";
import { type PeerRule, peerRule } from "./peer-rule.ts";
import { PeerUnits } from "./peer-units.ts";

/** Does a selector hold for these labels? A selector that cannot be read holds for none. */
export type SelectorMatches = (selector: string, labels: Readonly<Record<string, string>>) => boolean;

export interface BgpPeersOptions {
  readonly node: string;
  /** Of a cluster without a setting. */
  readonly defaultAs: number;
  readonly version: CalicoVersion;
  readonly matches: SelectorMatches;
}

export interface PeerChange {
  /** Address and port: "10.1.0.1:179". */
  readonly key: string;
  /** Undefined: no such session any more. */
  readonly peer: DesiredPeer | undefined;
}

export class BgpPeers {
  readonly #options: BgpPeersOptions;
  readonly #nodes = new Map<string, NodeFacts>();
  readonly #byIp = new Map<Ipv4Addr, Set<string>>();
  readonly #rules = new Map<string, PeerRule>();
  readonly #ports = new Map<string, number>();
  readonly #units = new PeerUnits();
  #mesh: MeshSettings;
  /** What this node is told of itself. */
  #me: NodeFacts | undefined;
  #allDirty = false;
  readonly #dirtyNodes = new Set<string>();
  readonly #dirtyRules = new Set<string>();
  /** What is wrong with resources, by name: each is said once. */
  #complaints: string[] = [];

  constructor(options: BgpPeersOptions) {
    this.#options = options;
    this.#mesh = meshSettings(undefined, options.defaultAs);
  }

  /** This node, as the store has it. */
  get me(): NodeFacts | undefined {
    return this.#me;
  }

  /** The AS of this node. */
  get localAs(): number {
    return this.#me === undefined ? this.#mesh.asNumber : asOf(this.#me, this.#mesh);
  }

  get listenPort(): number {
    return this.#listenPort(this.#options.node);
  }

  node(name: string): NodeFacts | undefined {
    return this.#nodes.get(name);
  }

  /** Sessions that were derived since the beginning: what tests count. */
  get built(): number {
    return this.#units.built;
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t !== "resource") return;
    const { kind, name, value } = update;
    if (kind === "Node") this.#setNode(name, value as NodeResource | undefined);
    else if (kind === "BGPPeer") this.#setRule(name, value as BGPPeer | undefined);
    else if (kind === "BGPConfiguration") this.#setConfiguration(name, value as BGPConfiguration | undefined);
  }

  /** Derives what is dirty. Answers the sessions that are new, different or gone, by key. */
  recompute(): PeerChange[] {
    const cx = this.#context();
    if (this.#allDirty) {
      this.#units.clear();
      if (cx !== undefined) {
        for (const node of this.#nodes.values()) this.#buildMesh(cx, node);
        for (const rule of this.#rules.values()) this.#buildRule(cx, rule);
      }
    } else if (cx !== undefined) {
      for (const name of this.#dirtyRules) {
        this.#units.dropRule(name);
        const rule = this.#rules.get(name);
        if (rule !== undefined) this.#buildRule(cx, rule);
      }
      for (const name of this.#dirtyNodes) this.#rebuildNode(cx, name);
    }
    this.#allDirty = false;
    this.#dirtyRules.clear();
    this.#dirtyNodes.clear();
    return this.#units.takeChanges();
  }

  /** All sessions, by key. */
  dump(): ReadonlyMap<string, DesiredPeer> {
    return this.#units.dump();
  }

  /** What was found to be wrong with resources since the last call. */
  takeComplaints(): string[] {
    const complaints = this.#complaints;
    this.#complaints = [];
    return complaints;
  }

  #context(): PeerContext | undefined {
    if (this.#me === undefined) return undefined;
    return {
      me: this.#me,
      mesh: this.#mesh,
      version: this.#options.version,
      listenPort: (node) => this.#listenPort(node),
    };
  }

  #listenPort(node: string): number {
    return this.#ports.get(node) ?? this.#mesh.listenPort;
  }

  #setNode(name: string, value: NodeResource | undefined): void {
    const facts = value === undefined ? undefined : nodeFacts(value);
    if (value?.spec.bgp?.ipv4Address !== undefined && facts === undefined) {
      this.#complaints.push(
        `Node ${name}: bgp.ipv4Address "${value.spec.bgp.ipv4Address}" cannot be used; write it as a.b.c.d/len`,
      );
    }
    const before = this.#nodes.get(name);
    const same = samePeering(before, facts);
    if (facts === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, facts);
    if (name === this.#options.node) this.#me = facts;
    if (same) return;
    if (before !== undefined) this.#releaseIp(before);
    if (facts !== undefined) this.#claimIp(facts);
    if (name === this.#options.node) this.#allDirty = true;
    else this.#dirtyNodes.add(name);
  }

  /** Who is at an address matters to rules that name it. */
  #claimIp({ ip, name }: NodeFacts): void {
    const names = this.#byIp.get(ip);
    if (names === undefined) this.#byIp.set(ip, new Set([name]));
    else names.add(name);
    this.#touchRulesAt(ip);
  }

  #releaseIp({ ip, name }: NodeFacts): void {
    const names = this.#byIp.get(ip);
    names?.delete(name);
    if (names?.size === 0) this.#byIp.delete(ip);
    this.#touchRulesAt(ip);
  }

  #touchRulesAt(ip: Ipv4Addr): void {
    for (const { name, target } of this.#rules.values()) {
      if (target.t === "ip" && target.ip === ip) this.#dirtyRules.add(name);
    }
  }

  /** The node of an address; of several, which is a mistake of theirs, always the same. */
  #ownerOf(ip: Ipv4Addr): NodeFacts | undefined {
    const names = this.#byIp.get(ip);
    if (names === undefined) return undefined;
    let first: string | undefined;
    for (const name of names) if (first === undefined || name < first) first = name;
    return first === undefined ? undefined : this.#nodes.get(first);
  }

  #setRule(name: string, value: BGPPeer | undefined): void {
    const rule = value === undefined ? undefined : peerRule(value);
    if (rule?.ok === false) this.#complaints.push(rule.error);
    if (rule?.ok === true) this.#rules.set(name, rule.value);
    else if (!this.#rules.delete(name)) return;
    this.#dirtyRules.add(name);
  }

  #setConfiguration(name: string, value: BGPConfiguration | undefined): void {
    const spec: BGPConfigurationSpec | undefined = value?.spec;
    const node = nodeOfConfiguration(name);
    if (name === "default") {
      const mesh = meshSettings(spec, this.#options.defaultAs);
      if (spec?.nodeMeshMaxRestartTime !== undefined && mesh.maxRestartTimeSec === undefined) {
        const text = spec.nodeMeshMaxRestartTime;
        this.#complaints.push(
          `BGPConfiguration default: nodeMeshMaxRestartTime "${text}" is no duration; write it like 2m0s`,
        );
      }
      if (!sameMesh(this.#mesh, mesh)) this.#allDirty = true;
      this.#mesh = mesh;
    } else if (node !== undefined) {
      const before = this.#ports.get(node);
      if (before === spec?.listenPort) return;
      if (spec?.listenPort === undefined) this.#ports.delete(node);
      else this.#ports.set(node, spec.listenPort);
      this.#dirtyNodes.add(node);
      const facts = this.#nodes.get(node);
      if (facts !== undefined) this.#touchRulesAt(facts.ip);
      // Others may name the port that this node listens at.
      if (node === this.#options.node) this.#allDirty = true;
    }
  }

  #rebuildNode(cx: PeerContext, name: string): void {
    this.#units.dropNode(name);
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#buildMesh(cx, node);
    for (const rule of this.#rules.values()) this.#buildPair(cx, rule, node);
  }

  #buildMesh(cx: PeerContext, node: NodeFacts): void {
    this.#units.put("mesh", "", node.name, meshPeer(cx, node));
  }

  #buildRule(cx: PeerContext, rule: PeerRule): void {
    const { target } = rule;
    if (target.t === "ip" && this.#inScope(rule, cx.me)) {
      const owner = this.#ownerOf(target.ip);
      const peer = peerWithAddress(cx, rule, target, owner);
      this.#units.put("direct", rule.name, "", peer);
    }
    for (const node of this.#nodes.values()) this.#buildPair(cx, rule, node);
  }

  /** What a rule makes of this node and another one, in both directions. */
  #buildPair(cx: PeerContext, rule: PeerRule, other: NodeFacts): void {
    const { target, name } = rule;
    if (target.t === "selector" && this.#inScope(rule, cx.me) && this.#selects(target.selector, other)) {
      this.#units.put("direct", name, other.name, peerWithNode(cx, rule, other));
    }
    if (this.#isTarget(cx, rule) && this.#inScope(rule, other)) {
      this.#units.put("reverse", name, other.name, reversePeer(cx, rule, other));
    }
  }

  #selects(selector: string, node: NodeFacts): boolean {
    return this.#options.matches(selector, node.labels);
  }

  #inScope({ scope }: PeerRule, node: NodeFacts): boolean {
    switch (scope.t) {
      case "global":
        return true;
      case "node":
        return scope.node === node.name;
      case "selector":
        return this.#selects(scope.selector, node);
    }
  }

  /** Is it with this node that a rule makes others peer? An address must come with our AS, and with the port where we listen. */
  #isTarget({ me, mesh }: PeerContext, { target }: PeerRule): boolean {
    if (target.t === "selector") return this.#selects(target.selector, me);
    return (
      target.ip === me.ip &&
      target.as === asOf(me, mesh) &&
      (target.port === undefined || target.port === this.listenPort)
    );
  }
}
