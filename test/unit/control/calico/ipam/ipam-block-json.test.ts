import { describe, expect, test } from "vitest";
import { prefix } from "../../../../../src/base/ipv4-addr.ts";
import {
  emitIpamBlock,
  NIL_ATTRIBUTES,
  parseIpamBlock,
} from "../../../../../src/control/calico/ipam/ipam-block-json.ts";

const HEAD =
  '{"cidr":"10.244.7.0/30","affinity":"host:worker-1","affinity_claim_time":"2026-06-01T00:00:00Z"';
const FULL = `${HEAD},"allocations":[0,null,1,1],"unallocated":[1],"attributes":[{"handle_id":"vxlan-tunnel-addr-worker-1","secondary":{"node":"worker-1","type":"vxlanTunnelAddress"}},{"handle_id":"k8s-pod-network.8f2c","secondary":{"namespace":"shop","node":"worker-1","pod":"web-0","timestamp":"2026-06-01 00:00:01 +0000 UTC"}}],"sequenceNumber":1717200000000000003,"sequenceNumberForAllocation":{"0":1717200000000000000,"2":1717200000000000001,"3":1717200000000000002},"deleted":false}`;
const NEW =
  '{"cidr":"10.244.7.3/32","affinity":"host:w","affinity_claim_time":"2026-06-01T00:00:00Z","allocations":[null],"unallocated":[0],"attributes":null,"sequenceNumber":18446744073709551615,"sequenceNumberForAllocation":{},"deleted":false}';
const OWNERLESS =
  '{"cidr":"10.0.0.0/31","affinity":null,"allocations":[0,null],"unallocated":[1],"attributes":[{"handle_id":null,"secondary":null}],"sequenceNumber":7,"sequenceNumberForAllocation":{},"deleted":false}';
const EMPTIED =
  '{"cidr":"10.0.0.0/31","affinity":"host:\\u003cw\\u003e","allocations":[null,null],"unallocated":[1,0],"attributes":[],"sequenceNumber":9007199254740993,"sequenceNumberForAllocation":{},"deleted":true}';

function parsed(text: string) {
  const block = parseIpamBlock(text);
  if (!block.ok) throw new Error(block.error);
  return block.value;
}

describe("the bytes of Go's encoding/json", () => {
  test.each([FULL, NEW, OWNERLESS, EMPTIED])("%s", (text) => {
    expect(emitIpamBlock(parsed(text))).toBe(text);
  });

  test("what they mean", () => {
    const block = parsed(FULL);
    expect(block.cidr).toEqual(prefix("10.244.7.0/30"));
    expect(block.host).toBe("worker-1");
    expect(block.allocations).toEqual([0, undefined, 1, 1]);
    expect(block.sequenceNumber).toBe(1717200000000000003n);
    expect(block.sequenceNumberForAllocation.get(3)).toBe(1717200000000000002n);
    expect(block.attributes[1]?.secondary?.["pod"]).toBe("web-0");
    expect(parsed(NEW).attributes).toBe(NIL_ATTRIBUTES);
  });

  test("sequence numbers stand in the order of Go's map keys, which are texts", () => {
    const ordinals = Array.from({ length: 16 }, (_, i) => i);
    const text = emitIpamBlock({
      ...parsed(NEW),
      cidr: prefix("10.0.0.0/28"),
      allocations: ordinals.map(() => 0),
      unallocated: [],
      attributes: [{ handleId: "h", secondary: { b: "2", a: "<1>", "\u{1f600}": "", "\uffee": "" } }],
      sequenceNumberForAllocation: new Map(ordinals.map((i) => [i, BigInt(i)])),
    });
    expect(text).toContain('{"0":0,"1":1,"10":10,"11":11,"12":12,"13":13,"14":14,"15":15,"2":2,');
    expect(text).toContain('"secondary":{"a":"\\u003c1\\u003e","b":"2","\uffee":"","\u{1f600}":""}');
    expect(emitIpamBlock(parsed(text))).toBe(text);
  });

  test("a block of the first releases, and one with a field of later ones", () => {
    expect(parsed(OWNERLESS.replace('"deleted"', '"hostAffinity":"old","deleted"')).host).toBe("old");
    expect(emitIpamBlock(parsed(OWNERLESS.replace('"deleted"', '"releasedAt":{},"deleted"')))).toBe(
      OWNERLESS,
    );
  });
});

describe("hostile blocks are refused", () => {
  test.each([
    ["", "it is not JSON: unexpected end of JSON input"],
    ["[]", "it is JSON, but a list instead of an object"],
    ["{}", 'cidr: "" has no prefix length'],
    [FULL.replace("10.244.7.0/30", "10.244.7.1/30"), '"10.244.7.1/30" must be written 10.244.7.0/30'],
    [FULL.replace("/30", "/8"), "a block has a prefix length of 20 to 32"],
    [FULL.replace("[0,null,1,1]", "[0,null,1]"), "allocations has 3 entries, but the block has 4 addresses"],
    [FULL.replace("[0,null,1,1]", "null"), "allocations has 0 entries"],
    [FULL.replace("[0,null,1,1]", "[0,null,1,2]"), "allocations[3] is 2, but there are 2 attributes"],
    [FULL.replace("[0,null,1,1]", "[0,null,1,-1]"), "allocations[3] is -1"],
    [FULL.replace("[0,null,1,1]", "[0,null,1,1.0]"), "allocations[3] is 1.0"],
    [FULL.replace('"unallocated":[1]', '"unallocated":[4]'), "unallocated has 4, but the ordinals"],
    [FULL.replace('"unallocated":[1]', '"unallocated":[1,1]'), "unallocated has 1 twice"],
    [
      FULL.replace('"unallocated":[1]', '"unallocated":[1,0]'),
      "ordinal 0 is in unallocated, but it is allocated",
    ],
    [
      FULL.replace("1717200000000000003", "18446744073709551616"),
      "sequenceNumber must be a whole number of 0 to 18446744073709551615",
    ],
    [FULL.replace('"2":', '"4":'), 'sequenceNumberForAllocation has "4"'],
    [FULL.replace('"2":', '"02":'), 'sequenceNumberForAllocation has "02"'],
    [FULL.replace("host:worker-1", "virtual:load-balancer"), "affinity must be host:NAME"],
    [FULL.replace("host:worker-1", "host:a/b"), "affinity must be host:NAME"],
    [
      FULL.replace('{"node":"worker-1","type":', '{"node":7,"type":'),
      "attributes[0].secondary.node must be a string, not 7",
    ],
    [FULL.replace('"k8s-pod-network.8f2c"', "[]"), "attributes[1].handle_id must be a string, not []"],
  ])("%s", (text, error) => {
    const block = parseIpamBlock(text);
    expect(block.ok ? "accepted" : block.error).toContain(error);
  });

  test("one that stands under another block's key, and bytes that are no text", () => {
    expect(parseIpamBlock(FULL, prefix("10.244.7.0/30")).ok).toBe(true);
    const moved = parseIpamBlock(FULL, prefix("10.244.8.0/30"));
    expect(moved).toEqual({
      ok: false,
      error: "cidr is 10.244.7.0/30, but the key is that of 10.244.8.0/30",
    });
    expect(parseIpamBlock(new Uint8Array([0xff]))).toEqual({ ok: false, error: "it is not UTF-8" });
  });
});
