import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { emitAttributes } from "../../../../src/wire/bgp/attributes/emit-attributes.ts";
import { NO_ATTRIBUTES } from "../../../../src/wire/bgp/attributes/path-attributes.ts";
import {
  emitEndOfRib,
  emitReachable,
  emitReachableOnce,
  emitWithdrawn,
} from "../../../../src/wire/bgp/emit-update.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import { MessageReader } from "../../../../src/wire/bgp/message-reader.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import { OctetWriter } from "../../../../src/wire/bgp/octets.ts";
import { ipv4PrefixAt, ipv6PrefixAt, PrefixBuffer } from "../../../../src/wire/bgp/prefix-list.ts";
import { parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { IBGP, ipv6, prefixes, textsOf, update, written } from "../../../support/bgp.ts";
import { hexOf } from "../../../support/dissect.ts";

const { IPV4_UNICAST: V4, IPV6_UNICAST: V6 } = Family;
const attributes = { ...NO_ATTRIBUTES, origin: 0, asPath: [], localPref: 100 };
const block4 = emitAttributes({ ...attributes, nextHop: ipv4("10.0.0.1") }, IBGP);
const block6 = emitAttributes(attributes, IBGP);
const nextHop6 = { global: ipv6("2001:db8::1"), linkLocal: undefined };

function split(bytes: Uint8Array, max = 65535): Uint8Array[] {
  const reader = new MessageReader(max);
  reader.push(bytes);
  const messages: Uint8Array[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) messages.push(next);
  expect(reader.error).toBeUndefined();
  expect(reader.stashed).toBe(0);
  return messages;
}

function many4(count: number): PrefixBuffer {
  const list = new PrefixBuffer(V4);
  for (let i = 0; i < count; i++) list.addIpv4(ipv4("10.0.0.0") + i * 64, 26, i + 1);
  return list;
}

function many6(count: number): PrefixBuffer {
  const list = new PrefixBuffer(V6);
  for (let i = 0; i < count; i++) list.addIpv6({ a: 0x20010db8, b: i * 65536, c: 0, d: 0, len: 48 }, i + 1);
  return list;
}

const sessions: readonly [string, Partial<Negotiated>][] = [
  ["4096 octets", {}],
  ["65535 octets", { txMaxBytes: 65535 }],
  ["4096 octets, ADD-PATH", { addPathTx: [V4, V6], addPathRx: [V4, V6] }],
  ["65535 octets, ADD-PATH", { txMaxBytes: 65535, addPathTx: [V4, V6], addPathRx: [V4, V6] }],
];

describe.each(sessions)("packing into %s", (_, session) => {
  const ctx = { ...IBGP, ...session };
  const withId = ctx.addPathTx.length > 0;
  const idOf = (i: number) => (withId ? ` path ${i + 1}` : "");
  const want4 = textsOf(many4(10_000), false).map((text, i) => text + idOf(i));
  const want6 = textsOf(many6(10_000), false).map((text, i) => text + idOf(i));

  function check(bytes: Uint8Array, octets: number, want: readonly string[], gone: boolean): void {
    const messages = split(bytes);
    for (const message of messages.slice(0, -1)) {
      expect(message.length).toBeLessThanOrEqual(ctx.txMaxBytes);
      expect(message.length).toBeGreaterThan(ctx.txMaxBytes - octets);
    }
    const parsed = messages.map((message) => parseUpdate(message, ctx));
    expect(parsed.every((one) => one.rung === "none")).toBe(true);
    const texts = parsed.flatMap((one) => {
      expect(one.withdrawn.length + one.announced.length).toBe(1);
      return gone
        ? one.withdrawn.flatMap((list) => textsOf(list))
        : one.announced.flatMap(({ prefixes }) => textsOf(prefixes));
    });
    expect(texts).toEqual(want);
  }

  const extra = withId ? 4 : 0;
  test("announcements", () => {
    check(
      written((out) => emitReachable(out, ctx, block4, many4(10_000))),
      5 + extra,
      want4,
      false,
    );
    check(
      written((out) => emitReachable(out, ctx, block6, many6(10_000), nextHop6)),
      7 + extra,
      want6,
      false,
    );
  });

  test("withdrawals", () => {
    check(
      written((out) => emitWithdrawn(out, ctx, many4(10_000))),
      5 + extra,
      want4,
      true,
    );
    check(
      written((out) => emitWithdrawn(out, ctx, many6(10_000))),
      7 + extra,
      want6,
      true,
    );
  });
});

test("the multiprotocol attribute is first, and its length extended only above 255 octets", () => {
  for (let count = 30; count < 45; count++) {
    const [bytes] = split(written((out) => emitReachable(out, IBGP, block6, many6(count), nextHop6)));
    const length = 21 + 7 * count;
    const head = length > 255 ? `900e${length.toString(16).padStart(4, "0")}` : `800e${length.toString(16)}`;
    expect(hexOf((bytes as Uint8Array).subarray(23)).startsWith(head)).toBe(true);
  }
});

test("the octet between a short and a long length is neither lost nor overrun", () => {
  for (let shorts = 0; shorts < 8; shorts++) {
    // Default routes in front move the values of the attributes through every length around 255 octets.
    const list = prefixes(V6, [
      ...Array.from({ length: shorts }, () => "::/0"),
      ...textsOf(many6(100), false),
    ]);
    for (let txMaxBytes = 270; txMaxBytes < 330; txMaxBytes++) {
      const ctx = { ...IBGP, txMaxBytes };
      const announced = split(written((out) => emitReachable(out, ctx, block6, list, nextHop6)));
      const withdrawn = split(written((out) => emitWithdrawn(out, ctx, list)));
      for (const message of [...announced, ...withdrawn]) {
        expect(message.length).toBeLessThanOrEqual(txMaxBytes);
        expect(parseUpdate(message, ctx).rung).toBe("none");
      }
      expect(withdrawn.slice(0, -1).every((message) => message.length > txMaxBytes - 8)).toBe(true);
    }
  }
});

describe("attributes that leave no room", () => {
  const big = (octets: number) =>
    emitAttributes(
      { ...attributes, nextHop: 1, unknown: [{ type: 99, flags: 0xe0, value: new Uint8Array(octets) }] },
      IBGP,
    );
  const spare = 4096 - 23 - big(300).length + 300;

  test("one prefix fits exactly, or not at all and nothing is written", () => {
    const list = prefixes(V4, ["192.0.2.0/24"]);
    const out = new OctetWriter();
    expect(emitReachable(out, IBGP, big(spare - 4), list)).toBe(1);
    expect(out.length).toBe(4096);
    expect(emitReachable(out, IBGP, big(spare - 3), list)).toBe(0);
    expect(out.length).toBe(4096);
    expect(emitReachable(out, { ...IBGP, txMaxBytes: 65535 }, big(spare - 3), list)).toBe(1);
  });

  test("a shorter prefix may fit where the next does not", () => {
    const list = prefixes(V4, ["10.0.0.0/8", "192.0.2.0/24"]);
    const out = new OctetWriter();
    expect(emitReachable(out, IBGP, big(spare - 2), list)).toBe(1);
    expect(split(out.take())).toHaveLength(1);
  });
});

test("a writer may stop between messages and go on where it stopped", () => {
  const list = many4(3000);
  const whole = written((out) => emitReachable(out, IBGP, block4, list));
  const parts = written((out) => {
    for (let from = 0; from < list.count; ) {
      from = emitReachableOnce(out, IBGP, block4, list, from, undefined);
    }
  });
  expect(hexOf(parts)).toBe(hexOf(whole));
});

test("bits beyond a prefix's length never leave", () => {
  const list = new PrefixBuffer(V4);
  list.addIpv4(0xffffffff, 9);
  const list6 = new PrefixBuffer(V6);
  list6.addIpv6({ a: 0xffffffff, b: 0xffffffff, c: 0xffffffff, d: 0xffffffff, len: 65 });
  expect(hexOf(written((out) => emitWithdrawn(out, IBGP, list))).slice(42, 48)).toBe("09ff80");
  expect(hexOf(written((out) => emitWithdrawn(out, IBGP, list6))).endsWith("41ffffffffffffffff80")).toBe(
    true,
  );
});

test("bits beyond a prefix's length are cleared on arrival", () => {
  const bytes = written((out) => emitWithdrawn(out, IBGP, prefixes(V4, ["10.0.0.0/9"])));
  bytes[23] = 0x7f;
  expect(parseUpdate(bytes, IBGP).withdrawn.flatMap((list) => textsOf(list))).toEqual(["10.0.0.0/9"]);
  const wide = written((out) => emitWithdrawn(out, IBGP, prefixes(V6, ["2001:db8::/33"])));
  wide[wide.length - 1] = 0x7f;
  expect(parseUpdate(wide, IBGP).withdrawn.flatMap((list) => textsOf(list))).toEqual(["2001:db8::/33"]);
});

test("End-of-RIB of each family is known again, and nothing else is one", () => {
  for (const family of [V4, V6]) {
    const bytes = written((out) => emitEndOfRib(out, family));
    expect(parseUpdate(bytes, IBGP)).toMatchObject({
      endOfRib: family,
      withdrawn: [],
      announced: [],
      rung: "none",
    });
  }
  const others = [
    written((out) => emitWithdrawn(out, IBGP, prefixes(V4, ["0.0.0.0/0"]))),
    written((out) => emitWithdrawn(out, IBGP, prefixes(V6, ["::/0"]))),
  ];
  others.push(update({ withdrawn: "00", attributes: "800f03000201" }));
  for (const bytes of others) expect(parseUpdate(bytes, IBGP).endOfRib).toBeUndefined();
  const eor6 = written((out) => emitEndOfRib(out, V6));
  expect(parseUpdate(eor6, { ...IBGP, families: [V4] }).endOfRib).toBeUndefined();
  const eor4 = written((out) => emitEndOfRib(out, V4));
  expect(parseUpdate(eor4, { ...IBGP, families: [V6] }).endOfRib).toBeUndefined();
});

test("a list grows, is cleared, and keeps what it is given", () => {
  const list = new PrefixBuffer(V6, 1);
  for (let i = 0; i < 100; i++) list.addIpv6({ a: i, b: 0, c: 0, d: 0, len: 32 }, i);
  expect(list.count).toBe(100);
  expect(textsOf(list)[99]).toBe("0:63::/32 path 99");
  expect(ipv6PrefixAt(list, 7)).toEqual({ a: 7, b: 0, c: 0, d: 0, len: 32 });
  expect(ipv4PrefixAt(many4(2), 1)).toEqual({ addr: 0x0a000040, len: 26 });
  list.clear();
  expect(written((out) => emitWithdrawn(out, IBGP, list))).toHaveLength(0);
});
