// What this node originates: BIRD's static routes for its blocks and for service ranges, and the routes of single addresses that it
// learns from the kernel.
import {
  contains,
  formatPrefix,
  type Ipv4Addr,
  type Prefix,
  parseCidr,
  prefixOf,
} from "../../../base/ipv4-addr.ts";
import type { CalicoUpdate } from "../../../control/calico/calico-updates.ts";
import type { WorkloadEndpoint } from "../../../control/calico/resources.ts";
import { NEXT_HOP_SELF } from "../../../routing/bgp/rib/route.ts";
import type { NetworkConfig } from "../../../routing/bgp/speaker/speaker-config.ts";
import { Family } from "../../../wire/bgp/family.ts";

export class OwnNetworks {
  readonly #node: string;
  readonly #endpoints = new Map<string, readonly Prefix[]>();

  constructor(node: string) {
    this.#node = node;
  }

  /** True: an endpoint of this node has come, gone or got other addresses. */
  onUpdate(update: CalicoUpdate): boolean {
    if (update.t !== "resource" || update.kind !== "WorkloadEndpoint") return false;
    const { name, value } = update;
    const spec = (value as WorkloadEndpoint | undefined)?.spec;
    if (spec === undefined || spec.node !== this.#node) return this.#endpoints.delete(name);
    this.#endpoints.set(
      name,
      spec.ipNetworks.flatMap((text) => {
        const net = parseCidr(text);
        return net.ok ? [prefixOf(net.value.addr, net.value.len)] : [];
      }),
    );
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
    const singles = [...this.#endpoints.values()].flat();
    if (tunnelAddr !== undefined) singles.push({ addr: tunnelAddr, len: 32 });
    for (const prefix of singles) {
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
