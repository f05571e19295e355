import { expect, test } from "vitest";
import { assert, unreachable } from "../../../src/base/assert.ts";
import { DropCounters } from "../../../src/base/counters.ts";
import { DropReason, dropReasonName } from "../../../src/base/drop-reason.ts";

test("drops are counted by reason and named", () => {
  const drops = new DropCounters();
  drops.count(DropReason.PKT_TOO_BIG);
  drops.count(DropReason.IP_CSUM);
  drops.count(DropReason.PKT_TOO_BIG);
  expect(drops.total).toBe(3);
  expect(drops.get(DropReason.PKT_TOO_BIG)).toBe(2);
  expect(drops.get(DropReason.NO_SOCKET)).toBe(0);
  expect(drops.entries()).toEqual([
    ["IP_CSUM", 1],
    ["PKT_TOO_BIG", 2],
  ]);
});

test("no two drop reasons share a number", () => {
  const values = Object.values(DropReason);
  expect(new Set(values).size).toBe(values.length);
  expect(dropReasonName(999)).toBe("UNKNOWN_999");
});

test("a broken promise dies with its message", () => {
  expect(() => assert(false, "two owners")).toThrow("two owners");
  expect(() => unreachable("third" as never)).toThrow("unreachable: third");
});
