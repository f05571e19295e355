// How often a supervisor hears of a node.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { NodeState } from "../../../src/io/ipc/protocol.ts";
import { StateTeller } from "../../../src/node/state-teller.ts";

let version: number;
let told: number[];
let teller: StateTeller;

/** A state with so many leases. */
function tell(leases: number): void {
  version = 0;
  told = [];
  teller = new StateTeller(
    () => ({ version: ++version, leases: Array.from({ length: leases }) }) as unknown as NodeState,
    (state) => told.push((state as unknown as { version: number }).version),
  );
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  teller.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("the first change is told at once, those of the pause together, as things are at its end", () => {
  tell(100);
  teller.change();
  expect(told).toEqual([1]);
  for (let i = 0; i < 50; i++) {
    teller.change();
    vi.advanceTimersByTime(1);
  }
  expect(told).toEqual([1]);
  vi.advanceTimersByTime(50);
  expect(told).toEqual([1, 2]);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([1, 2]);
  teller.change();
  expect(told).toEqual([1, 2, 3]);
});

test("what has changed last is told before the end", () => {
  tell(100);
  teller.change();
  teller.change();
  teller.close();
  expect(told).toEqual([1, 2]);
});

test.each([10, 100])("%i leases: as many milliseconds between two tellings", (leases) => {
  tell(leases);
  teller.change();
  teller.change();
  vi.advanceTimersByTime(leases - 1);
  expect(told).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual([1, 2]);
});
