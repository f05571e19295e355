import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../../src/base/rng.ts";
import { SEC_US } from "../../../../src/base/time.ts";
import { Refused } from "../../../../src/io/embedded/errors.ts";
import { Lessor } from "../../../../src/io/embedded/lessor.ts";

const lessor = (): Lessor => new Lessor(new SeededRng(7));

describe("lessor", () => {
  test("raises short times to live to 2 s, and refuses absurd ones", () => {
    const l = lessor();
    expect(l.grant("1", 1, 0).ttlSec).toBe(2);
    expect(l.grant("2", -5, 0).ttlSec).toBe(2);
    expect(l.grant("3", 9_000_000_000, 0).ttlSec).toBe(9_000_000_000);
    expect(() => l.grant("4", 9_000_000_001, 0)).toThrow(Refused.LEASE_TTL_TOO_LARGE.text);
  });

  test("keeps 64-bit ids exact, and refuses one that is taken", () => {
    const l = lessor();
    l.grant("9223372036854775807", 10, 0);
    l.grant("9223372036854775806", 20, 0);
    l.grant("-1", 30, 0);
    expect(() => l.grant("9223372036854775807", 10, 0)).toThrow(Refused.LEASE_EXISTS.text);
    expect(l.list()).toEqual(["9223372036854775807", "9223372036854775806", "-1"]);
  });

  test("chooses a free positive id for 0", () => {
    const l = lessor();
    const ids = Array.from({ length: 100 }, () => l.grant("0", 10, 0).id);
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) expect(BigInt(id) > 0n && BigInt(id) < 1n << 63n).toBe(true);
  });

  test("a lease is due at its time, once, and not before", () => {
    const l = lessor();
    l.grant("1", 10, 0);
    expect(l.nextDeadline()).toBe(10 * SEC_US);
    expect(l.due(10 * SEC_US - 1, 10)).toEqual([]);
    expect(l.due(10 * SEC_US, 10)).toEqual(["1"]);
    l.revoke("1");
    expect(l.due(99 * SEC_US, 10)).toEqual([]);
  });

  test("renewing counts from then on; of an unknown lease it answers 0", () => {
    const l = lessor();
    l.grant("1", 10, 0);
    expect(l.renew("1", 9 * SEC_US)).toBe(10);
    expect(l.due(18 * SEC_US, 10)).toEqual([]);
    expect(l.due(19 * SEC_US, 10)).toEqual(["1"]);
    expect(l.renew("2", 0)).toBe(0);
  });

  test("tells the whole seconds left and the keys, sorted; -1 for an unknown lease", () => {
    const l = lessor();
    l.grant("1", 10, 0);
    for (const key of ["b", "a", "c"]) l.attach(key, "1");
    expect(l.info("1", 1.5 * SEC_US)).toEqual({ ttlSec: 8, grantedTtlSec: 10, keys: ["a", "b", "c"] });
    expect(l.info("2", 0)).toEqual({ ttlSec: -1, grantedTtlSec: 0, keys: [] });
  });

  test("a key hangs on one lease at a time", () => {
    const l = lessor();
    l.grant("1", 10, 0);
    l.grant("2", 10, 0);
    l.attach("k", "1");
    l.attach("k", "2");
    expect(l.info("1", 0).keys).toEqual([]);
    expect(l.info("2", 0).keys).toEqual(["k"]);
    l.attach("k", "0");
    expect(l.revoke("2")).toEqual([]);
  });

  test("revoking returns the keys sorted, and refuses an unknown lease", () => {
    const l = lessor();
    l.grant("1", 10, 0);
    for (const key of ["b", "c", "a"]) l.attach(key, "1");
    expect(l.revoke("1")).toEqual(["a", "b", "c"]);
    expect(() => l.revoke("1")).toThrow(Refused.LEASE_NOT_FOUND.text);
  });

  test("many leases: they come due in order of expiry, at most a budget at a time", () => {
    const l = lessor();
    for (let i = 0; i < 100; i++) l.grant(String(i + 1), 2 + ((i * 37) % 100), 0);
    const due: string[] = [];
    for (let now = 0; due.length < 100; now += SEC_US) {
      const some = l.due(now, 1);
      expect(some.length).toBeLessThanOrEqual(1);
      for (const id of some) {
        due.push(id);
        l.revoke(id);
      }
    }
    const expiry = due.map((id) => 2 + (((Number(id) - 1) * 37) % 100));
    expect(expiry).toEqual([...expiry].sort((a, b) => a - b));
  });
});
