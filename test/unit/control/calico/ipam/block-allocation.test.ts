import { describe, expect, test } from "vitest";
import { prefix } from "../../../../../src/base/ipv4-addr.ts";
import {
  allocate,
  allocateOrdinal,
  freeCount,
  isEmpty,
  newBlock,
  nextBlock,
  release,
  withoutHost,
} from "../../../../../src/control/calico/ipam/block-allocation.ts";
import { formatClaimTime, parseClaimTime } from "../../../../../src/control/calico/ipam/claim-time.ts";
import type { IpamBlock } from "../../../../../src/control/calico/ipam/ipam-block.ts";
import { emitIpamBlock, parseIpamBlock } from "../../../../../src/control/calico/ipam/ipam-block-json.ts";

const SEQ = 1_780_272_000_000_000_000n;
const NONE = () => false;
const fresh = () => newBlock(prefix("10.0.0.0/29"), "w1", "2026-06-01T00:00:00Z", SEQ);
const owner = (handleId: string, pod = handleId) => ({ handleId, secondary: { node: "w1", pod } });

function released(block: IpamBlock, ordinals: readonly number[]): IpamBlock {
  const out = release(
    block,
    ordinals.map((ordinal) => ({ ordinal })),
  );
  if (!out.ok) throw new Error(out.error.message);
  return out.value.block;
}

describe("a block", () => {
  test("gives from the head and takes back at the tail", () => {
    const a = allocate(fresh(), 2, owner("a"), NONE);
    expect(a.ordinals).toEqual([0, 1]);
    const b = allocate(a.block, 3, owner("b"), NONE);
    expect(b.ordinals).toEqual([2, 3, 4]);
    const after = released(b.block, [1, 0]);
    expect(after.unallocated).toEqual([5, 6, 7, 1, 0]);
    // a's attribute is gone, and b's has its place.
    expect(after.attributes).toEqual([owner("b")]);
    expect(after.allocations.slice(0, 5)).toEqual([undefined, undefined, 0, 0, 0]);
    expect([...after.sequenceNumberForAllocation.keys()]).toEqual([2, 3, 4]);
  });

  test("keeps one attribute for equal owners, and another for one that differs", () => {
    let { block } = allocate(fresh(), 1, owner("a"), NONE);
    block = allocate(nextBlock(block), 1, owner("a"), NONE).block;
    block = allocate(nextBlock(block), 1, owner("a", "other"), NONE).block;
    block = allocate(nextBlock(block), 1, { handleId: "a", secondary: undefined }, NONE).block;
    block = allocate(nextBlock(block), 1, { handleId: "a", secondary: {} }, NONE).block;
    expect(block.attributes).toHaveLength(4);
    expect(block.allocations.slice(0, 5)).toEqual([0, 0, 1, 2, 3]);
    // Each is pinned to the number that the block had before its write.
    expect([...block.sequenceNumberForAllocation.values()]).toEqual([0n, 1n, 2n, 3n, 4n].map((i) => SEQ + i));
    // One of two references released: the attribute stays.
    expect(released(block, [0]).attributes).toHaveLength(4);
  });

  test("passes reserved addresses over without losing their places", () => {
    const reserved = (addr: number) => addr % 2 === 0;
    const { block, ordinals } = allocate(fresh(), 3, owner("a"), reserved);
    expect(ordinals).toEqual([1, 3, 5]);
    expect(block.unallocated).toEqual([0, 2, 4, 6, 7]);
    expect(freeCount(block, reserved)).toBe(1);
    expect(allocate(block, 3, owner("b"), reserved).ordinals).toEqual([7]);
    // Asked for by itself, a reserved address can be had.
    expect(allocateOrdinal(block, 2, owner("b"))?.unallocated).toEqual([0, 4, 6, 7]);
    expect(allocateOrdinal(block, 3, owner("b"))).toBeUndefined();
  });

  test("refuses a release that is out of date, as a whole", () => {
    const { block } = allocate(fresh(), 2, owner("a"), NONE);
    expect(release(block, [{ ordinal: 0 }, { ordinal: 1, sequenceNumber: SEQ + 1n }])).toMatchObject({
      ok: false,
      error: { t: "badSequenceNumber", ordinal: 1 },
    });
    expect(release(block, [{ ordinal: 0, handle: "b" }])).toMatchObject({
      ok: false,
      error: { t: "badHandle" },
    });
    const good = release(block, [
      { ordinal: 0, handle: "a", sequenceNumber: SEQ },
      { ordinal: 0 },
      { ordinal: 5 },
    ]);
    expect(good.ok && [good.value.ordinals, good.value.notAllocated, good.value.byHandle]).toEqual([
      [0],
      [5],
      new Map([["a", 1]]),
    ]);
  });

  test("emptied, it is not what it was at first: its attributes are [] and not null", () => {
    expect(emitIpamBlock(fresh())).toContain('"attributes":null');
    const { block } = allocate(fresh(), 1, owner("a"), NONE);
    const after = nextBlock(withoutHost(released(block, [0])));
    expect(isEmpty(after)).toBe(true);
    expect(emitIpamBlock(after)).toBe(
      `{"cidr":"10.0.0.0/29","affinity":null,"allocations":[null,null,null,null,null,null,null,null],"unallocated":[1,2,3,4,5,6,7,0],"attributes":[],"sequenceNumber":${SEQ + 1n},"sequenceNumberForAllocation":{},"deleted":false}`,
    );
    expect(parseIpamBlock(emitIpamBlock(after))).toEqual({ ok: true, value: after });
  });
});

test("claim times", () => {
  for (const text of [
    "1970-01-01T00:00:00Z",
    "2000-02-29T23:59:59Z",
    "2026-06-01T12:34:56Z",
    "2100-03-01T00:00:00Z",
  ]) {
    const ms = Date.parse(text);
    expect(parseClaimTime(text)).toBe(BigInt(ms) * 1_000_000n);
    expect(formatClaimTime(BigInt(ms) * 1_000_000n + 999_999_999n)).toBe(text);
  }
  expect(parseClaimTime("2026-06-01T02:00:00.5+02:00")).toBe(parseClaimTime("2026-06-01T00:00:00Z"));
  for (const bad of ["", "yesterday", "2026-13-01T00:00:00Z", "2026-06-01 00:00:00"]) {
    expect(parseClaimTime(bad)).toBeUndefined();
  }
});
