import { expect, test } from "vitest";
import { MonotonicClock, SystemRng } from "../../../src/io/clock.ts";

test("moments are whole microseconds that never go back", async () => {
  const clock = new MonotonicClock();
  const first = clock.now();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const later = clock.now();
  expect(Number.isInteger(first)).toBe(true);
  expect(later - first).toBeGreaterThan(15_000);
  expect(later - first).toBeLessThan(5_000_000);
});

test("the system's numbers are u32, spread out, and different each time", () => {
  const [a, b] = [new SystemRng(), new SystemRng()];
  const drawn = Array.from({ length: 1000 }, () => a.u32());
  expect(drawn.every((n) => Number.isInteger(n) && n >= 0 && n <= 0xffff_ffff)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(990);
  expect(drawn.filter((n) => n >= 0x8000_0000).length).toBeGreaterThan(350);
  expect(Array.from({ length: 1000 }, () => b.u32())).not.toEqual(drawn);
});
