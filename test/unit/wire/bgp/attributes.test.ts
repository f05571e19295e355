import { describe, expect, test } from "vitest";
import { emitAttributes, FOUR_OCTETS } from "../../../../src/wire/bgp/attributes/emit-attributes.ts";
import {
  attributesKey,
  NO_ATTRIBUTES,
  type PathAttributes,
} from "../../../../src/wire/bgp/attributes/path-attributes.ts";
import { formatCommunity, formatExtCommunity } from "../../../../src/wire/bgp/communities.ts";
import { formatIpv6 } from "../../../../src/wire/bgp/ipv6-addr.ts";
import { parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { EBGP, IBGP, ipv6, update } from "../../../support/bgp.ts";
import { hexOf } from "../../../support/dissect.ts";

const BASE = "40010100 400200 4003040a000001";
const NLRI = "18c00002";
const REACH6 = "800e1c 000201 10 20010db8000000000000000000000001 00 30 20010db80007";

function attributesOf(hex: string): PathAttributes {
  const parsed = parseUpdate(update({ attributes: BASE + hex, nlri: NLRI }), IBGP);
  expect(parsed.rung).toBe("none");
  return parsed.attributes as PathAttributes;
}

describe("sets", () => {
  test("are kept ascending, each once, as unsigned numbers", () => {
    expect(attributesOf("c00810 ffffff01 00000001 ffffff01 80000000").communities).toEqual([
      1, 0x80000000, 0xffffff01,
    ]);
    expect(attributesOf("c0080c 00000001 00000001 00000002").communities).toEqual([1, 2]);
    expect(
      attributesOf("c02024 f0000000 00000001 00000002 00000001 f0000000 00000002 f0000000 00000001 00000002")
        .largeCommunities,
    ).toEqual([
      { global: 1, local1: 0xf0000000, local2: 2 },
      { global: 0xf0000000, local1: 1, local2: 2 },
    ]);
    expect(attributesOf("c01010 8002fde900000002 0002fde900000001").extCommunities).toEqual([
      { high: 0x0002fde9, low: 1 },
      { high: 0x8002fde9, low: 2 },
    ]);
  });

  test("are sent ascending, each once, however they were made", () => {
    const block = emitAttributes({ ...NO_ATTRIBUTES, communities: [3, 1, 0xffffff01, 3] }, FOUR_OCTETS);
    expect(hexOf(block)).toBe("c0080c0000000100000003ffffff01");
  });

  test("lists that mean an order keep it", () => {
    expect(attributesOf("800a0c 00000003 00000001 00000003").clusterList).toEqual([3, 1, 3]);
  });
});

describe("unknown attributes", () => {
  test("keep their value by ascending type, with Partial, and stand between the known ones", () => {
    const attributes = attributesOf("c0ff0101 d063000202ff c0080400000001 80620101");
    expect(attributes.unknown.map(({ type, flags, value }) => [type, flags, hexOf(value)])).toEqual([
      [0x63, 0xe0, "02ff"],
      [0xff, 0xe0, "01"],
    ]);
    const between = { ...attributes, unknown: [{ type: 11, flags: 0xe0, value: Uint8Array.of(7) }] };
    expect(hexOf(emitAttributes(between, IBGP))).toBe(`${BASE.replaceAll(" ", "")}c0080400000001e00b0107`);
  });

  test("are copies: the message may be overwritten", () => {
    const bytes = update({ attributes: `${BASE}c0630401020304 c016020102`, nlri: NLRI });
    const { attributes } = parseUpdate(bytes, IBGP);
    bytes.fill(0xa5);
    expect(hexOf(attributes?.unknown[0]?.value as Uint8Array)).toBe("01020304");
    expect(hexOf(attributes?.pmsiTunnel as Uint8Array)).toBe("0102");
  });
});

test("Partial on a known optional transitive attribute is passed on, on others it is not", () => {
  const attributes = attributesOf("e00804 00000001 e02000 a00404 00000001".replace("e02000 ", ""));
  expect(attributes.partial).toEqual([8]);
  expect(hexOf(emitAttributes(attributes, IBGP))).toContain("80040400000001e0080400000001");
});

test("the length of an attribute is extended above 255 octets and not before", () => {
  const of = (length: number) =>
    hexOf(
      emitAttributes(
        { ...NO_ATTRIBUTES, unknown: [{ type: 99, flags: 0xe0, value: new Uint8Array(length) }] },
        IBGP,
      ),
    );
  expect(of(255).startsWith("e063ff00")).toBe(true);
  expect(of(256).startsWith("f063010000")).toBe(true);
});

test("Partial on AS4_PATH ends with it", () => {
  const parsed = parseUpdate(
    update({ attributes: "40010100 40020402015ba0 4003040a000001 e011060201000186a0", nlri: NLRI }),
    { ...EBGP, as4: false, enforceFirstAs: false },
  );
  expect(parsed.attributes).toMatchObject({ asPath: [{ type: 2, asns: [100000] }], partial: [] });
});

describe("the attribute cache", () => {
  const message = (extra: string, nlri = NLRI) => update({ attributes: BASE + extra, nlri });

  test("returns the very object for the same octets, in whatever message", () => {
    const cache = new Map<string, PathAttributes>();
    const first = parseUpdate(message("80040400000001"), IBGP, cache);
    const second = parseUpdate(message("80040400000001", "180a0000"), IBGP, cache);
    expect(second.attributes).toBe(first.attributes);
    expect(cache.size).toBe(1);
    expect(attributesKey(second.attributeBlock)).toBe([...cache.keys()][0]);
    expect(parseUpdate(message("80040400000002"), IBGP, cache).attributes).not.toBe(first.attributes);
  });

  test("sees the same block behind different multiprotocol attributes", () => {
    const cache = new Map<string, PathAttributes>();
    const other = REACH6.replace("0007", "0008");
    const first = parseUpdate(update({ attributes: `${REACH6}40010100400200` }), IBGP, cache);
    const second = parseUpdate(update({ attributes: `${other}40010100400200` }), IBGP, cache);
    expect(second.attributes).toBe(first.attributes);
    expect(second.announced[0]?.prefixes.words[1]).toBe(0x00080000);
  });

  test("does not keep what had errors, what holds routes, or what breaks the first AS rule", () => {
    const cache = new Map<string, PathAttributes>();
    for (const bytes of [
      message("40060100"),
      message("c0630101 c0630102"),
      update({ attributes: `40010100400200${REACH6}` }),
    ]) {
      parseUpdate(bytes, IBGP, cache);
      parseUpdate(bytes, IBGP, cache);
    }
    const wrongFirst = update({ attributes: "40010100 4002060201 0000fdea 4003040a000001", nlri: NLRI });
    for (let i = 0; i < 2; i++) expect(parseUpdate(wrongFirst, EBGP, cache).rung).toBe("treat-as-withdraw");
    expect(cache.size).toBe(0);
  });

  test("what a hit leaves out is still missed", () => {
    const cache = new Map<string, PathAttributes>();
    const withdrawal = update({ withdrawn: NLRI, attributes: "40010100" });
    const announcement = update({ attributes: "40010100", nlri: NLRI });
    expect(parseUpdate(withdrawal, IBGP, cache).rung).toBe("none");
    expect(cache.size).toBe(1);
    expect(parseUpdate(announcement, IBGP, cache).rung).toBe("treat-as-withdraw");
    const wrongFlag = update({ attributes: `c00f03 000201 40010100` });
    expect(parseUpdate(wrongFlag, IBGP, cache).rung).toBe("session-reset");
  });

  test("long blocks are not worth their room", () => {
    const cache = new Map<string, PathAttributes>();
    parseUpdate(message(`d0630200${"5a".repeat(512)}`), IBGP, cache);
    expect(cache.size).toBe(0);
  });
});

test("the key of a block is the block", () => {
  const block = Uint8Array.from({ length: 10_000 }, (_, i) => i % 251);
  expect(attributesKey(block)).toHaveLength(10_000);
  expect(attributesKey(block)).toBe(attributesKey(block.slice()));
  block[9_999] = 255;
  expect(attributesKey(block.slice(0, 9_999))).not.toBe(attributesKey(block));
  expect(attributesKey(new Uint8Array(0))).toBe("");
});

test("communities have names", () => {
  expect([0xffffff01, 0xffff029a, 0xffff0000, (64512 << 16) >>> 0].map(formatCommunity)).toEqual([
    "no-export",
    "blackhole",
    "gshut",
    "64512:0",
  ]);
  expect(formatExtCommunity({ high: 0x02020001, low: 0x86a00007 })).toBe("rt:100000:7");
  expect(formatExtCommunity({ high: 0x01030a00, low: 0x00010007 })).toBe("ro:10.0.0.1:7");
  expect(formatExtCommunity({ high: 0x06030102, low: 3 })).toBe("0x0603010200000003");
});

test("IPv6 addresses are written as RFC 5952 says", () => {
  for (const text of [
    "::",
    "::1",
    "1::",
    "2001:db8::1:0:0:1",
    "2001:db8:0:1:1:1:1:1",
    "fe80::1",
    "1:0:0:2::3",
  ]) {
    expect(formatIpv6(ipv6(text))).toBe(text);
  }
});
