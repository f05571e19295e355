import { type Rng, unit } from "../../base/rng.ts";
import { type Instant, MS_US } from "../../base/time.ts";

/** Longest wait of the first retry, in microseconds. */
const BACKOFF_FIRST_US = 50 * MS_US;
/** Longest wait of any retry, in microseconds. */
const BACKOFF_CAP_US = 2_000 * MS_US;

/**
 * Full-jitter backoff: each wait is uniform between zero and a ceiling that doubles from 50 ms to 2 s. The jitter is the
 * point: two hundred nodes that lost the store together must not find it again together.
 */
export class Backoff {
  readonly #rng: Rng;
  readonly #firstUs: number;
  readonly #capUs: number;
  #attempt = 0;

  /** @param firstUs ceiling of the first wait; @param capUs ceiling of any wait; both in microseconds. */
  constructor(rng: Rng, firstUs: number = BACKOFF_FIRST_US, capUs: number = BACKOFF_CAP_US) {
    this.#rng = rng;
    this.#firstUs = firstUs;
    this.#capUs = capUs;
  }

  /** The moment of the next attempt. Each call counts as one failure. */
  next(now: Instant): Instant {
    const ceiling = Math.min(this.#capUs, this.#firstUs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return now + Math.floor(unit(this.#rng) * ceiling);
  }

  /** Something worked: the next failure waits briefly again. */
  reset(): void {
    this.#attempt = 0;
  }
}
