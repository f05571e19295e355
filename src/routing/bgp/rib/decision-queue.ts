import type { Family } from "../../../wire/bgp/family.ts";
import type { RibDestination } from "./rib-destination.ts";

/**
 * Destinations that wait for a decision, each once, first come, first served. Those of a family that is held wait aside until it
 * is released. @rfc 4724#4.1
 */
export class DecisionQueue {
  /** What is being taken out, from `#next` on; what comes in meanwhile. Two arrays, so that no shift moves anything. */
  #batch: RibDestination[] = [];
  #next = 0;
  #incoming: RibDestination[] = [];
  readonly #held = new Map<Family, RibDestination[]>();

  /** How many there are; those of held families count until their turn comes. */
  get size(): number {
    return this.#batch.length - this.#next + this.#incoming.length;
  }

  /** No-op if it waits already. */
  push(dest: RibDestination): void {
    if (dest.dirty) return;
    dest.dirty = true;
    this.#incoming.push(dest);
  }

  /** Takes out the next. */
  shift(): RibDestination | undefined {
    for (;;) {
      const dest = this.#take();
      if (dest === undefined) return undefined;
      const aside = this.#held.size === 0 ? undefined : this.#held.get(dest.family);
      if (aside === undefined) {
        dest.dirty = false;
        return dest;
      }
      aside.push(dest);
    }
  }

  hold(family: Family): void {
    if (!this.#held.has(family)) this.#held.set(family, []);
  }

  release(family: Family): void {
    const waiting = this.#held.get(family) ?? [];
    this.#held.delete(family);
    for (const dest of waiting) this.#incoming.push(dest);
  }

  #take(): RibDestination | undefined {
    if (this.#next === this.#batch.length) {
      if (this.#incoming.length === 0) return undefined;
      this.#batch = this.#incoming;
      this.#incoming = [];
      this.#next = 0;
    }
    const dest = this.#batch[this.#next++];
    if (this.#next === this.#batch.length) {
      this.#batch = [];
      this.#next = 0;
    }
    return dest;
  }
}
