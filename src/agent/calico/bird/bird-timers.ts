// BIRD's times (specs on Calico, section 3.1), and faster ones for labs that are to converge in seconds.

export type TimerProfile = "calico" | "fast";

/** In seconds. The keepalive time is a third of the hold time. */
export interface BirdTimers {
  readonly connectDelaySec: number;
  readonly connectRetrySec: number;
  /** After an error: the first wait, doubled with each further one up to the second. */
  readonly errorWaitSec: readonly [number, number];
  readonly holdTimeSec: number;
  /** How long peers are asked to keep our routes. */
  readonly restartTimeSec: number;
  /** After a restart: how long peers' routes are awaited at most. */
  readonly recoveryWaitSec: number;
}

/** What Calico leaves unset is BIRD's default. */
const CALICO: BirdTimers = {
  connectDelaySec: 2,
  connectRetrySec: 5,
  errorWaitSec: [5, 30],
  holdTimeSec: 240,
  restartTimeSec: 120,
  recoveryWaitSec: 240,
};

/** Sessions at once, a silent peer noticed in 9 s, a restart given up after 30 s. Not Calico's: a lab must say that it runs on these. */
const FAST: BirdTimers = {
  connectDelaySec: 0,
  connectRetrySec: 1,
  errorWaitSec: [1, 2],
  holdTimeSec: 9,
  restartTimeSec: 30,
  recoveryWaitSec: 15,
};

export const BIRD_TIMERS: Readonly<Record<TimerProfile, BirdTimers>> = { calico: CALICO, fast: FAST };
