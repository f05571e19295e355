import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  contains,
  formatIpv4,
  formatPrefix,
  ipv4,
  isLoopback,
  isMulticast,
  netmask,
  overlaps,
  parseCidr,
  parseIpv4,
  prefix,
  prefixOf,
} from "../../../src/base/ipv4-addr.ts";
import { formatMac, isGroupMac, mac, parseMac, randomMac } from "../../../src/base/mac-addr.ts";
import { below, SeededRng, unit } from "../../../src/base/rng.ts";
import { decodeUtf8, encodeUtf8 } from "../../../src/base/utf8.ts";

const addr = fc.integer({ min: 0, max: 0xffffffff });

test("an address survives its text", () => {
  fc.assert(
    fc.property(addr, (a) => {
      expect(parseIpv4(formatIpv4(a))).toBe(a);
    }),
  );
});

test("parseIpv4 takes exactly what it prints", () => {
  const almost = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom("1", "0", "01", "256", "255", "", "-1", " 1", "1e1", "0x1"), { maxLength: 5 })
      .map((p) => p.join(".")),
  );
  fc.assert(
    fc.property(almost, (text) => {
      const a = parseIpv4(text);
      if (a !== undefined) expect(formatIpv4(a)).toBe(text);
    }),
  );
  for (const text of [
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "",
    "a.b.c.d",
  ]) {
    expect(parseIpv4(text)).toBeUndefined();
  }
});

test("a prefix survives its text, and its mask is its length", () => {
  fc.assert(
    fc.property(addr, fc.nat(32), (a, len) => {
      const p = prefixOf(a, len);
      expect(prefix(formatPrefix(p))).toEqual(p);
      expect(contains(p, a)).toBe(true);
      expect(netmask(len).toString(2).replaceAll("0", "").length).toBe(len === 0 ? 0 : len);
      expect(parseCidr(`${formatIpv4(a)}/${len}`)).toEqual({ ok: true, value: { addr: a, len } });
    }),
  );
});

test("two prefixes overlap when one contains the other's base", () => {
  fc.assert(
    fc.property(addr, fc.nat(32), fc.nat(0xff), fc.nat(32), (a, len, noise, other) => {
      const p = prefixOf(a, len);
      const q = prefixOf((a ^ noise) >>> 0, other);
      expect(overlaps(p, q)).toBe(contains(p, q.addr) || contains(q, p.addr));
      expect(overlaps(q, p)).toBe(overlaps(p, q));
    }),
  );
});

describe("parseCidr says what is wrong with", () => {
  test.each([
    ["10.0.0.1", "no prefix length"],
    ["10.0.0/8", "does not start with an IPv4 address"],
    ["10.0.0.0/33", "0 to 32"],
    ["10.0.0.0/", "0 to 32"],
    ["10.0.0.0/8x", "0 to 32"],
  ])("%s", (text, message) => {
    const result = parseCidr(text);
    expect(result.ok ? "" : result.error).toContain(message);
    expect(() => prefix(text)).toThrow(message);
  });
});

test("classes of addresses", () => {
  expect(isMulticast(ipv4("224.0.0.1"))).toBe(true);
  expect(isMulticast(ipv4("239.255.255.255"))).toBe(true);
  expect(isMulticast(ipv4("240.0.0.0"))).toBe(false);
  expect(isLoopback(ipv4("127.255.0.1"))).toBe(true);
  expect(isLoopback(ipv4("128.0.0.1"))).toBe(false);
  expect(() => ipv4("1.2.3")).toThrow("not an IPv4 address");
});

test("a MAC survives its text, any case", () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff_ffff), (m) => {
      expect(parseMac(formatMac(m))).toBe(m);
      expect(parseMac(formatMac(m).toUpperCase())).toBe(m);
      expect(isGroupMac(m)).toBe((Number.parseInt(formatMac(m).slice(0, 2), 16) & 1) === 1);
    }),
  );
  for (const text of [
    "",
    "00:00:00:00:00",
    "0:0:0:0:0:0",
    "00-00-00-00-00-00",
    "00:00:00:00:00:0g",
    "00:00:00:00:00:00:00",
  ]) {
    expect(parseMac(text)).toBeUndefined();
  }
  expect(() => mac("nonsense")).toThrow("not a MAC address");
});

test("a random MAC is local and unicast, and equal seeds give equal sequences", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const [a, b] = [new SeededRng(seed), new SeededRng(seed)];
      const m = randomMac(a);
      expect(randomMac(b)).toBe(m);
      expect(Number.parseInt(formatMac(m).slice(0, 2), 16) & 3).toBe(2);
      expect(Number.isSafeInteger(m) && m <= 0xffff_ffff_ffff).toBe(true);
    }),
  );
});

test("below and unit stay in their range and reach all of it", () => {
  const rng = new SeededRng(1);
  const seen = new Set<number>();
  let sum = 0;
  for (let i = 0; i < 2000; i++) {
    seen.add(below(rng, 6));
    const u = unit(rng);
    expect(u >= 0 && u < 1).toBe(true);
    sum += u;
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(sum / 2000).toBeCloseTo(0.5, 1);
  expect(below({ u32: () => 0xffffffff }, 3)).toBe(2);
});

test("text survives UTF-8, and bytes that are no text are refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      // A leading byte order mark is dropped, as every decoder does unless told otherwise.
      const want = text.startsWith("\ufeff") ? text.slice(1) : text;
      expect(decodeUtf8(encodeUtf8(text))).toBe(want);
    }),
  );
  expect(decodeUtf8(Uint8Array.of(0xc3, 0x28))).toBeUndefined();
  expect(decodeUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toBeUndefined();
});
