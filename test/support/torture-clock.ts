// The clock of a machine that can be made to sleep, and whose time can be made to jump.
import type { Instant } from "../../src/base/time.ts";
import { type Clock, MonotonicClock } from "../../src/io/clock.ts";
import type { SleepClock } from "../../src/io/sleep-clock.ts";

/** Real time: what the checks compare. */
const REAL = new MonotonicClock();

export function realNow(): Instant {
  return REAL.now();
}

export class TortureClock implements Clock, SleepClock {
  /** Clock minus real time. */
  #aheadUs = 0;
  #sleptUs = 0;
  /** Since when the machine has been asleep. */
  #asleepAt: Instant | undefined;

  /** The clock that programs go by. */
  now(): Instant {
    return (this.#asleepAt ?? realNow()) + this.#aheadUs;
  }

  /** While the machine sleeps nobody can ask. */
  sleptUs(): number {
    return this.#sleptUs;
  }

  jump(byUs: number): void {
    this.#aheadUs += byUs;
  }

  sleep(): void {
    this.#asleepAt ??= realNow();
  }

  wake(): void {
    if (this.#asleepAt === undefined) return;
    const forUs = realNow() - this.#asleepAt;
    this.#aheadUs -= forUs;
    this.#sleptUs += forUs;
    this.#asleepAt = undefined;
  }

  /** The real time at which this clock will show `at`, if nothing is done to it. */
  toReal(at: Instant): Instant {
    return at - this.#aheadUs;
  }
}
