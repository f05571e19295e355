// How an underlay address is carried on this machine. The only code that knows about 127.x: leases, routes and BGP next
// hops always bear the underlay address.
//
// carrier `host`:     the underlay address is the socket's address (compose, network namespaces, real machines).
// carrier `loopback`: the last three octets are kept and the first becomes 127, so that every node of a lab has the
//                     standard ports for itself on one machine. Linux owns all of 127/8; other systems do not.
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import { PodloomError } from "./podloom-error.ts";

/** How underlay addresses become socket addresses. */
export type Carrier = "loopback" | "host";

const LOOPBACK_NET = 127 * 0x100_0000;
const LOW_24 = 0xff_ffff;

/**
 * The socket address that carries `underlay`.
 *
 * @throws PodloomError PL_CARRIER_UNSUPPORTED for the loopback carrier outside Linux, PL_UNDERLAY_UNUSABLE for an
 *   address whose last three octets make 127.0.0.0, 127.0.0.1 or 127.255.255.255
 */
export function hostAddress(
  underlay: Ipv4Addr,
  carrier: Carrier,
  platform: NodeJS.Platform = process.platform,
): Ipv4Addr {
  if (carrier === "host") return underlay;
  if (platform !== "linux") {
    throw new PodloomError(
      "PL_CARRIER_UNSUPPORTED",
      `the loopback carrier needs all of 127.0.0.0/8, which only Linux owns; this is ${platform}`,
      { remedy: "Use docker-compose, or `--carrier host` with an address that this machine has." },
    );
  }
  const low = underlay & LOW_24;
  if (low <= 1 || low === LOW_24) {
    throw new PodloomError(
      "PL_UNDERLAY_UNUSABLE",
      `the underlay address ${formatIpv4(underlay)} would be carried on ${formatIpv4(LOOPBACK_NET + low)}, which belongs to this machine itself`,
      { remedy: "Give the node another underlay address." },
    );
  }
  return LOOPBACK_NET + low;
}

/**
 * Both directions of {@link hostAddress} for one node. Learns every underlay address that it is asked about, so that the
 * source of a datagram can be told as an underlay address again.
 */
export class CarrierMap {
  readonly carrier: Carrier;
  /** First octet of the node's own address: what a source that nobody has named yet is taken to have. */
  readonly #homeNet: number;
  /** Socket address to underlay address. Grows with the peers that this node was told of. */
  readonly #underlayOf = new Map<Ipv4Addr, Ipv4Addr>();

  /** @throws PodloomError as {@link hostAddress} */
  constructor(local: Ipv4Addr, carrier: Carrier) {
    this.carrier = carrier;
    this.#homeNet = (local & ~LOW_24) >>> 0;
    this.learn(local);
  }

  /**
   * The socket address of `underlay`, which is remembered.
   *
   * @throws PodloomError PL_UNDERLAY_COLLISION when another underlay address has the same carrier address; else as
   *   {@link hostAddress}
   */
  learn(underlay: Ipv4Addr): Ipv4Addr {
    const host = hostAddress(underlay, this.carrier);
    const known = this.#underlayOf.get(host);
    if (known === undefined) this.#underlayOf.set(host, underlay);
    else if (known !== underlay) {
      throw new PodloomError(
        "PL_UNDERLAY_COLLISION",
        `the underlay addresses ${formatIpv4(known)} and ${formatIpv4(underlay)} are both carried on ${formatIpv4(host)}`,
        { remedy: "Change one of them so that their last three octets differ." },
      );
    }
    return host;
  }

  /** Is it known whose socket address this is? */
  knows(host: Ipv4Addr): boolean {
    return this.carrier === "host" || this.#underlayOf.has(host);
  }

  /** The underlay address of a datagram's source. One that nobody has named yet is taken to be in the node's own network. */
  underlayOf(host: Ipv4Addr): Ipv4Addr {
    if (this.carrier === "host") return host;
    return this.#underlayOf.get(host) ?? (this.#homeNet | (host & LOW_24)) >>> 0;
  }
}

/**
 * The socket addresses of a whole lab's underlay addresses, checked against each other before any process starts.
 *
 * @throws PodloomError PL_UNDERLAY_COLLISION naming both; else as {@link hostAddress}
 */
export function hostAddresses(underlays: readonly Ipv4Addr[], carrier: Carrier): Ipv4Addr[] {
  const first = underlays[0];
  if (first === undefined) return [];
  const map = new CarrierMap(first, carrier);
  return underlays.map((underlay) => map.learn(underlay));
}
