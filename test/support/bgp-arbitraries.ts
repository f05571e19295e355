// Sound BGP values for fast-check.
import fc from "fast-check";
import { netmask } from "../../src/base/ipv4-addr.ts";
import type { AsPath } from "../../src/wire/bgp/as-path.ts";
import type { Aggregator, PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import type { Capability } from "../../src/wire/bgp/capabilities.ts";
import {
  sortCommunities,
  sortExtCommunities,
  sortIpv6ExtCommunities,
  sortLargeCommunities,
} from "../../src/wire/bgp/communities.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { type Ipv6Prefix, ipv6PrefixOf } from "../../src/wire/bgp/ipv6-addr.ts";
import type { Negotiated } from "../../src/wire/bgp/negotiated.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";
import type { OpenMessage } from "../../src/wire/bgp/open.ts";
import { PrefixBuffer } from "../../src/wire/bgp/prefix-list.ts";
import { IBGP } from "./bgp.ts";

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
const octets = (maxLength: number) => fc.uint8Array({ maxLength });

/** Numbers on both sides of two octets. */
const asn = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }));

const segment = (types: readonly number[]) =>
  fc.record({ type: fc.constantFrom(...types), asns: fc.array(asn, { minLength: 1, maxLength: 12 }) });

/** @param confed with segments of a confederation in front? */
export const asPath = (confed: boolean): fc.Arbitrary<AsPath> =>
  fc
    .tuple(
      fc.array(segment([3, 4]), { maxLength: confed ? 2 : 0 }),
      fc.array(segment([1, 2]), { maxLength: 3 }),
    )
    .map(([front, rest]) => [...front, ...rest]);

const aggregator: fc.Arbitrary<Aggregator> = fc.record({ as: asn, addr: u32 });
const unknownTypes = [0, 11, 12, 13, 19, 21, 23, 26, 31, 33, 99, 128, 255];
const words = fc.tuple(u32, u32, u32, u32, u32);

/** Attributes as a parser would return them. */
export const pathAttributes = (confed = false): fc.Arbitrary<PathAttributes> =>
  fc
    .record({
      origin: fc.nat(2),
      asPath: asPath(confed),
      nextHop: u32,
      med: maybe(u32),
      localPref: maybe(u32),
      atomicAggregate: fc.boolean(),
      aggregator: maybe(aggregator),
      communities: fc.array(u32, { maxLength: 80 }).map(sortCommunities),
      originatorId: maybe(u32),
      clusterList: fc.array(u32, { maxLength: 5 }),
      extCommunities: fc.array(fc.record({ high: u32, low: u32 }), { maxLength: 40 }).map(sortExtCommunities),
      pmsiTunnel: maybe(octets(20)),
      ipv6ExtCommunities: fc.array(words, { maxLength: 3 }).map(sortIpv6ExtCommunities),
      largeCommunities: fc
        .array(fc.record({ global: u32, local1: u32, local2: u32 }), { maxLength: 30 })
        .map(sortLargeCommunities),
      unknown: fc
        .uniqueArray(
          fc.record({ type: fc.constantFrom(...unknownTypes), flags: fc.constant(0xe0), value: octets(300) }),
          { selector: (one) => one.type, maxLength: 3 },
        )
        .map((list) => list.sort((x, y) => x.type - y.type)),
      partialOf: fc.subarray([7, 8, 16, 22, 25, 32]),
    })
    .map(({ partialOf, ...rest }) => {
      const present = (type: number): boolean =>
        [
          type === 7 && rest.aggregator !== undefined,
          type === 8 && rest.communities.length > 0,
          type === 16 && rest.extCommunities.length > 0,
          type === 22 && rest.pmsiTunnel !== undefined,
          type === 25 && rest.ipv6ExtCommunities.length > 0,
          type === 32 && rest.largeCommunities.length > 0,
        ].includes(true);
      return { ...rest, partial: partialOf.filter(present) };
    });

export const ipv4Prefix = fc
  .tuple(u32, fc.nat(32))
  .map(([addr, len]) => ({ addr: (addr & netmask(len)) >>> 0, len }));
export const ipv6Prefix: fc.Arbitrary<Ipv6Prefix> = fc
  .tuple(u32, u32, u32, u32, fc.nat(128))
  .map(([a, b, c, d, len]) => ipv6PrefixOf({ a, b, c, d }, len));

/** Prefixes of a family, with identifiers. */
export const prefixList = (family: Family, minLength = 1): fc.Arbitrary<PrefixBuffer> =>
  family === Family.IPV4_UNICAST
    ? fc.array(fc.tuple(ipv4Prefix, u32), { minLength, maxLength: 40 }).map((list) => {
        const buffer = new PrefixBuffer(family, 1);
        for (const [{ addr, len }, id] of list) buffer.addIpv4(addr, len, id);
        return buffer;
      })
    : fc.array(fc.tuple(ipv6Prefix, u32), { minLength, maxLength: 40 }).map((list) => {
        const buffer = new PrefixBuffer(family, 1);
        for (const [prefix, id] of list) buffer.addIpv6(prefix, id);
        return buffer;
      });

const ipv6Addr = fc.record({ a: u32, b: u32, c: u32, d: u32 });

/** Next hops that MP_REACH_NLRI may hold for the family, extended next hops included. */
export const nextHop = (family: Family): fc.Arbitrary<NextHop> => {
  const wide = fc.record({ global: ipv6Addr, linkLocal: maybe(ipv6Addr) });
  return family === Family.IPV4_UNICAST ? fc.oneof(u32, wide) : wide;
};

/** Sessions inside an AS: with two or four octets, ADD-PATH or not, short or long messages. */
export const session: fc.Arbitrary<Negotiated> = fc
  .record({
    as4: fc.boolean(),
    addPath: fc.subarray([Family.IPV4_UNICAST, Family.IPV6_UNICAST]),
    long: fc.boolean(),
  })
  .map(({ as4, addPath, long }) => ({
    ...IBGP,
    as4,
    addPathRx: addPath,
    addPathTx: addPath,
    extNextHop: [Family.IPV4_UNICAST],
    confederationMember: true,
    txMaxBytes: long ? 65535 : 4096,
    rxMaxBytes: long ? 65535 : 4096,
  }));

const family = fc.tuple(u16, u8).map(([afi, safi]) => (afi << 8) | safi);
const text = fc
  .string({ maxLength: 30, unit: "grapheme" })
  .filter((s) => new TextEncoder().encode(s).length < 120);

const capability: fc.Arbitrary<Capability> = fc.oneof(
  family.map((one): Capability => ({ t: "multiprotocol", family: one })),
  fc.constantFrom<Capability>(
    { t: "route-refresh" },
    { t: "extended-message" },
    { t: "enhanced-route-refresh" },
  ),
  fc
    .array(fc.record({ family, nextHopAfi: u16 }), { maxLength: 4 })
    .map((entries): Capability => ({ t: "extended-next-hop", entries })),
  u8.map((role): Capability => ({ t: "role", role })),
  fc
    .record({
      restarting: fc.boolean(),
      notification: fc.boolean(),
      restartTimeSec: fc.nat(4095),
      families: fc.array(fc.record({ family, forwarding: fc.boolean() }), { maxLength: 4 }),
    })
    .map((gr): Capability => ({ t: "graceful-restart", ...gr })),
  u32.map((as): Capability => ({ t: "four-octet-as", as })),
  fc
    .array(fc.record({ family, direction: fc.integer({ min: 1, max: 3 }) }), { maxLength: 4 })
    .map((families): Capability => ({ t: "add-path", families })),
  fc
    .array(fc.record({ family, forwarding: fc.boolean(), staleTimeSec: fc.nat(0xffffff) }), { maxLength: 4 })
    .map((families): Capability => ({ t: "long-lived-graceful-restart", families })),
  fc.tuple(text, text).map(([host, domain]): Capability => ({ t: "hostname", host, domain })),
  text.map((one): Capability => ({ t: "software-version", text: one })),
  fc
    .tuple(
      fc.constantFrom(0, 3, 66, 128, 200, 255),
      fc.oneof(octets(40), fc.uint8Array({ minLength: 150, maxLength: 255 })),
    )
    .map(([code, value]): Capability => ({ t: "unknown", code, value })),
);

export const openMessage: fc.Arbitrary<OpenMessage> = fc.record({
  myAs: u16,
  holdTimeSec: u16,
  bgpId: u32,
  capabilities: fc.array(capability, { maxLength: 12 }),
});
