import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import type { CarrierMap } from "./host-address.ts";
import { PodloomError } from "./podloom-error.ts";

/** Sources remembered in text form, so that a datagram's source costs one lookup and no parsing. */
const SOURCES_MAX = 4096;
/** Destinations that cannot be carried and are told of; anyone may write leases, and a log must not grow with them. */
export const UNCARRIED_SAID_MAX = 64;

/** Where a peer is reached on this machine. */
export interface CarriedPeer {
  /** Its socket address as a signed integer: a small one, so that writing it into a header makes no heap number. */
  readonly word: number;
  readonly text: string;
}

/** Told once of each destination that cannot be carried on this machine, and at most {@link UNCARRIED_SAID_MAX} times. */
export type OnUncarried = (dst: Ipv4Addr, error: PodloomError) => void;

/** The socket addresses of peers, both directions, at the price of one lookup a packet. */
export class CarriedPeers {
  readonly #carriers: CarrierMap;
  readonly #onUncarried: OnUncarried | undefined;
  /** Null for one that cannot be carried. */
  readonly #destinations = new Map<Ipv4Addr, CarriedPeer | null>();
  readonly #sources = new Map<string, Ipv4Addr>();
  #uncarriedSaid = 0;

  constructor(carriers: CarrierMap, onUncarried: OnUncarried | undefined) {
    this.#carriers = carriers;
    this.#onUncarried = onUncarried;
  }

  /** Where the underlay address `dst` is reached; null: nowhere on this machine. */
  destination(dst: Ipv4Addr): CarriedPeer | null {
    const known = this.#destinations.get(dst);
    return known === undefined ? this.#resolve(dst) : known;
  }

  /** The underlay address behind the socket address that a datagram came from. */
  source(text: string): Ipv4Addr {
    const known = this.#sources.get(text);
    if (known !== undefined) return known;
    const underlay = this.#carriers.underlayOf(parseIpv4(text) ?? 0);
    if (this.#sources.size >= SOURCES_MAX) this.#sources.clear();
    this.#sources.set(text, underlay);
    return underlay;
  }

  #resolve(dst: Ipv4Addr): CarriedPeer | null {
    let peer: CarriedPeer | null = null;
    try {
      const host = this.#carriers.learn(dst);
      peer = { word: host | 0, text: formatIpv4(host) };
      // What its source was taken to be may have been a guess.
      this.#sources.delete(peer.text);
    } catch (thrown) {
      // A lease may name any address. This one cannot be carried here, so nothing is sent to it.
      if (!(thrown instanceof PodloomError)) throw thrown;
      if (this.#uncarriedSaid++ < UNCARRIED_SAID_MAX) this.#onUncarried?.(dst, thrown);
    }
    this.#destinations.set(dst, peer);
    return peer;
  }
}
