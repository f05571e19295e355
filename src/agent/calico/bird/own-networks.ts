// What this node originates: BIRD's static routes for its blocks and for service ranges, and the routes of single addresses that it
// learns from the kernel.
import { contains, formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { NEXT_HOP_SELF } from "../../../routing/bgp/rib/route.ts";
import type { NetworkConfig } from "../../../routing/bgp/speaker/speaker-config.ts";
import { Family } from "../../../wire/bgp/family.ts";

export class OwnNetworks {
  readonly #pods = new Set<Ipv4Addr>();

  /** The kernel has a route to a pod of this node, or has it no more. True: that is news. */
  learn(addr: Ipv4Addr, there: boolean): boolean {
    if (!there) return this.#pods.delete(addr);
    if (this.#pods.has(addr)) return false;
    this.#pods.add(addr);
    return true;
  }

  /**
   * All that is to be originated, by prefix. Addresses inside own blocks are left out: they would be told to nobody.
   *
   * @param tunnelAddr of tunl0, where BIRD uses it
   */
  wanted(
    blocks: readonly Prefix[],
    services: readonly Prefix[],
    tunnelAddr: Ipv4Addr | undefined,
  ): Map<string, Prefix> {
    const wanted = new Map<string, Prefix>();
    for (const prefix of [...blocks, ...services]) wanted.set(formatPrefix(prefix), prefix);
    for (const addr of tunnelAddr === undefined ? this.#pods : [...this.#pods, tunnelAddr]) {
      const prefix = { addr, len: 32 };
      if (blocks.some((block) => block.len <= prefix.len && contains(block, prefix.addr))) continue;
      wanted.set(formatPrefix(prefix), prefix);
    }
    return wanted;
  }
}

/** @param localPref what iBGP is told; undefined: the usual one */
export function ownNetwork({ addr, len }: Prefix, localPref: number | undefined): NetworkConfig {
  return {
    prefix: { family: Family.IPV4_UNICAST, a: addr, b: 0, c: 0, d: 0, len },
    nextHop: NEXT_HOP_SELF,
    ...(localPref === undefined ? {} : { localPref }),
  };
}
