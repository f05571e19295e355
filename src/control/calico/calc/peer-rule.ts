// A BGPPeer, checked: which nodes it makes peer with whom.
import { type Ipv4Addr, parseIpv4 } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { BGPPeer, BGPPeerSpec } from "../resources.ts";

export interface PeerRule {
  readonly name: string;
  /** Whose sessions it is about. */
  readonly scope:
    | { readonly t: "global" }
    | { readonly t: "node"; readonly node: string }
    | { readonly t: "selector"; readonly selector: string };
  /** With whom. */
  readonly target:
    | { readonly t: "ip"; readonly ip: Ipv4Addr; readonly port: number | undefined; readonly as: number }
    | { readonly t: "selector"; readonly selector: string };
  readonly spec: BGPPeerSpec;
}

/** Refused: what is wrong with it, and what to do. */
export function peerRule({ metadata, spec }: BGPPeer): Result<PeerRule, string> {
  const { name } = metadata;
  const refuse = (why: string): Result<PeerRule, string> => err(`BGPPeer ${name}: ${why}`);
  if (spec.node && spec.nodeSelector) {
    return refuse("it has both node and nodeSelector; take one of them out");
  }
  if (spec.localWorkloadSelector) {
    return refuse("localWorkloadSelector is not supported: pods here speak no BGP; name the peer by peerIP");
  }
  const target = targetOf(spec);
  if (!target.ok) return refuse(target.error);
  if (spec.peerSelector && spec.asNumber !== undefined) {
    return refuse("asNumber does not go with peerSelector, since each node has its own; take it out");
  }
  if (spec.reachableBy !== undefined && (parseIpv4(spec.reachableBy) === undefined || !spec.peerIP)) {
    return refuse(`reachableBy "${spec.reachableBy}" must be an IPv4 address, next to a peerIP`);
  }
  if (spec.keepOriginalNextHop === true && spec.nextHopMode !== undefined) {
    return refuse("it has both keepOriginalNextHop and nextHopMode; keep nextHopMode alone");
  }
  return ok({ name, scope: scopeOf(spec), target: target.value, spec });
}

function scopeOf({ node, nodeSelector }: BGPPeerSpec): PeerRule["scope"] {
  if (node) return { t: "node", node };
  return nodeSelector ? { t: "selector", selector: nodeSelector } : { t: "global" };
}

function targetOf({ peerIP, peerSelector, asNumber }: BGPPeerSpec): Result<PeerRule["target"], string> {
  if (peerIP && peerSelector) return err("it has both peerIP and peerSelector; take one of them out");
  if (peerSelector) return ok({ t: "selector", selector: peerSelector });
  if (!peerIP) return err("it has neither peerIP nor peerSelector; add one of them");
  const [ipText = "", portText, ...more] = peerIP.split(":");
  const ip = parseIpv4(ipText);
  const port = portText === undefined ? undefined : /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (ip === undefined || more.length > 0 || port === 0 || (port ?? 1) > 65_535) {
    return err(`peerIP "${peerIP}" is not an IPv4 address, with or without :port; correct it`);
  }
  if (asNumber === undefined) return err(`it has no asNumber, the AS of ${peerIP}; add it`);
  return ok({ t: "ip", ip, port, as: asNumber });
}
