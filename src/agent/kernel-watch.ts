// When daemons look at what the kernel holds. They do so by the clock; here only when there may be something to see, so that a node
// whose routes are as its daemons left them does not wake for it.
import { type Instant, NEVER, SEC_US } from "../base/time.ts";

/** `scan time 2` of the kernel protocol, in the configuration that Calico gives BIRD. */
export const BIRD_SCAN_US = 2 * SEC_US;

export class KernelWatch {
  readonly #periodUs: number;
  readonly #version: () => number;
  #seen: number;
  #at: Instant = NEVER;

  /**
   * @param periodUs looks are at multiples of it; 0: at once
   * @param version grows with every change of what is looked at
   */
  constructor(periodUs: number, version: () => number) {
    this.#periodUs = periodUs;
    this.#version = version;
    this.#seen = version();
  }

  nextDeadline(): Instant {
    return this.#version() === this.#seen ? this.#at : 0;
  }

  /** Takes note that something may have changed by others' doing: the next look sees it. */
  observe(now: Instant): void {
    const version = this.#version();
    if (version === this.#seen) return;
    this.#seen = version;
    if (this.#at !== NEVER) return;
    this.#at = this.#periodUs === 0 ? now : (Math.floor(now / this.#periodUs) + 1) * this.#periodUs;
  }

  /** What has changed since {@link observe} was our own doing: nothing to look for. */
  disregard(): void {
    this.#seen = this.#version();
  }

  /** Is it time to look? Answers yes once. */
  due(now: Instant): boolean {
    this.observe(now);
    if (now < this.#at) return false;
    this.#at = NEVER;
    return true;
  }
}
