import { randomFillSync } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Rng } from "../base/rng.ts";
import type { Instant } from "../base/time.ts";

/** A source of moments. Only shells hold one; pure code is told `now`. */
export interface Clock {
  /** Monotonic, integer microseconds since an arbitrary origin (the start of the process). */
  now(): Instant;
}

/** The process's monotonic clock. It stands still while the machine sleeps, as CLOCK_MONOTONIC does on Linux. */
export class MonotonicClock implements Clock {
  now(): Instant {
    // performance.now() is CLOCK_MONOTONIC in fractional milliseconds; it allocates nothing, hrtime() returns an array.
    return Math.floor(performance.now() * 1000);
  }
}

/**
 * The operating system's randomness, drawn 64 words at a time. Not a seeded generator: a 32-bit seed would give two of a
 * thousand nodes the same MAC addresses about once in ten thousand labs.
 */
export class SystemRng implements Rng {
  readonly #words = new Uint32Array(64);
  #next = 64;

  u32(): number {
    if (this.#next === this.#words.length) {
      randomFillSync(this.#words);
      this.#next = 0;
    }
    return this.#words[this.#next++] as number;
  }
}
