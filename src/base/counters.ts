import { type DropReason, dropReasonName } from "./drop-reason.ts";

/** How many packets ended for which reason. Counting allocates only when a reason is seen for the first time. */
export class DropCounters {
  readonly #byReason = new Map<DropReason, number>();
  #total = 0;

  /** All drops together. */
  get total(): number {
    return this.#total;
  }

  /** Counts one drop. */
  count(reason: DropReason): void {
    this.#byReason.set(reason, (this.#byReason.get(reason) ?? 0) + 1);
    this.#total++;
  }

  /** Drops for `reason` so far. */
  get(reason: DropReason): number {
    return this.#byReason.get(reason) ?? 0;
  }

  /** What was counted, `[name, count]` sorted by name; a copy. */
  entries(): [name: string, count: number][] {
    const rows: [string, number][] = [];
    for (const [reason, count] of this.#byReason) rows.push([dropReasonName(reason), count]);
    return rows.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}
