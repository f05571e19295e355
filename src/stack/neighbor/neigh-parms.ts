import { below, type Rng } from "../../base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../base/time.ts";
import type { NudParms } from "./nud.ts";

/** How long one rolled reachable time is used before the next is rolled (`neigh_periodic_work`). */
const REROLL_US = 300 * SEC_US;

/** Neighbour discovery's times and limits of one device, as `net.ipv4.neigh.<dev>.*`. Durations in microseconds. */
export class NeighParms implements NudParms {
  /** `base_reachable_time_ms`: the mean of the random time that an entry stays REACHABLE. */
  baseReachableUs = 30 * SEC_US;
  /** `delay_first_probe_time`: how long DELAY waits for somebody else's confirmation. */
  delayFirstProbeUs = 5 * SEC_US;
  /** `retrans_time_ms`: between two probes. */
  retransUs = SEC_US;
  /** `mcast_solicit`: broadcast probes before FAILED. */
  mcastSolicit = 3;
  /** `ucast_solicit`: unicast probes before FAILED. */
  ucastSolicit = 3;
  /** `gc_stale_time`: unused for so long, an entry may be collected. */
  gcStaleUs = 60 * SEC_US;
  /** `unres_qlen`: packets that wait for one address. */
  unresQlen = 3;
  /** `locktime`: an address that has just changed does not change again, so that the first of several answers counts. */
  locktimeUs = SEC_US;
  /** `proxy_delay`: answers for others wait a random part of it; 0 answers at once. */
  proxyDelayUs = 800 * MS_US;
  /** `proxy_qlen`: requests that wait for their delayed proxy answer. */
  proxyQlen = 64;
  /** How long a confirmation holds now; 0 before the first {@link roll}. */
  reachableUs = 0;
  #rolledAt: Instant = Number.NEGATIVE_INFINITY;

  /** A copy with the same settings: what a new device starts with. */
  clone(): NeighParms {
    return Object.assign(new NeighParms(), this);
  }

  /** Every five minutes, takes another {@link reachableUs}: 0.5 to 1.5 times the base. @rfc 4861#6.3.2 */
  roll(now: Instant, rng: Rng): void {
    if (now - this.#rolledAt <= REROLL_US) return;
    this.#rolledAt = now;
    const base = this.baseReachableUs;
    this.reachableUs = Math.floor(base / 2) + (base === 0 ? 0 : below(rng, base));
  }

  /** The base has changed: the next {@link roll} rolls. */
  reroll(): void {
    this.#rolledAt = Number.NEGATIVE_INFINITY;
  }
}
