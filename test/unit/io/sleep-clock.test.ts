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

  test("of this machine, while the test runs, is nothing", () => {
    const clock = new SystemSleepClock();
    const end = performance.now() + 200;
    while (performance.now() < end) expect(clock.sleptUs()).toBe(0);
  });
});
