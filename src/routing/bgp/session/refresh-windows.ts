import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";

/** Which families the neighbour is sending again, between its BoRR and its EoRR, and how long it may take. @rfc 7313#4 */
export class RefreshWindows {
  readonly #until = new Map<Family, Instant>();
  readonly #timeSec: number;

  /** @param timeSec how long a refresh may take */
  constructor(timeSec: number) {
    this.#timeSec = timeSec;
  }

  /** A BoRR; another one amid a refresh begins it anew. */
  begin(family: Family, now: Instant): void {
    this.#until.set(family, now + this.#timeSec * SEC_US);
  }

  /** An EoRR; false when there was no BoRR. */
  end(family: Family): boolean {
    return this.#until.delete(family);
  }

  /** Takes out and returns the families whose time has come. */
  expire(now: Instant): Family[] {
    const due = [...this.#until].filter(([, until]) => until <= now).map(([family]) => family);
    for (const family of due) this.#until.delete(family);
    return due;
  }

  nextDeadline(): Instant {
    let first = NEVER;
    for (const until of this.#until.values()) first = Math.min(first, until);
    return first;
  }

  clear(): void {
    this.#until.clear();
  }
}
