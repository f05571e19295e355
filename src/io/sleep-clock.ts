import { platform, uptime } from "node:os";
import { performance } from "node:perf_hooks";

/** Tells how long the machine has slept, while the monotonic clock stood still. */
export interface SleepClock {
  /** Microseconds since an arbitrary moment; never less than before. */
  sleptUs(): number;
}

/** What the operating system tells of time, in milliseconds. */
export interface SystemTimes {
  /** Stands still while the machine sleeps: CLOCK_MONOTONIC on Linux. */
  monotonicMs(): number;
  /** Goes on, and may be set: CLOCK_REALTIME. Cheap to read. */
  wallMs(): number;
  /** Goes on, and cannot be set: CLOCK_BOOTTIME on Linux, with a resolution of 10 ms. Costs a system call or three. */
  uptimeMs(): number;
}

const SYSTEM: SystemTimes = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: () => uptime() * 1000,
};

/** The wall clock may drift away from the monotonic one by so much before anybody asks why. */
const WALL_STEP_MS = 50;
/** Less than this, between the uptime and the monotonic clock, is how finely the system tells the uptime. */
const RESOLUTION_MS = platform() === "linux" ? 50 : 1_500;

/**
 * The machine's own sleep clock. Every question costs two readings of fast clocks: only when the wall clock was set, which a
 * sleep does too, is the uptime asked which of the two it was. A virtual machine whose host stops it for a while is not told:
 * none of its clocks runs then.
 */
export class SystemSleepClock implements SleepClock {
  readonly #times: SystemTimes;
  /** Wall clock less monotonic clock, as last seen. */
  #wallMs: number;
  /** Uptime less monotonic clock, in the beginning. */
  readonly #uptimeMs: number;
  #sleptMs = 0;

  constructor(times: SystemTimes = SYSTEM) {
    this.#times = times;
    this.#wallMs = times.wallMs() - times.monotonicMs();
    this.#uptimeMs = times.uptimeMs() - times.monotonicMs();
  }

  sleptUs(): number {
    const wallMs = this.#times.wallMs() - this.#times.monotonicMs();
    if (Math.abs(wallMs - this.#wallMs) > WALL_STEP_MS) {
      this.#wallMs = wallMs;
      const sleptMs = this.#times.uptimeMs() - this.#times.monotonicMs() - this.#uptimeMs;
      if (sleptMs > this.#sleptMs + RESOLUTION_MS) this.#sleptMs = sleptMs;
    }
    return Math.floor(this.#sleptMs * 1000);
  }
}
