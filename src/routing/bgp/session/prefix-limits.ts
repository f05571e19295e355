import type { Family } from "../../../wire/bgp/family.ts";
import type { FamilyConfig, PrefixLimit } from "./peer-config.ts";

/** Watches how many prefixes a neighbour has announced. @rfc 4271#6.7 */
export class PrefixLimits {
  readonly #limits = new Map<Family, PrefixLimit>();
  readonly #warned = new Set<Family>();

  constructor(families: readonly FamilyConfig[]) {
    for (const { family, prefixLimit } of families) {
      if (prefixLimit !== undefined) this.#limits.set(family, prefixLimit);
    }
  }

  limitOf(family: Family): PrefixLimit | undefined {
    return this.#limits.get(family);
  }

  /** A new count: nothing to say, a warning (once, until the count has been lower again), or too many. */
  judge(family: Family, count: number): "fine" | "warn" | "exceeded" {
    const limit = this.#limits.get(family);
    if (limit === undefined) return "fine";
    if (count > limit.limit) return "exceeded";
    if (count * 100 < limit.limit * limit.warnPercent) {
      this.#warned.delete(family);
      return "fine";
    }
    if (this.#warned.has(family)) return "fine";
    this.#warned.add(family);
    return "warn";
  }

  /** A session has ended: nothing is warned of. */
  reset(): void {
    this.#warned.clear();
  }
}
