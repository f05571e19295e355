// A taste of `npm run fuzz` in every test run, and proof that the fuzzer itself can fail.
import { describe, expect, test } from "vitest";
import { type FuzzTarget, fuzz } from "../../fuzz/harness.ts";
import { wireTargets } from "../../fuzz/wire-targets.ts";

const options = { rounds: 3000, seed: 7, firstRound: 0 };

describe("short", () => {
  test.each([...wireTargets])("$name", (target) => {
    expect(fuzz(target, options)).toBe(3000);
  });
});

describe("the fuzzer catches", () => {
  const seeds = [Uint8Array.of(1, 2, 3, 4)];
  const target = (read: (bytes: Uint8Array, end: number) => number): FuzzTarget => ({
    name: "victim",
    seeds,
    create: () => read,
  });

  test("a read past the end", () => {
    expect(() =>
      fuzz(
        target((bytes, end) => bytes[end] as number),
        options,
      ),
    ).toThrow(/past the end[^]*ROUND=\d+/);
  });

  test("an exception, and names the round that brings it back", () => {
    const victim = target((bytes, end) => {
      if (end > 1 && bytes[0] === 0x45) throw new RangeError("boom");
      return 0;
    });
    let message = "";
    try {
      fuzz(victim, options);
    } catch (error) {
      message = String(error);
    }
    const round = Number(/ROUND=(\d+)/.exec(message)?.[1]);
    expect(message).toContain("boom");
    expect(() => fuzz(victim, { rounds: 1, seed: 7, firstRound: round })).toThrow("boom");
  });
});
