// How often a loop sets its timer and is woken by it: each costs an idle process more than its work does. The clock is a fake one.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Instant, NEVER } from "../../../../src/base/time.ts";
import { type SpeakerEngine, SpeakerLoop } from "../../../../src/io/bgp/speaker-loop.ts";
import type { SpeakerInput } from "../../../../src/routing/bgp/speaker/speaker-messages.ts";

const MS = 1000;
const SEC = 1000 * MS;

/** Microseconds of the fake clock. */
function now(): Instant {
  return Date.now() * MS;
}

/** An engine whose deadline is what the test says. */
class DeadlineEngine implements SpeakerEngine {
  deadline: Instant = NEVER;
  /** When it was given a tick, and whether it was due. */
  readonly ticks: { readonly at: Instant; readonly due: boolean }[] = [];
  /** How often it was asked for outputs: once a turn at least. */
  polls = 0;

  handle(input: SpeakerInput, at: Instant): void {
    if (input.t !== "tick") return;
    this.ticks.push({ at, due: this.deadline <= at });
    this.deadline = NEVER;
  }

  poll(): undefined {
    this.polls++;
    return undefined;
  }

  nextDeadline(): Instant {
    return this.deadline;
  }
}

function running() {
  const engine = new DeadlineEngine();
  const loop = new SpeakerLoop({
    speaker: engine,
    clock: { now },
    perform: () => {},
    turned: () => {},
  });
  loop.run();
  vi.advanceTimersByTime(0);
  const setTimer = vi.spyOn(globalThis, "setTimeout");
  /** A message arrives, and the deadline is another one behind it. */
  const hear = (deadline: Instant) => {
    engine.deadline = deadline;
    loop.give({ t: "received", conn: 1, bytes: new Uint8Array(19) });
    vi.advanceTimersByTime(0);
  };
  return { engine, loop, setTimer, hear };
}

/** Lets time pass, and the turn that a timer asked for come: the fake clock has it a millisecond later. */
function pass(ms: number): void {
  vi.advanceTimersByTime(ms);
  vi.advanceTimersByTime(1);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "Date"] });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("the timer of a loop", () => {
  test("stays where it is while the deadline moves a little with every message", () => {
    const { engine, setTimer, hear } = running();
    const first = now() + 30 * SEC;
    for (let i = 0; i < 90; i++) hear(first + i * MS);
    expect(setTimer).toHaveBeenCalledTimes(1);
    // It comes 89 ms too early, and is set once more for the rest.
    vi.advanceTimersByTime(31_000);
    expect(engine.ticks).toHaveLength(1);
    expect(engine.ticks[0]?.due).toBe(true);
    expect(engine.ticks[0]?.at).toBeLessThanOrEqual(first + 90 * MS);
    expect(setTimer).toHaveBeenCalledTimes(2);
  });

  test("moves with a deadline that moves far: nobody is woken at the old one", () => {
    const { engine, setTimer, hear } = running();
    const first = now() + 10 * SEC;
    hear(first);
    hear(first + 20 * SEC);
    expect(setTimer).toHaveBeenCalledTimes(2);
    const { polls } = engine;
    vi.advanceTimersByTime(29_000);
    expect(engine.polls).toBe(polls);
    pass(1_000);
    expect(engine.ticks).toEqual([{ at: first + 20 * SEC + MS, due: true }]);
  });

  test("is moved at once when the deadline comes closer", () => {
    const { engine, hear } = running();
    const at = now() + 20 * MS;
    hear(now() + 60 * MS);
    hear(at);
    pass(20);
    expect(engine.ticks).toEqual([{ at: at + MS, due: true }]);
  });

  test("is not there where nothing has a time, nor behind a halt", () => {
    const { engine, loop, setTimer, hear } = running();
    hear(NEVER);
    expect(setTimer).not.toHaveBeenCalled();
    hear(now() + SEC);
    loop.halt();
    expect(vi.getTimerCount()).toBe(0);
    expect(engine.ticks).toEqual([]);
  });
});
