import { contains, formatIpv4, type Ipv4Addr, type Prefix, parseIpv4 } from "../../base/ipv4-addr.ts";
import { CarrierMap, hostAddress } from "../../io/host-address.ts";
import type { SpeakerPlan } from "./plan.ts";

const LOW_24 = 0xff_ffff;

/** Which address on this machine carries which address of a plan. */
export class Carriers {
  readonly #map: CarrierMap;
  readonly #known: ReadonlySet<Ipv4Addr>;
  /** The longest prefixes first. */
  readonly #ranges: readonly Prefix[];

  /** @throws PodloomError as {@link CarrierMap}; of a plan that was resolved here, nothing */
  constructor(plan: SpeakerPlan) {
    this.#map = new CarrierMap(plan.address, plan.carrier);
    const addresses = [...plan.listen, ...plan.neighbors].map(({ addr }) => addr);
    for (const addr of addresses) this.#map.learn(addr);
    this.#known = new Set(addresses.map((addr) => hostAddress(addr, plan.carrier)));
    this.#ranges = plan.ranges.map(({ prefix }) => prefix).sort((x, y) => y.len - x.len);
  }

  /** The socket address that carries `addr`. @throws PodloomError when nothing can */
  carry(addr: Ipv4Addr): string {
    return formatIpv4(hostAddress(addr, this.#map.carrier));
  }

  /**
   * Whose socket address it is. One that no neighbour has is taken to be of the range that it could be of, else of our own network:
   * the first octet cannot be seen on the loopback interface. Undefined: it carries nobody.
   */
  uncarry(host: string): Ipv4Addr | undefined {
    const addr = parseIpv4(host);
    if (addr === undefined || this.#map.carrier === "host") return addr;
    if (addr >>> 24 !== 127) return undefined;
    if (this.#known.has(addr)) return this.#map.underlayOf(addr);
    for (const range of this.#ranges) {
      const candidate = ((range.addr & ~LOW_24) | (addr & LOW_24)) >>> 0;
      if (contains(range, candidate)) return candidate;
    }
    return this.#map.underlayOf(addr);
  }
}
