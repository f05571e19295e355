import { beforeEach, expect, test } from "vitest";
import { BIRD_SCAN_US, KernelWatch } from "../../../src/agent/kernel-watch.ts";
import { NEVER, SEC_US } from "../../../src/base/time.ts";

let version: number;
let watch: KernelWatch;
beforeEach(() => {
  version = 7;
  watch = new KernelWatch(BIRD_SCAN_US, () => version);
});

test("nothing changed: nobody looks", () => {
  expect(watch.nextDeadline()).toBe(NEVER);
  expect(watch.due(100 * SEC_US)).toBe(false);
});

test("a change is noticed at once, and looked at once, at the next multiple of the period", () => {
  version++;
  expect(watch.nextDeadline()).toBe(0);
  expect(watch.due(5 * SEC_US)).toBe(false);
  expect(watch.nextDeadline()).toBe(6 * SEC_US);
  // A second one does not put it off.
  version++;
  watch.observe(5_900_000);
  expect(watch.nextDeadline()).toBe(6 * SEC_US);
  expect(watch.due(6 * SEC_US)).toBe(true);
  expect(watch.due(8 * SEC_US)).toBe(false);
  expect(watch.nextDeadline()).toBe(NEVER);
});

test("own changes are disregarded, others' before them are not", () => {
  version++;
  watch.disregard();
  expect(watch.nextDeadline()).toBe(NEVER);
  version++;
  watch.observe(SEC_US);
  version++;
  watch.disregard();
  expect(watch.nextDeadline()).toBe(2 * SEC_US);
});

test("without a period a change is due at once", () => {
  const monitor = new KernelWatch(0, () => version);
  version++;
  expect(monitor.due(123)).toBe(true);
  expect(monitor.due(124)).toBe(false);
});
