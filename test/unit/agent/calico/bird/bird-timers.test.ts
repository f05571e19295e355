import { expect, test } from "vitest";
import { BIRD_TIMERS } from "../../../../../src/agent/calico/bird/bird-timers.ts";

test("Calico's timers are those of its bird.cfg, and BIRD's own where it says nothing (specs on Calico §3.1)", () => {
  expect(BIRD_TIMERS.calico).toEqual({
    connectDelaySec: 2,
    connectRetrySec: 5,
    errorWaitSec: [5, 30],
    holdTimeSec: 240,
    restartTimeSec: 120,
    recoveryWaitSec: 240,
  });
});
