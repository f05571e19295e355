// From two nodes, or a node and an address, to a session: the rules of specs on Calico, section 3.2, each for one pair alone. Which
// pairs there are is for bgp-peers.ts to say.
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../../../base/ipv4-addr.ts";
import type { BGPPeerSpec } from "../resources.ts";
import { BGP_PORT, type MeshSettings } from "./bgp-settings.ts";
import type { CalicoVersion, DesiredPeer } from "./desired-peer.ts";
import { goDurationSec } from "./go-duration.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PeerRule } from "./peer-rule.ts";

/** What all sessions of this node depend on. */
export interface PeerContext {
  readonly me: NodeFacts;
  readonly mesh: MeshSettings;
  readonly version: CalicoVersion;
  /** Where a node listens. */
  listenPort(node: string): number;
}

export function asOf(node: NodeFacts, mesh: MeshSettings): number {
  return node.asNumber ?? mesh.asNumber;
}

/** Undefined: the two are not in the mesh with each other. */
export function meshPeer(cx: PeerContext, other: NodeFacts): DesiredPeer | undefined {
  const { me, mesh } = cx;
  if (!mesh.enabled || other.name === me.name || other.ip === me.ip) return undefined;
  if (me.clusterId !== "" || other.clusterId !== "") return undefined;
  return {
    name: `Mesh_${other.ipText.replaceAll(".", "_")}`,
    type: "node-to-node mesh",
    addr: other.ip,
    port: cx.listenPort(other.name),
    localAs: asOf(me, mesh),
    peerAs: asOf(other, mesh),
    sourceAddr: me.ip,
    // As text: "10.0.0.9" is the greater of it and "10.0.0.10", and dials.
    passive: other.ipText > me.ipText,
    rrClusterId: undefined,
    nextHop: "auto",
    maxRestartTimeSec: mesh.maxRestartTimeSec,
    keepaliveTimeSec: undefined,
    allowLocalAs: 0,
    ttlSecurity: undefined,
    reachableBy: undefined,
    password: mesh.password,
    filters: [],
  };
}

/** Whom an explicit session is with. */
interface Remote {
  readonly addr: Ipv4Addr;
  readonly port: number;
  readonly as: number;
  readonly clusterId: string;
}

/** The session that a rule gives this node with one of the nodes that it selects. */
export function peerWithNode(cx: PeerContext, rule: PeerRule, other: NodeFacts): DesiredPeer | undefined {
  if (other.name === cx.me.name || other.ip === cx.me.ip) return undefined;
  const port = cx.listenPort(other.name);
  const remote = { addr: other.ip, port, as: asOf(other, cx.mesh), clusterId: other.clusterId };
  return explicitPeer(cx, rule, rule.scope.t === "global", remote, localAsOf(cx, rule.spec));
}

/** The same with an address. @param owner the node that it belongs to, if it is a node's */
export function peerWithAddress(
  cx: PeerContext,
  rule: PeerRule,
  target: PeerRule["target"] & { readonly t: "ip" },
  owner: NodeFacts | undefined,
): DesiredPeer | undefined {
  if (target.ip === cx.me.ip) return undefined;
  const remote: Remote = {
    addr: target.ip,
    port: target.port ?? (owner === undefined ? BGP_PORT : cx.listenPort(owner.name)),
    as: target.as,
    clusterId: owner?.clusterId ?? "",
  };
  return explicitPeer(cx, rule, rule.scope.t === "global", remote, localAsOf(cx, rule.spec));
}

/**
 * The other end of a session that a rule gives `other` with this node: it is to be configured on both. What is about one's own end
 * alone (another local AS, a way to reach the peer) stays there.
 */
export function reversePeer(cx: PeerContext, rule: PeerRule, other: NodeFacts): DesiredPeer | undefined {
  const { me, mesh, version } = cx;
  if (other.name === me.name || other.ip === me.ip) return undefined;
  if (version !== "3.31" && rule.spec.reversePeering === "Manual") return undefined;
  const as = (version === "3.31" ? undefined : rule.spec.localASNumber) ?? asOf(other, mesh);
  const remote = { addr: other.ip, port: cx.listenPort(other.name), as, clusterId: other.clusterId };
  const peer = explicitPeer(cx, rule, false, remote, asOf(me, mesh));
  return { ...peer, reachableBy: undefined };
}

function localAsOf({ me, mesh, version }: PeerContext, spec: BGPPeerSpec): number {
  return (version === "3.31" ? undefined : spec.localASNumber) ?? asOf(me, mesh);
}

function explicitPeer(
  cx: PeerContext,
  { spec }: PeerRule,
  global: boolean,
  remote: Remote,
  localAs: number,
): DesiredPeer {
  const { me, version } = cx;
  const { addr, port, as, clusterId } = remote;
  const internal = as === localAs;
  const restart = spec.maxRestartTime === undefined ? undefined : goDurationSec(spec.maxRestartTime);
  const keepalive =
    version === "3.31" || spec.keepaliveTime === undefined ? undefined : goDurationSec(spec.keepaliveTime);
  const address = formatIpv4(addr).replaceAll(".", "_");
  return {
    name: `${global ? "Global" : "Node"}_${address}${port === BGP_PORT ? "" : `_port_${port}`}`,
    type: global ? "global" : "node specific",
    addr,
    port,
    localAs,
    peerAs: as,
    sourceAddr: spec.sourceAddress === "None" ? undefined : me.ip,
    passive: false,
    rrClusterId: internal && me.clusterId !== "" && clusterId !== me.clusterId ? me.clusterId : undefined,
    nextHop: nextHopOf(spec, internal, version),
    maxRestartTimeSec: restart,
    keepaliveTimeSec: keepalive,
    allowLocalAs: spec.numAllowedLocalASNumbers ?? 0,
    ttlSecurity: spec.ttlSecurity,
    reachableBy: spec.reachableBy === undefined ? undefined : parseIpv4(spec.reachableBy),
    password: spec.password?.secretKeyRef,
    filters: spec.filters ?? [],
  };
}

function nextHopOf(spec: BGPPeerSpec, internal: boolean, version: CalicoVersion): DesiredPeer["nextHop"] {
  if (version !== "3.31") {
    if (spec.nextHopMode === "Self") return "self";
    if (spec.nextHopMode === "Keep") return "keep";
  }
  return spec.keepOriginalNextHop === true && !internal ? "keep" : "auto";
}
