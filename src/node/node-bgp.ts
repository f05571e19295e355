// The BGP side of a node: one speaker, which the agent owns and changes, at its sockets.

import type { AgentBgp } from "../agent/node-agent.ts";
import { contains, formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { BgpDriver, type OtherOutput } from "../io/bgp/bgp-driver.ts";
import type { Clock } from "../io/clock.ts";
import type { CarrierMap } from "../io/host-address.ts";

/** What the loopback interface shows of an address. */
const LOW_24 = 0xff_ffff;
/** So many calls from addresses of nobody are remembered. */
const STRANGERS_MAX = 1024;

export interface NodeBgpOptions {
  readonly bgp: AgentBgp;
  readonly port: number;
  readonly carriers: CarrierMap;
  readonly clock: Clock;
  readonly onOutput: (output: OtherOutput) => void;
}

export class NodeBgp {
  readonly #options: NodeBgpOptions;
  readonly #driver: BgpDriver;
  /** Socket addresses that no neighbour was known to have; a call from a stranger must not cost a walk over all each time. */
  readonly #strangers = new Set<string>();
  #known = 0;

  constructor(options: NodeBgpOptions) {
    this.#options = options;
    const { bgp, port, carriers, clock, onOutput } = options;
    this.#driver = new BgpDriver({
      speaker: bgp.speaker,
      ids: bgp.ids,
      clock,
      listen: bgp.addresses.map((addr) => ({ addr, port })),
      carry: (addr) => formatIpv4(carriers.learn(addr)),
      uncarry: (host) => this.#uncarry(host),
      onOutput,
    });
  }

  /** Listens, and starts the speaker. @throws PodloomError PL_BGP_PORT, PL_BGP_MD5 */
  start(): Promise<void> {
    return this.#driver.start();
  }

  /** The speaker has been changed: what follows is carried out at the end of this turn. */
  turn(): void {
    this.#driver.change(() => {});
  }

  /** Never rejects. @param silent without a word, so that the neighbours keep our routes over a restart */
  stop(silent: boolean): Promise<void> {
    return this.#driver.stop(silent ? { silent } : {});
  }

  /** Whose socket address it is. On the loopback interface the first octet cannot be seen: a neighbour that has the rest is taken for it. */
  #uncarry(host: string): Ipv4Addr | undefined {
    const addr = parseIpv4(host);
    if (addr === undefined) return undefined;
    const { carriers, bgp } = this.#options;
    if (carriers.carrier === "host") return addr;
    const neighbors = bgp.speaker.neighbors.dump();
    if (neighbors.length !== this.#known) {
      this.#known = neighbors.length;
      this.#strangers.clear();
    }
    if (this.#strangers.size >= STRANGERS_MAX) this.#strangers.clear();
    if (!this.#strangers.has(host)) {
      this.#strangers.add(host);
      const same = neighbors.find(({ neighbor }) => (neighbor.addr & LOW_24) === (addr & LOW_24));
      if (same !== undefined) carriers.learn(same.neighbor.addr);
    }
    if (carriers.knows(addr)) return carriers.underlayOf(addr);
    for (const range of bgp.ranges) {
      const candidate = ((range.addr & ~LOW_24) | (addr & LOW_24)) >>> 0;
      if (contains(range, candidate)) return candidate;
    }
    return carriers.underlayOf(addr);
  }
}
