// Graceful restart as the helper: what becomes of a neighbour's routes while it is away. Read RFC 4724 section 4.2 first, then
// RFC 8538. The routes themselves are elsewhere; this says which families hold stale ones, and until when.
import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import { CeaseError, ErrorCode } from "../../../wire/bgp/errors.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { GracefulRestartConfig } from "./peer-config.ts";
import type { DownReason } from "./peer-messages.ts";

/**
 * The families whose routes outlive a session that ended so. After a NOTIFICATION, none, unless both sides have said that they
 * mean it so (N), and never after a hard reset. @rfc 4724#4.2 @rfc 8538#4
 */
export function survivingFamilies(
  negotiated: Negotiated,
  config: GracefulRestartConfig | undefined,
  reason: DownReason,
): readonly Family[] {
  const gr = negotiated.gracefulRestart;
  if (gr === undefined || config === undefined || gr.restartTimeSec === 0) return [];
  if (reason.t === "local" || reason.t === "remote") {
    const { code, subcode } = reason.notice;
    if (!gr.notification || !config.notification) return [];
    if (code === ErrorCode.CEASE && subcode === CeaseError.HARD_RESET) return [];
  }
  return gr.families
    .map((one) => one.family)
    .filter((family, i, all) => negotiated.families.includes(family) && all.indexOf(family) === i);
}

export class StaleRoutes {
  readonly #families = new Set<Family>();
  /** When the neighbour must be back, or, once it is, when it must have sent everything. */
  #until: Instant = NEVER;
  #back = false;

  get size(): number {
    return this.#families.size;
  }

  has(family: Family): boolean {
    return this.#families.has(family);
  }

  nextDeadline(): Instant {
    return this.#until;
  }

  /** Is it the neighbour's return that is awaited, rather than its End-of-RIBs? */
  get awaitsReturn(): boolean {
    return this.#families.size > 0 && !this.#back;
  }

  /** The session is lost. From now on the routes of these families are stale. */
  keep(families: readonly Family[], timeSec: number, now: Instant): void {
    this.#families.clear();
    for (const family of families) this.#families.add(family);
    this.#back = false;
    this.#until = families.length > 0 ? now + timeSec * SEC_US : NEVER;
  }

  /**
   * The neighbour has sent a new OPEN: takes out and returns the families that it does not speak of any more, or whose forwarding
   * it has not preserved. @rfc 4724#4.2
   */
  reopened(negotiated: Negotiated): Family[] {
    const listed = negotiated.gracefulRestart?.families ?? [];
    return this.#take((family) => {
      const entry = listed.findLast((one) => one.family === family);
      return entry?.forwarding !== true || !negotiated.families.includes(family);
    });
  }

  /** The session is Established again: the End-of-RIBs must come within `timeSec`. */
  returned(timeSec: number, now: Instant): void {
    this.#back = true;
    if (this.#families.size > 0) this.#until = now + timeSec * SEC_US;
  }

  /** Takes the family out; false when it held nothing stale. */
  end(family: Family): boolean {
    return this.#take((one) => one === family).length > 0;
  }

  /** Takes out and returns all families if their time has come. */
  expire(now: Instant): Family[] {
    return now < this.#until ? [] : this.takeAll();
  }

  takeAll(): Family[] {
    return this.#take(() => true);
  }

  #take(which: (family: Family) => boolean): Family[] {
    const taken = [...this.#families].filter(which);
    for (const family of taken) this.#families.delete(family);
    if (this.#families.size === 0) this.#until = NEVER;
    return taken;
  }
}
