// What is discarded, what combines, and what is no error.
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import {
  all,
  type Base,
  changed,
  discard,
  LL6,
  NH6,
  NLRI,
  NONE,
  only6,
  REACH6,
  type Row,
  reachOf,
  reset,
  sizes,
  sound,
  UNREACH6,
  V6,
  withdraw,
} from "./rfc7606-row.ts";

const OLD: Partial<Negotiated> = { as4: false };
/** The base of a two-octet session. */
const old = (extra: string) => (base: Base) => ({
  attributes: `${base.origin}${base.asPath.length > 6 ? "4002040201fde9" : "400200"}${base.nextHop}${base.localPref}${extra}`,
  nlri: NLRI,
});

const discarded: readonly Row[] = [
  ...sizes("ATOMIC_AGGREGATE", "4006", [1, 4], discard("3/5")),
  ...sizes("AGGREGATOR", "c007", [0, 6, 7, 9], discard("3/5")),
  {
    sentence: "AGGREGATOR length 8 from a two-octet speaker",
    parts: old("c00708 0000fde9 0a000001"),
    session: OLD,
    want: discard("3/5"),
  },
  { sentence: "AGGREGATOR: AS 0", parts: sound("c00708 00000000 0a000001"), want: discard("3/9") },
  {
    sentence: "AGGREGATOR: AS 0 from a two-octet speaker",
    parts: old("c00706 0000 0a000001"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "LOCAL_PREF from another AS",
    parts: changed({ localPref: "40050400000064" }),
    want: { ibgp: NONE, ebgp: discard("3/1") },
  },
  {
    sentence: "ORIGINATOR_ID from another AS",
    parts: sound("8009040a000001"),
    want: { ibgp: NONE, ebgp: discard("3/1") },
  },
  {
    sentence: "CLUSTER_LIST from another AS",
    parts: sound("800a080a0000010a000002"),
    want: { ibgp: NONE, ebgp: discard("3/1") },
  },
  {
    sentence: "AS4_PATH: a bad segment type",
    parts: old("c01106 0501 0000fde9"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "AS4_PATH: a segment without an AS",
    parts: old("c01102 0200"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "AS4_PATH: a segment overruns",
    parts: old("c01106 0202 0000fde9"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "AS4_PATH: one octet is left",
    parts: old("c01107 0201 0000fde9 02"),
    session: OLD,
    want: discard("3/9"),
  },
  { sentence: "AS4_PATH is empty", parts: old("c01100"), session: OLD, want: discard("3/9", "c01100") },
  { sentence: "AS4_PATH: AS 0", parts: old("c01106 0201 00000000"), session: OLD, want: discard("3/9") },
  {
    sentence: "AS4_AGGREGATOR length 6",
    parts: old("c01206 fde9 0a000001"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "AS4_AGGREGATOR: AS 0",
    parts: old("c01208 00000000 0a000001"),
    session: OLD,
    want: discard("3/9"),
  },
  {
    sentence: "AS4_PATH from a four-octet speaker",
    parts: sound("c01106 0201 0000fde9"),
    want: discard("3/1"),
  },
  {
    sentence: "AS4_AGGREGATOR from a four-octet speaker",
    parts: sound("c01208 0000fde9 0a000001"),
    want: discard("3/1"),
  },
  { sentence: "a second ORIGIN", parts: sound("40010102"), want: discard("3/1") },
  { sentence: "a second AS_PATH, even a malformed one", parts: sound("4002020200"), want: discard("3/1") },
  { sentence: "a second NEXT_HOP", parts: sound("4003040a000002"), want: discard("3/1") },
  { sentence: "a second MED", parts: sound("80040400000001 80040400000002"), want: discard("3/1") },
  { sentence: "a second COMMUNITY", parts: sound("c00804fde90001 c00804fde90002"), want: discard("3/1") },
  { sentence: "a second unknown attribute", parts: sound("c0630101 c0630102"), want: discard("3/1") },
  {
    sentence: "MP_REACH_NLRI of a family that was not negotiated",
    parts: (base) => ({ attributes: `800e05 001946 00 00${all(base)}`, nlri: NLRI }),
    want: discard("3/9"),
  },
  {
    sentence: "MP_UNREACH_NLRI of a family that was not negotiated",
    parts: (base) => ({ attributes: `800f03 001946${all(base)}`, nlri: NLRI }),
    want: discard("3/9"),
  },
];

const withoutRoutes: readonly Row[] = [
  {
    sentence: "no reachable NLRI: a wrong flag beside withdrawn routes",
    parts: () => ({ withdrawn: NLRI, attributes: "c0010100" }),
    want: reset("3/4", "c0010100"),
  },
  {
    sentence: "no reachable NLRI: a malformed ORIGIN beside withdrawn routes",
    parts: () => ({ withdrawn: NLRI, attributes: "40010109" }),
    want: reset("3/6", "40010109"),
  },
  {
    sentence: "no reachable NLRI: a malformed attribute beside MP_UNREACH_NLRI",
    parts: () => ({ attributes: `${UNREACH6}c00803fde900` }),
    want: reset("3/5", "c00803fde900"),
  },
  {
    sentence: "no reachable NLRI: an empty MP_REACH_NLRI beside a malformed ORIGIN",
    parts: (base) => ({ attributes: `800e15 000201 10 ${NH6} 00 40010109${base.asPath}` }),
    want: reset("3/6"),
  },
  {
    sentence: "no reachable NLRI: stray octets",
    parts: () => ({ withdrawn: NLRI, attributes: "4001" }),
    want: reset("3/1"),
  },
  {
    sentence: "no reachable NLRI, and nothing but MP_UNREACH_NLRI with a wrong flag: its withdrawals hold",
    parts: () => ({ attributes: UNREACH6.replace("80", "c0") }),
    want: withdraw("3/4"),
    routes: [],
  },
  {
    sentence: "no reachable NLRI: a discarded attribute costs nothing more",
    parts: () => ({ withdrawn: NLRI, attributes: "400604 00000000" }),
    want: discard("3/5"),
    routes: [],
  },
  {
    sentence: "no reachable NLRI: attributes without any error are no error",
    parts: (base) => ({ withdrawn: NLRI, attributes: all(base) }),
    want: NONE,
    routes: [],
  },
];

const strongest: readonly Row[] = [
  {
    sentence: "the strongest action applies: discard and withdraw",
    parts: changed({ origin: "40010109" }, "40060100"),
    want: withdraw("3/6"),
  },
  {
    sentence: "the strongest action applies: withdraw and reset",
    parts: changed({ origin: "40010109" }, "406300"),
    want: reset("3/2", "406300"),
  },
  {
    sentence: "the strongest action applies: discard and reset",
    parts: changed({}, "40060100 406300"),
    want: reset("3/2", "406300"),
  },
];

const noErrors: readonly Row[] = [
  { sentence: "unknown types of extended communities", parts: sound("c01008 ff77010203040506"), want: NONE },
  {
    sentence: "the Partial bit on a well-known attribute",
    parts: changed({ origin: "60010100" }),
    want: NONE,
  },
  {
    sentence: "the Partial bit on an optional non-transitive attribute",
    parts: sound("a00404 00000001"),
    want: NONE,
  },
  {
    sentence: "the Partial bit on an optional transitive attribute",
    parts: sound("e00804 fde90001"),
    want: NONE,
  },
  { sentence: "the low nibble of the flags", parts: changed({ origin: "4f010100" }), want: NONE },
  {
    sentence: "attributes in any order",
    parts: (base) => ({
      attributes: `c00804fde90001${base.localPref}${base.nextHop}${base.asPath}${base.origin}`,
      nlri: NLRI,
    }),
    want: NONE,
  },
  {
    sentence: "MP_REACH_NLRI behind other attributes",
    parts: (base) => ({ attributes: base.origin + base.asPath + REACH6 }),
    want: NONE,
    routes: V6,
  },
  { sentence: "extended length on a short value", parts: changed({ origin: "5001000100" }), want: NONE },
  {
    sentence: "the reserved octet of MP_REACH_NLRI",
    parts: only6(reachOf(`000201 10 ${NH6} ff`)),
    want: NONE,
    routes: V6,
  },
  {
    sentence: "an IPv6 next hop of 32 octets",
    parts: only6(reachOf(`000201 20 ${NH6}${LL6} 00`)),
    want: NONE,
    routes: V6,
  },
  {
    sentence: "IPv4 unicast in MP_REACH_NLRI",
    parts: only6(reachOf("000101 04 0a000001 00", NLRI)),
    want: NONE,
  },
  {
    sentence: "IPv4 unicast with an IPv6 next hop, where it was negotiated",
    parts: only6(reachOf(`000101 20 ${NH6}${LL6} 00`, NLRI)),
    session: { extNextHop: [0x0101] },
    want: NONE,
  },
  {
    sentence: "withdrawn routes, NLRI, MP_REACH_NLRI and MP_UNREACH_NLRI in one message",
    parts: (base) => ({ withdrawn: "18c63364", attributes: REACH6 + UNREACH6 + all(base), nlri: NLRI }),
    want: NONE,
    routes: ["192.0.2.0/24", ...V6],
  },
  { sentence: "an unknown optional transitive attribute", parts: sound("c06302 0102"), want: NONE },
  {
    sentence: "an unknown optional transitive attribute without a value",
    parts: sound("c06300"),
    want: NONE,
  },
  { sentence: "an unknown optional non-transitive attribute", parts: sound("806302 0102"), want: NONE },
  { sentence: "semantic next hop 0.0.0.0", parts: changed({ nextHop: "40030400000000" }), want: NONE },
  { sentence: "semantic next hop 127.0.0.1", parts: changed({ nextHop: "4003047f000001" }), want: NONE },
  { sentence: "semantic next hop 224.0.0.1", parts: changed({ nextHop: "400304e0000001" }), want: NONE },
  { sentence: "semantic next hop of class E", parts: changed({ nextHop: "400304f0000001" }), want: NONE },
  {
    sentence: "our own AS in the path is a loop, not an error",
    parts: changed({ asPath: "40020a0202 0000fde9 0000fc00" }),
    want: NONE,
  },
];

const firstAs: readonly Row[] = [
  {
    sentence: "the first AS is not the peer's",
    parts: changed({ asPath: "4002060201 0000fdea" }),
    want: { ibgp: NONE, ebgp: withdraw("3/11") },
  },
  {
    sentence: "the path is empty, so it does not begin with the peer's AS",
    parts: changed({ asPath: "400200" }),
    want: { ibgp: NONE, ebgp: withdraw("3/11") },
  },
  {
    sentence: "the path begins with a set, so it does not begin with the peer's AS",
    parts: changed({ asPath: "4002060101 0000fde9" }),
    want: { ibgp: NONE, ebgp: withdraw("3/11") },
  },
  {
    sentence: "the first AS is not the peer's, and the peer is a route server",
    parts: changed({ asPath: "4002060201 0000fdea" }),
    session: { enforceFirstAs: false },
    want: NONE,
  },
  {
    sentence: "the first AS is not the peer's, but nothing is announced",
    parts: () => ({ withdrawn: NLRI, attributes: "40010100 4002060201 0000fdea" }),
    want: NONE,
    routes: [],
  },
];

export const otherRows: readonly Row[] = [
  ...discarded,
  ...withoutRoutes,
  ...strongest,
  ...noErrors,
  ...firstAs,
];
