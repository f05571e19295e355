import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { RibPath } from "./rib-path.ts";
import type { RibPeer, RibPeerConfig } from "./rib-peer.ts";

/** A neighbour, as the RIB writes it. */
export class PathSource implements RibPeer {
  config: RibPeerConfig;
  readonly id: number;
  readonly local: boolean;
  bgpId: Ipv4Addr = 0;
  as = 0;

  constructor(config: RibPeerConfig, id: number) {
    this.config = config;
    this.id = id;
    this.local = id === 0;
  }
}

/** What one neighbour has told, of one family. @rfc 4271#3.2 */
export class AdjRibIn {
  readonly source: PathSource;
  readonly family: Family;
  readonly #paths: RibPath[] = [];
  /** Between BoRR and EoRR: what is stale has not been told again, rather than kept over a restart. @rfc 7313#4 */
  refreshing = false;

  constructor(source: PathSource, family: Family) {
    this.source = source;
    this.family = family;
  }

  /** In no particular order. Take no path out while walking it, but the one at hand, and from the end. */
  get paths(): readonly RibPath[] {
    return this.#paths;
  }

  add(path: RibPath): void {
    path.slot = this.#paths.push(path) - 1;
  }

  del(path: RibPath): void {
    const last = this.#paths.pop() as RibPath;
    if (last === path) return;
    last.slot = path.slot;
    this.#paths[path.slot] = last;
  }
}

/** What one neighbour has told. */
export class PeerTables {
  readonly source: PathSource;
  readonly #ipv4: AdjRibIn;
  readonly #ipv6: AdjRibIn;

  constructor(source: PathSource) {
    this.source = source;
    this.#ipv4 = new AdjRibIn(source, Family.IPV4_UNICAST);
    this.#ipv6 = new AdjRibIn(source, Family.IPV6_UNICAST);
  }

  /** @param family IPv4 or IPv6 unicast */
  of(family: Family): AdjRibIn {
    return family === Family.IPV4_UNICAST ? this.#ipv4 : this.#ipv6;
  }

  all(): readonly AdjRibIn[] {
    return [this.#ipv4, this.#ipv6];
  }
}
