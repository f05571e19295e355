import type { Socket } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { PodloomError } from "../podloom-error.ts";
import type { BgpListener } from "./bgp-listener.ts";
import type { TcpTtl } from "./tcp-ttl.ts";

/** Whose calls must come from near by. @rfc 5082#3 */
export class TtlTable {
  readonly #ttl: () => TcpTtl;
  readonly #hops = new Map<Ipv4Addr, number>();

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

  /** Changes one. When that fails, the neighbour's calls are taken only if their TTL can be bounded all the same. @throws PodloomError PL_BGP_TTL */
  set(remote: Ipv4Addr, hops: number | undefined, listeners: readonly BgpListener[]): void {
    if (hops === undefined) {
      this.#hops.delete(remote);
      return;
    }
    this.#hops.set(remote, hops);
    for (const listener of listeners) listener.answerFully(this.#ttl());
  }

  /**
   * Is this call to be taken? Whoever is too far away has had it answered by the kernel, and is not heard from here on: its session
   * does not come up, for want of an OPEN.
   */
  admits(remote: Ipv4Addr, socket: Socket): boolean {
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
