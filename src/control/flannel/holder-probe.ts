// Is the holder of an etcd lease alive? A lease's value names an address but no process, so a node that finds its own
// address in the store cannot tell its own orphan, left by a kill -9, from another live node with the same address. The
// time to live tells: a live holder refreshes it every third, an orphan's only falls.
//
// The rule, for a lease of G seconds whose time to live is read about every second:
//   - it is above what it could be had nobody refreshed it since the first reading: alive;
//   - more than 0.37 G + 1 s have passed since the last refresh (G less the time to live): dead. A refresh is due after
//     G/3, 10 % more at most;
//   - G is above five minutes: flanneld's kind of lease, which is never refreshed but replaced once a day. Nothing can be
//     said, so the holder counts as dead, as it does for flanneld.
import { type Instant, SEC_US } from "../../base/time.ts";

/** Leases longer than this are not judged by their refreshing, in seconds. */
const JUDGED_TTL_MAX_SEC = 300;

export type HolderVerdict = "alive" | "dead" | "gone" | "unknown";

/** The readings of one lease. */
export class HolderProbe {
  #first: { readonly ttlSec: number; readonly heardAt: Instant } | undefined;

  /**
   * Takes a reading.
   * @param sentAt when the question was sent, @param heardAt when its answer came: the server looked in between
   * @param ttlSec seconds left, rounded down; below zero: the lease does not exist
   */
  judge(ttlSec: number, grantedTtlSec: number, sentAt: Instant, heardAt: Instant): HolderVerdict {
    if (ttlSec < 0) return "gone";
    if (grantedTtlSec > JUDGED_TTL_MAX_SEC) return "dead";
    const first = this.#first;
    // At the first reading less than ttlSec + 1 s were left, and at least sentAt - heardAt have passed since.
    if (first !== undefined && ttlSec >= first.ttlSec + 1 - (sentAt - first.heardAt) / SEC_US) return "alive";
    if (grantedTtlSec - ttlSec > 0.37 * grantedTtlSec + 1) return "dead";
    this.#first ??= { ttlSec, heardAt };
    return "unknown";
  }

  /** The store was out of reach in between; a store that comes back gives every lease its full time again. */
  reset(): void {
    this.#first = undefined;
  }
}
