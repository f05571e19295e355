import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Community,
  type ExtCommunity,
  formatCommunity,
  formatExtCommunity,
  formatLargeCommunity,
  parseCommunity,
  parseExtCommunity,
  parseLargeCommunity,
} from "../../../../src/wire/bgp/communities.ts";

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const ext = (high: number, low: number): ExtCommunity => ({ high, low });

/** Words that are the name of something that every object has. */
const INHERITED = ["constructor", "__proto__", "toString", "hasOwnProperty"];

describe("standard communities", () => {
  test.each([
    ["64512:100", 0xfc000064],
    ["0:0", 0],
    ["65535:65535", 0xffffffff],
    ["no-export", Community.NO_EXPORT],
    ["NO_EXPORT", Community.NO_EXPORT],
    ["No-Advertise", Community.NO_ADVERTISE],
    ["local-as", Community.NO_EXPORT_SUBCONFED],
    ["no-export-subconfed", Community.NO_EXPORT_SUBCONFED],
    ["gshut", Community.GRACEFUL_SHUTDOWN],
    ["graceful-shutdown", Community.GRACEFUL_SHUTDOWN],
    ["blackhole", Community.BLACKHOLE],
    ["llgr-stale", Community.LLGR_STALE],
    ["no-llgr", Community.NO_LLGR],
    ["65535:65281", Community.NO_EXPORT],
  ])("%s", (text, community) => {
    expect(parseCommunity(text)).toBe(community);
  });

  test.each([
    "",
    ":",
    "64512",
    "64512:",
    ":100",
    "64512:65536",
    "65536:1",
    "64512:100:1",
    "064512:1",
    "64512:01",
    "-1:1",
    "+1:1",
    "1e3:1",
    " 1:1",
    "1:1 ",
    "0x1:1",
    "internet",
    ...INHERITED,
  ])("is none: %j", (text) => {
    expect(parseCommunity(text)).toBeUndefined();
  });

  test("what is written is read again", () => {
    fc.assert(
      fc.property(u32, (one) => {
        expect(parseCommunity(formatCommunity(one))).toBe(one);
      }),
    );
    for (const one of Object.values(Community)) expect(parseCommunity(formatCommunity(one))).toBe(one);
  });
});

describe("large communities", () => {
  test("three words of 32 bits, without leading zeros", () => {
    expect(parseLargeCommunity("4294967295:0:4294967295")).toEqual({
      global: 0xffffffff,
      local1: 0,
      local2: 0xffffffff,
    });
    for (const text of ["1:2", "1:2:3:4", "1:2:4294967296", "1:02:3", "a:2:3", "1::3", "", "no-export"]) {
      expect(parseLargeCommunity(text), text).toBeUndefined();
    }
  });

  test("what is written is read again", () => {
    fc.assert(
      fc.property(fc.record({ global: u32, local1: u32, local2: u32 }), (one) => {
        expect(parseLargeCommunity(formatLargeCommunity(one))).toEqual(one);
      }),
    );
  });
});

describe("extended communities", () => {
  test.each([
    ["rt:64512:1", ext(0x0002fc00, 1), "rt:64512:1"],
    ["RT:64512:4294967295", ext(0x0002fc00, 0xffffffff), "rt:64512:4294967295"],
    ["ro:10.0.0.1:7", ext(0x01030a00, 0x00010007), "ro:10.0.0.1:7"],
    ["soo:64512:7", ext(0x0003fc00, 7), "ro:64512:7"],
    ["rt:65536:9", ext(0x02020001, 0x00000009), "rt:65536:9"],
    ["rt:4200000001:65535", ext(0x0202fa56, 0xea01ffff), "rt:4200000001:65535"],
    ["rt:64512L:9", ext(0x02020000, 0xfc000009), "rt:64512L:9"],
    ["0x4002fc0000000001", ext(0x4002fc00, 1), "0x4002fc0000000001"],
    ["0xFFFFFFFFFFFFFFFF", ext(0xffffffff, 0xffffffff), "0xffffffffffffffff"],
  ])("%s", (text, community, written) => {
    expect(parseExtCommunity(text)).toEqual(community);
    expect(formatExtCommunity(community)).toBe(written);
  });

  test.each([
    "",
    "rt",
    "rt:1",
    "rt:1:2:3",
    "rt:65536:65536",
    "rt:64512L:65536",
    "rt:10.0.0.1:65536",
    "rt:10.0.0.256:1",
    "rt:64512:4294967296",
    "rt:4294967296:1",
    "rt:L:1",
    "xx:1:2",
    "64512:1:2",
    "0x1",
    "0x4002fc000000000g",
    ...INHERITED.map((name) => `${name}:1:1`),
  ])("is none: %j", (text) => {
    expect(parseExtCommunity(text)).toBeUndefined();
  });

  test("what is written is read again, whatever the eight octets are", () => {
    const named = fc
      .tuple(
        fc.constantFrom(0x00, 0x01, 0x02, 0x40, 0x41, 0x42, 0x80),
        fc.constantFrom(2, 3, 4),
        fc.nat(0xffff),
      )
      .map(([type, subtype, rest]) => ((type << 24) | (subtype << 16) | rest) >>> 0);
    fc.assert(
      fc.property(fc.record({ high: fc.oneof(u32, named), low: u32 }), (one) => {
        expect(parseExtCommunity(formatExtCommunity(one))).toEqual(one);
      }),
    );
  });
});
