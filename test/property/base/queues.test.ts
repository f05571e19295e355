import fc from "fast-check";
import { expect, test } from "vitest";
import { Ring } from "../../../src/base/ring.ts";
import { NEVER } from "../../../src/base/time.ts";
import { Timer, TimerQueue } from "../../../src/base/timer-queue.ts";

test("a ring is a bounded queue", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.option(fc.nat()), { maxLength: 60 }),
      (capacity, steps) => {
        const ring = new Ring<number>(capacity);
        const oracle: number[] = [];
        for (const item of steps) {
          if (item === null) expect(ring.shift()).toBe(oracle.shift());
          else {
            const room = oracle.length < capacity;
            if (room) oracle.push(item);
            expect(ring.push(item)).toBe(room);
          }
          expect(ring.size).toBe(oracle.length);
          expect(ring.peek()).toBe(oracle[0]);
        }
      },
    ),
  );
});

test("a ring needs room for something", () => {
  expect(() => new Ring(0)).toThrow("positive");
});

const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ t: fc.constant("set" as const), timer: fc.nat(9), at: fc.nat(30) }) },
  {
    weight: 1,
    arbitrary: fc.record({ t: fc.constant("cancel" as const), timer: fc.nat(9), at: fc.constant(0) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ t: fc.constant("run" as const), timer: fc.constant(0), at: fc.nat(30) }),
  },
);

test("timers fire in the order of their deadlines, equal ones in the order of arming", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const queue = new TimerQueue();
      const fired: number[] = [];
      const timers = Array.from({ length: 10 }, (_, i) => new Timer(() => fired.push(i)));
      let armed: { timer: number; at: number; seq: number }[] = [];
      let seq = 0;
      for (const { t, timer, at } of actions) {
        if (t !== "run") armed = armed.filter((entry) => entry.timer !== timer);
        if (t === "set") {
          queue.set(timers[timer] as Timer, at);
          armed.push({ timer, at, seq: seq++ });
        } else if (t === "cancel") {
          queue.cancel(timers[timer] as Timer);
        } else {
          const due = armed.filter((entry) => entry.at <= at).sort((a, b) => a.at - b.at || a.seq - b.seq);
          armed = armed.filter((entry) => entry.at > at);
          fired.length = 0;
          expect(queue.run(at)).toBe(due.length);
          expect(fired).toEqual(due.map((entry) => entry.timer));
        }
        expect(queue.size).toBe(armed.length);
        expect(queue.nextDeadline()).toBe(Math.min(NEVER, ...armed.map((entry) => entry.at)));
      }
    }),
    { numRuns: 300 },
  );
});

test("a timer may arm itself again while it fires, and a budget bounds a storm", () => {
  const queue = new TimerQueue();
  let count = 0;
  const timer = new Timer((now) => {
    count++;
    queue.set(timer, now);
  });
  queue.set(timer, 5);
  expect(queue.run(4)).toBe(0);
  expect(queue.run(5, 7)).toBe(7);
  expect(count).toBe(7);
  expect(queue.nextDeadline()).toBe(5);
  queue.set(timer, NEVER);
  expect(timer.at).toBe(NEVER);
  expect(queue.nextDeadline()).toBe(NEVER);
});
