// One neighbour as the speaker holds it: its session, its place in the RIB, and what is told to it.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { CompiledPolicy } from "../policy/policy.ts";
import type { ExportConfig, OutMember } from "../rib/export-config.ts";
import type { RibPeer, RibPeerConfig } from "../rib/rib-peer.ts";
import type { BgpPeer } from "../session/peer.ts";
import type { ListenRange } from "./neighbor-table.ts";
import type { NeighborBfd, NeighborConfig, NeighborRoutes } from "./speaker-config.ts";

/** Policies ready to be asked; the same object for the same policy, so that update groups form. */
export interface NeighborPolicies {
  readonly importPolicy: CompiledPolicy;
  readonly exportPolicy: CompiledPolicy;
}

/** What a neighbour is made of. */
export interface NeighborParts {
  readonly name: string;
  readonly addr: Ipv4Addr;
  readonly localAddr: Ipv4Addr;
  /** To dial; undefined for those that call. */
  readonly port: number | undefined;
  readonly password: string | undefined;
  readonly bfd: NeighborBfd | undefined;
  readonly peer: BgpPeer;
  readonly ribPeer: RibPeer;
  readonly routes: NeighborRoutes;
  readonly policies: NeighborPolicies;
  /** The range that it called from; undefined for a configured one. */
  readonly range: ListenRange | undefined;
  /** As it was configured; undefined for one that called. */
  readonly config: NeighborConfig | undefined;
}

/** Mutable: what changes during its life. Only the speaker writes to it. */
export class Neighbor {
  readonly name: string;
  readonly addr: Ipv4Addr;
  readonly localAddr: Ipv4Addr;
  readonly port: number | undefined;
  readonly password: string | undefined;
  readonly bfd: NeighborBfd | undefined;
  readonly peer: BgpPeer;
  readonly ribPeer: RibPeer;
  readonly range: ListenRange | undefined;
  readonly config: NeighborConfig | undefined;
  routes: NeighborRoutes;
  policies: NeighborPolicies;
  /** When its session wants to be asked again. */
  deadline: Instant;
  /** Set while its session is up. */
  negotiated: Negotiated | undefined;

  constructor(parts: NeighborParts, deadline: Instant) {
    this.name = parts.name;
    this.addr = parts.addr;
    this.localAddr = parts.localAddr;
    this.port = parts.port;
    this.password = parts.password;
    this.bfd = parts.bfd;
    this.peer = parts.peer;
    this.ribPeer = parts.ribPeer;
    this.range = parts.range;
    this.config = parts.config;
    this.routes = parts.routes;
    this.policies = parts.policies;
    this.deadline = deadline;
  }

  exportConfig(): ExportConfig {
    const { nextHop, localAddr, localAddr6, checkPeerAs, addPathMax, mraiSec } = this.routes;
    const { localAs } = this.peer.config;
    const policy = this.policies.exportPolicy;
    return { policy, nextHop, localAddr, localAddr6, localAs, checkPeerAs, addPathMax, mraiSec };
  }

  /** As the tables of routes out see it, for the session that is up. @param sent called when something was given to the session */
  outMember(negotiated: Negotiated, sent: () => void): OutMember {
    return {
      peer: this.ribPeer,
      negotiated,
      config: this.exportConfig(),
      transmit: (bytes: Uint8Array, now: Instant): boolean => {
        sent();
        return this.peer.transmit(bytes, now);
      },
      refresh: (family: Family, subtype: number, now: Instant): boolean => {
        sent();
        return this.peer.refresh(family, subtype, now);
      },
    };
  }
}

/** @param internal as far as it is known before the neighbour has said which AS it is */
export function ribPeerConfig(
  name: string,
  addr: Ipv4Addr,
  localAs: number,
  internal: boolean,
  routes: NeighborRoutes,
  policies: NeighborPolicies,
): RibPeerConfig {
  return {
    name,
    addr,
    localAs,
    internal,
    rrClient: internal && routes.rrClient,
    allowLocalAs: routes.allowLocalAs,
    importPolicy: policies.importPolicy,
  };
}
