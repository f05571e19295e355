import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";

/**
 * This speaker has restarted: in which families it must not choose routes yet, because neighbours that kept ours have not told all of
 * theirs. Methods return the families whose turn has come: choose, advertise, and send the End-of-RIB. @rfc 4724#4.1
 *
 * @typeParam P whatever stands for a neighbour
 */
export class RestartDeferral<P> {
  /** For each family the neighbours whose End-of-RIB is awaited. A family that is not in it is not deferred. */
  readonly #awaited = new Map<Family, Set<P>>();
  #until: Instant;

  /**
   * Awaits all neighbours that are expected to come.
   *
   * @param deferralSec when to stop waiting, whoever is missing
   */
  constructor(
    neighbors: Iterable<{ readonly peer: P; readonly families: readonly Family[] }>,
    deferralSec: number,
    now: Instant,
  ) {
    for (const { peer, families } of neighbors) {
      for (const family of families) {
        const peers = this.#awaited.get(family);
        if (peers === undefined) this.#awaited.set(family, new Set([peer]));
        else peers.add(peer);
      }
    }
    this.#until = this.#awaited.size > 0 ? now + deferralSec * SEC_US : NEVER;
  }

  /** Another neighbour is expected, in families that are deferred still; the time stays what it was. */
  expect(peer: P, families: readonly Family[]): void {
    for (const family of families) this.#awaited.get(family)?.add(peer);
  }

  /** Must the choice of routes in this family wait? */
  deferred(family: Family): boolean {
    return this.#awaited.has(family);
  }

  /** Is nothing deferred any more? */
  get done(): boolean {
    return this.#awaited.size === 0;
  }

  nextDeadline(): Instant {
    return this.#until;
  }

  /**
   * A session is Established. Nothing is awaited of a neighbour that does not know of graceful restart, or has restarted itself and
   * waits for us; nor in families that it does not speak.
   */
  peerUp(peer: P, negotiated: Negotiated): Family[] {
    const gr = negotiated.gracefulRestart;
    const tells = gr !== undefined && !gr.restarting;
    return this.#settle(peer, (family) => !tells || !negotiated.families.includes(family));
  }

  endOfRib(peer: P, family: Family): Family[] {
    return this.#settle(peer, (one) => one === family);
  }

  /** The neighbour is not expected any more: it was stopped or removed. One that is merely down still is. */
  forget(peer: P): Family[] {
    return this.#settle(peer, () => true);
  }

  /** All families, if the time is over. */
  expire(now: Instant): Family[] {
    if (now < this.#until) return [];
    const families = [...this.#awaited.keys()];
    this.#awaited.clear();
    this.#until = NEVER;
    return families;
  }

  #settle(peer: P, which: (family: Family) => boolean): Family[] {
    const released: Family[] = [];
    for (const [family, peers] of this.#awaited) {
      if (!which(family) || !peers.delete(peer) || peers.size > 0) continue;
      this.#awaited.delete(family);
      released.push(family);
    }
    if (this.#awaited.size === 0) this.#until = NEVER;
    return released;
  }
}
