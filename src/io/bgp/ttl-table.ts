import type { Socket } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { PodloomError } from "../podloom-error.ts";
import type { BgpListener } from "./bgp-listener.ts";
import type { TcpTtl } from "./tcp-ttl.ts";

/** Whose calls must come from near by. @rfc 5082#3 */
export class TtlTable {
  readonly #ttl: () => TcpTtl;
  readonly #hops = new Map<Ipv4Addr, number>();
  /** Those of whom a listening socket was not told. */
  readonly #unchecked = new Set<Ipv4Addr>();

  /** @param ttl throws PL_BGP_TTL where there is none */
  constructor(ttl: () => TcpTtl) {
    this.#ttl = ttl;
  }

  /** Can TTLs be checked at all, if any are to be? @throws PodloomError PL_BGP_TTL */
  check(): void {
    if (this.#hops.size > 0) this.#ttl();
  }

  /** Tells a new listening socket. @throws PodloomError PL_BGP_TTL */
  join(listener: BgpListener): void {
    if (this.#hops.size > 0) listener.answerFully(this.#ttl());
  }

  /** Changes one. When that fails, the neighbour's calls are not taken until another change succeeds. @throws PodloomError PL_BGP_TTL */
  set(remote: Ipv4Addr, hops: number | undefined, listeners: readonly BgpListener[]): void {
    this.#unchecked.delete(remote);
    if (hops === undefined) {
      this.#hops.delete(remote);
      return;
    }
    this.#hops.set(remote, hops);
    this.#unchecked.add(remote);
    for (const listener of listeners) listener.answerFully(this.#ttl());
    this.#unchecked.delete(remote);
  }

  /**
   * Is this call to be taken? Whoever is too far away has had it answered by the kernel, and is not heard from here on. What it has
   * said before this call was taken is heard: an OPEN, say, but its session ends with the hold time.
   */
  admits(remote: Ipv4Addr, socket: Socket): boolean {
    if (this.#unchecked.has(remote)) return false;
    const hops = this.#hops.get(remote);
    if (hops === undefined) return true;
    try {
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      this.#ttl().secure(fd, hops);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      return false;
    }
  }
}
