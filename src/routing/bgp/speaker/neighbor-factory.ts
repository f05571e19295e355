import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { ok, type Result } from "../../../base/result.ts";
import type { Rng } from "../../../base/rng.ts";
import { NEVER } from "../../../base/time.ts";
import type { PeerAs } from "../../../wire/bgp/open.ts";
import type { Rib } from "../rib/rib.ts";
import { BgpPeer } from "../session/peer.ts";
import type { PeerConfig } from "../session/peer-config.ts";
import type { ConnIds } from "../session/peer-messages.ts";
import { Neighbor, type NeighborParts, type NeighborPolicies, ribPeerConfig } from "./neighbor.ts";
import type { ListenRange } from "./neighbor-table.ts";
import { PolicyCache } from "./policy-cache.ts";
import type { NeighborConfig, NeighborRoutes, RangeConfig } from "./speaker-config.ts";

/** Makes neighbours, with their places in the RIB. */
export class NeighborFactory {
  readonly #rib: Rib;
  readonly #ids: ConnIds;
  readonly #rng: Rng;
  readonly #policies = new PolicyCache();

  constructor(rib: Rib, ids: ConnIds, rng: Rng) {
    this.#rib = rib;
    this.#ids = ids;
    this.#rng = rng;
  }

  /** Refused: what is wrong with one of the policies. */
  policiesOf(routes: NeighborRoutes): Result<NeighborPolicies, string> {
    return this.#policies.of(routes);
  }

  /** A configured neighbour. Refused: what is wrong with one of its policies. */
  configured(config: NeighborConfig): Result<Neighbor, string> {
    const policies = this.#policies.of(config.routes);
    if (!policies.ok) return policies;
    const { name, addr, localAddr, port, password, bfd, routes, session } = config;
    const range = undefined;
    const parts = { name, addr, localAddr, port, password, bfd, routes, range, config };
    return ok(this.#make(parts, session, policies.value));
  }

  /** One that called from a range whose policies have been found good. */
  dynamic(
    addr: Ipv4Addr,
    range: ListenRange,
    config: RangeConfig,
    session: PeerConfig,
  ): Result<Neighbor, string> {
    const policies = this.#policies.of(config.routes);
    if (!policies.ok) return policies;
    const { localAddr, bfd, routes } = config;
    const parts = {
      name: `${config.name}-${formatIpv4(addr)}`,
      addr,
      localAddr,
      port: undefined,
      password: undefined,
      bfd,
      routes,
      range,
      config: undefined,
    };
    return ok(this.#make(parts, session, policies.value));
  }

  #make(
    parts: Omit<NeighborParts, "peer" | "ribPeer" | "policies">,
    session: PeerConfig,
    policies: NeighborPolicies,
  ): Neighbor {
    const peer = new BgpPeer({ config: session, ids: this.#ids, rng: this.#rng });
    const internal = expectsInternal(session.peerAs, session.localAs);
    const config = ribPeerConfig(parts.name, parts.addr, session.localAs, internal, parts.routes, policies);
    return new Neighbor({ ...parts, peer, ribPeer: this.#rib.addPeer(config), policies }, NEVER);
  }
}

/** Before the neighbour has said which AS it is. */
function expectsInternal(peerAs: PeerAs, localAs: number): boolean {
  return peerAs === "internal" || peerAs === localAs;
}
