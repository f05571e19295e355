// Path MTUs that ICMP taught us: RFC 1191, with the limits of Linux's next-hop exceptions.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { type Instant, SEC_US } from "../../base/time.ts";

/**
 * What a socket does about fragmentation: the values of Linux's `IP_MTU_DISCOVER`. WANT sets don't-fragment on what fits
 * the path MTU and fragments what does not; DO refuses what does not fit; DONT leaves it to whoever is in the way.
 */
export const PathMtuDiscovery = { DONT: 0, WANT: 1, DO: 2 } as const;

/** `df` as sockets take it: true = DO, false = DONT, absent = WANT, Linux's default. */
export function pathMtuDiscovery(df: boolean | undefined): number {
  if (df === undefined) return PathMtuDiscovery.WANT;
  return df ? PathMtuDiscovery.DO : PathMtuDiscovery.DONT;
}

/** `net.ipv4.route.min_pmtu`: nobody may talk us below this. */
const MIN_PMTU_BYTES = 552;
/** `net.ipv4.route.mtu_expires`. */
const PMTU_EXPIRES_US = 600 * SEC_US;
/** Destinations remembered at once; the one learnt longest ago gives way. */
const CAPACITY = 1024;

interface PathMtu {
  readonly mtuBytes: number;
  /** The router asked for less than the minimum: send without don't-fragment instead. */
  readonly locked: boolean;
  readonly expires: Instant;
}

/** Path MTU by destination, for what this host sends itself; forwarded packets see the device's MTU only, as in Linux. */
export class PathMtuTable {
  /** Keyed by `dst | 0`: a small integer, where `dst` itself may be a heap number. */
  readonly #byDst = new Map<number, PathMtu>();

  get size(): number {
    return this.#byDst.size;
  }

  /**
   * Takes a router's word for it (`__ip_rt_update_pmtu`): while an entry is locked, nobody's.
   *
   * @param mtuBytes next-hop MTU of the frag-needed message; 0 from routers older than RFC 1191
   * @param oldBytes what we would use now: larger news are ignored
   * @returns is it believed? @rfc 1191#3
   */
  learn(dst: Ipv4Addr, mtuBytes: number, oldBytes: number, now: Instant): boolean {
    if (mtuBytes > oldBytes || !this.mayDontFragment(dst, now)) return false;
    const locked = mtuBytes < MIN_PMTU_BYTES;
    const believed = locked ? Math.min(oldBytes, MIN_PMTU_BYTES) : mtuBytes;
    const key = dst | 0;
    this.#byDst.delete(key);
    if (this.#byDst.size >= CAPACITY) this.#dropOldest();
    this.#byDst.set(key, { mtuBytes: believed, locked, expires: now + PMTU_EXPIRES_US });
    return true;
  }

  /** Path MTU in bytes, or 0 when nothing smaller than the link's was learnt. */
  lookup(dst: Ipv4Addr, now: Instant): number {
    const entry = this.#find(dst, now);
    return entry === undefined ? 0 : entry.mtuBytes;
  }

  /** May packets to `dst` carry don't-fragment? */
  mayDontFragment(dst: Ipv4Addr, now: Instant): boolean {
    const entry = this.#find(dst, now);
    return entry === undefined || !entry.locked;
  }

  clear(): void {
    this.#byDst.clear();
  }

  #find(dst: Ipv4Addr, now: Instant): PathMtu | undefined {
    if (this.#byDst.size === 0) return undefined;
    const key = dst | 0;
    const entry = this.#byDst.get(key);
    if (entry === undefined) return undefined;
    if (now < entry.expires) return entry;
    this.#byDst.delete(key);
    return undefined;
  }

  #dropOldest(): void {
    for (const key of this.#byDst.keys()) {
      this.#byDst.delete(key);
      return;
    }
  }
}
