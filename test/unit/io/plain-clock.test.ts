import { expect, test } from "vitest";
import { JitterRng, UptimeClock } from "../../../src/io/plain-clock.ts";

test("moments are whole microseconds that never go back", async () => {
  const clock = new UptimeClock();
  const start = performance.now();
  const first = clock.now();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const later = clock.now();
  expect(Number.isInteger(first)).toBe(true);
  expect(later - first).toBeGreaterThan(15_000);
  // Microseconds, and no others than performance.now() counts; one is lost to rounding.
  expect(later - first).toBeLessThanOrEqual((performance.now() - start) * 1000 + 1);
  const seen = Array.from({ length: 1000 }, () => clock.now());
  expect(seen).toEqual([...seen].sort((x, y) => x - y));
  // Finer than milliseconds.
  expect(seen.some((at) => at % 1000 !== 0)).toBe(true);
});

test("numbers are u32, spread out", () => {
  const rng = new JitterRng();
  const drawn = Array.from({ length: 1000 }, () => rng.u32());
  expect(drawn.every((n) => Number.isInteger(n) && n >= 0 && n <= 0xffff_ffff)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(990);
  expect(drawn.filter((n) => n >= 0x8000_0000).length).toBeGreaterThan(350);
});
