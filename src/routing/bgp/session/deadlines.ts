import { type Instant, NEVER } from "../../../base/time.ts";
import type { BgpTimer, FsmEvent } from "./fsm-types.ts";

const TIMERS: readonly BgpTimer[] = [
  "connectRetry",
  "hold",
  "keepalive",
  "delayOpen",
  "idleHold",
  "sendHold",
];

/** What it means to a machine that a timer is due. */
export const TIMER_EVENTS: Readonly<Record<BgpTimer, FsmEvent>> = {
  connectRetry: { t: "ConnectRetryTimerExpires" },
  hold: { t: "HoldTimerExpires" },
  keepalive: { t: "KeepaliveTimerExpires" },
  delayOpen: { t: "DelayOpenTimerExpires" },
  idleHold: { t: "IdleHoldTimerExpires" },
  sendHold: { t: "SendHoldTimerExpires" },
};

/**
 * The timers of one connection's machine. Most are re-armed with every message, so {@link wakeAt} moves later only when it has
 * come and nothing was due: whoever waits for it re-arms its own timer once a hold time, not once a message. The KEEPALIVE timer is
 * nearly always the first, and re-armed by what is written: it moves at once, or an idle session would wake for nothing.
 */
export class Deadlines {
  readonly #at: Record<BgpTimer, Instant> = {
    connectRetry: NEVER,
    hold: NEVER,
    keepalive: NEVER,
    delayOpen: NEVER,
    idleHold: NEVER,
    sendHold: NEVER,
  };
  #wakeAt: Instant = NEVER;

  /** When {@link due} is worth asking: no later than the first timer, possibly earlier. */
  get wakeAt(): Instant {
    return this.#wakeAt;
  }

  /** When the timer is due; NEVER while it does not run. */
  at(timer: BgpTimer): Instant {
    return this.#at[timer];
  }

  arm(timer: BgpTimer, at: Instant): void {
    const before = this.#at[timer];
    this.#at[timer] = at;
    if (at < this.#wakeAt) this.#wakeAt = at;
    else if (timer === "keepalive" && before === this.#wakeAt) this.#wakeAt = this.#first();
  }

  cancel(timer: BgpTimer): void {
    if (this.#at[timer] === NEVER) return;
    this.#at[timer] = NEVER;
    this.#wakeAt = this.#first();
  }

  cancelAll(): void {
    for (const timer of TIMERS) this.#at[timer] = NEVER;
    this.#wakeAt = NEVER;
  }

  /** Stops and returns the timer that is due longest, or undefined when none is. */
  due(now: Instant): BgpTimer | undefined {
    if (now < this.#wakeAt) return undefined;
    let first: BgpTimer | undefined;
    for (const timer of TIMERS) {
      if (this.#at[timer] <= now && (first === undefined || this.#at[timer] < this.#at[first])) first = timer;
    }
    if (first !== undefined) this.#at[first] = NEVER;
    this.#wakeAt = this.#first();
    return first;
  }

  #first(): Instant {
    let first = NEVER;
    for (const timer of TIMERS) first = Math.min(first, this.#at[timer]);
    return first;
  }
}
