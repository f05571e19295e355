import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Ipv6Addr } from "../../../wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";

/** What its neighbours know this speaker by: a route that leads there leads nowhere. They are only ever added. @rfc 4271#6.3 */
export class OwnAddresses {
  readonly #ipv4 = new Set<Ipv4Addr>();
  /** A speaker has one, or two. */
  readonly #ipv6: Ipv6Addr[] = [];

  /** @param addr the address that sessions come from @param routes the ones that are told as next hops */
  add(
    addr: Ipv4Addr,
    routes: { readonly localAddr: Ipv4Addr; readonly localAddr6: Ipv6Addr | undefined },
  ): void {
    this.#ipv4.add(addr).add(routes.localAddr);
    const { localAddr6 } = routes;
    if (localAddr6 !== undefined && !this.#hasIpv6(localAddr6)) this.#ipv6.push(localAddr6);
  }

  has(nextHop: NextHop): boolean {
    return typeof nextHop === "number" ? this.#ipv4.has(nextHop) : this.#hasIpv6(nextHop.global);
  }

  #hasIpv6({ a, b, c, d }: Ipv6Addr): boolean {
    return this.#ipv6.some((own) => own.a === a && own.b === b && own.c === c && own.d === d);
  }
}
