import type { Instant } from "../../../base/time.ts";
import { NEVER } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { Rib } from "../rib/rib.ts";
import type { RibsOut } from "../rib/ribs-out.ts";
import type { Neighbor } from "./neighbor.ts";
import { RestartDeferral } from "./restart-deferral.ts";

/**
 * After a restart of this speaker: holds the choice of routes, and what would be told of it, until the neighbours have told theirs.
 * Every method answers the families that are held no more. @rfc 4724#4.1
 */
export class RestartHold {
  readonly #rib: Rib;
  readonly #out: RibsOut;
  readonly #deferral: RestartDeferral<Neighbor | "strangers">;
  readonly #held = new Set<Family>();
  /** All that were held from the beginning. */
  readonly families: readonly Family[];

  /**
   * @param strangers families of those who may call from a range: nobody knows how many were there, so their time is awaited
   */
  constructor(
    rib: Rib,
    out: RibsOut,
    expected: readonly Neighbor[],
    strangers: readonly Family[],
    deferralSec: number,
    now: Instant,
  ) {
    this.#rib = rib;
    this.#out = out;
    const named = expected.map((neighbor) => ({
      peer: neighbor,
      families: neighbor.peer.config.families.map((one) => one.family),
    }));
    const peers = [...named, { peer: "strangers", families: strangers } as const];
    this.#deferral = new RestartDeferral<Neighbor | "strangers">(peers, deferralSec, now);
    this.families = [...new Set(peers.flatMap((one) => one.families))];
    for (const family of this.families) {
      this.#held.add(family);
      rib.hold(family);
      out.hold(family);
    }
  }

  /** One that came in late. */
  expect(neighbor: Neighbor): void {
    this.#deferral.expect(
      neighbor,
      neighbor.peer.config.families.map((one) => one.family),
    );
  }

  get done(): boolean {
    return this.#held.size === 0;
  }

  nextDeadline(): Instant {
    return this.done ? NEVER : this.#deferral.nextDeadline();
  }

  peerUp(neighbor: Neighbor, negotiated: Negotiated, now: Instant): readonly Family[] {
    return this.#release(this.#deferral.peerUp(neighbor, negotiated), now);
  }

  endOfRib(neighbor: Neighbor, family: Family, now: Instant): readonly Family[] {
    return this.#release(this.#deferral.endOfRib(neighbor, family), now);
  }

  /** The neighbour is not expected any more. */
  forget(neighbor: Neighbor, now: Instant): readonly Family[] {
    return this.#release(this.#deferral.forget(neighbor), now);
  }

  expire(now: Instant): readonly Family[] {
    return this.#release(this.#deferral.expire(now), now);
  }

  #release(families: readonly Family[], now: Instant): readonly Family[] {
    for (const family of families) {
      if (!this.#held.delete(family)) continue;
      this.#rib.release(family);
      this.#out.release(family, now);
    }
    return families;
  }
}
