import { platform } from "node:os";
import { beforeEach, describe, expect, test } from "vitest";
import { SystemSleepClock } from "../../../src/io/sleep-clock.ts";

/** A machine: what its clocks show, and how often the dear one was read. */
const machine = {
  monotonic: 0,
  wall: 0,
  uptime: 0,
  asked: 0,
  monotonicMs: () => machine.monotonic,
  wallMs: () => machine.wall,
  uptimeMs: () => {
    machine.asked++;
    return machine.uptime;
  },
};

function pass(ms: number): void {
  machine.monotonic += ms;
  machine.wall += ms;
  machine.uptime += ms;
}
function sleep(ms: number): void {
  machine.wall += ms;
  machine.uptime += ms;
}

beforeEach(() => {
  Object.assign(machine, { monotonic: 1_234.567, wall: 1.7e12, uptime: 86_400_000, asked: 0 });
});

describe("how long the machine has slept", () => {
  test("is told at once, and added up", () => {
    const clock = new SystemSleepClock(machine);
    pass(5_000);
    sleep(60_000);
    expect(clock.sleptUs()).toBe(60_000_000);
    pass(5_000);
    sleep(3_000);
    pass(1);
    expect(clock.sleptUs()).toBe(63_000_000);
  });

  test("is nothing when somebody sets the wall clock, forwards or back", () => {
    const clock = new SystemSleepClock(machine);
    for (const stepMs of [3_600_000, -7_200_000]) {
      machine.wall += stepMs;
      expect(clock.sleptUs()).toBe(0);
    }
    sleep(2_000);
    expect(clock.sleptUs()).toBe(2_000_000);
  });

  test("is found although the wall clock is set back by as much later on", () => {
    const clock = new SystemSleepClock(machine);
    sleep(9_000);
    expect(clock.sleptUs()).toBe(9_000_000);
    machine.wall -= 9_000;
    expect(clock.sleptUs()).toBe(9_000_000);
  });

  test("is asked of the slow clock only when there is a reason", () => {
    const clock = new SystemSleepClock(machine);
    for (let i = 0; i < 1_000; i++) {
      pass(10);
      clock.sleptUs();
    }
    expect(machine.asked).toBe(1);
  });

  test("is asked when the wall clock has gone 50 ms astray, at once or little by little, and not before", () => {
    const clock = new SystemSleepClock(machine);
    for (const [stepMs, asked] of [
      [50, 1],
      [1, 2],
      [-50, 2],
      [-1, 3],
    ] as const) {
      machine.wall += stepMs;
      clock.sleptUs();
      expect(machine.asked).toBe(asked);
    }
  });

  test.runIf(platform() === "linux")("is told from 50 ms on: less is how finely the uptime is told", () => {
    const clock = new SystemSleepClock(machine);
    const sleepAndSet = (ms: number): number => {
      sleep(ms);
      machine.wall += 1_000;
      return clock.sleptUs();
    };
    expect(sleepAndSet(50)).toBe(0);
    expect(sleepAndSet(1)).toBe(51_000);
    // The same behind the first sleep: what is too little to be told is not lost.
    expect(sleepAndSet(50)).toBe(51_000);
    expect(sleepAndSet(10)).toBe(111_000);
  });

  test("of this machine, while the test runs, is nothing", () => {
    const clock = new SystemSleepClock();
    const end = performance.now() + 200;
    while (performance.now() < end) expect(clock.sleptUs()).toBe(0);
  });
});
