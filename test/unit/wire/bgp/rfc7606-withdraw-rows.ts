// What withdraws the routes.
import {
  type Base,
  changed,
  discard,
  NH6,
  NLRI,
  NONE,
  only6,
  REACH6,
  type Row,
  sizes,
  sound,
  V6,
  withdraw,
} from "./rfc7606-row.ts";

/** Type, right flags, a sound value (inside an AS with four-octet AS numbers). */
const KNOWN: readonly (readonly [string, string, number, string])[] = [
  ["ORIGIN", "01", 0x40, "00"],
  ["AS_PATH", "02", 0x40, ""],
  ["NEXT_HOP", "03", 0x40, "0a000001"],
  ["MULTI_EXIT_DISC", "04", 0x80, "00000001"],
  ["LOCAL_PREF", "05", 0x40, "00000064"],
  ["ATOMIC_AGGREGATE", "06", 0x40, ""],
  ["AGGREGATOR", "07", 0xc0, "0000fde90a000001"],
  ["COMMUNITY", "08", 0xc0, "fde90001"],
  ["ORIGINATOR_ID", "09", 0x80, "0a000001"],
  ["CLUSTER_LIST", "0a", 0x80, "0a000001"],
  ["EXT_COMMUNITY", "10", 0xc0, "0002fde900000001"],
  ["AS4_PATH", "11", 0xc0, "02010000fde9"],
  ["AS4_AGGREGATOR", "12", 0xc0, "0000fde90a000001"],
  ["PMSI_TUNNEL", "16", 0xc0, "0006000001"],
  ["IPV6_EXT_COMMUNITY", "19", 0xc0, "00".repeat(20)],
  ["LARGE_COMMUNITY", "20", 0xc0, "0000fde90000000100000002"],
];

const replaces: Readonly<Record<string, keyof Base>> = {
  "01": "origin",
  "02": "asPath",
  "03": "nextHop",
  "05": "localPref",
};

const flags: readonly Row[] = KNOWN.flatMap(([name, type, right, value]) =>
  [0x80, 0x40].map((bit): Row => {
    const attribute = `${(right ^ bit).toString(16).padStart(2, "0")}${type}${(value.length / 2).toString(16).padStart(2, "0")}${value}`;
    const field = replaces[type];
    return {
      sentence: `${name}: the ${bit === 0x80 ? "Optional" : "Transitive"} bit is wrong`,
      parts: field === undefined ? sound(attribute) : changed({ [field]: attribute }),
      want: withdraw("3/4", attribute),
    };
  }),
);

const lists: readonly Row[] = [
  {
    sentence: "an attribute runs past attr-len",
    parts: sound("c00820 fde90001"),
    want: withdraw("3/1"),
  },
  {
    sentence: "an unknown attribute runs past attr-len",
    parts: sound("c06320 fde90001"),
    want: withdraw("3/1"),
  },
  {
    sentence: "an attribute with extended length runs past attr-len",
    parts: sound("d0080104 fde90001"),
    want: withdraw("3/1"),
  },
  { sentence: "one stray octet at the end of the attributes", parts: sound("c0"), want: withdraw("3/1") },
  { sentence: "two stray octets at the end of the attributes", parts: sound("c008"), want: withdraw("3/1") },
  {
    sentence: "three stray octets at the end of the attributes, where the length is extended",
    parts: sound("d00800"),
    want: withdraw("3/1"),
  },
];

const mandatory: readonly Row[] = [
  { sentence: "ORIGIN is missing", parts: changed({ origin: "" }), want: withdraw("3/3", "01") },
  { sentence: "AS_PATH is missing", parts: changed({ asPath: "" }), want: withdraw("3/3", "02") },
  {
    sentence: "NEXT_HOP is missing beside NLRI",
    parts: changed({ nextHop: "" }),
    want: withdraw("3/3", "03"),
  },
  {
    sentence: "all attributes are missing beside NLRI",
    parts: () => ({ nlri: NLRI }),
    want: withdraw("3/3", "01"),
  },
  {
    sentence: "ORIGIN is missing beside MP_REACH_NLRI",
    parts: (base) => ({ attributes: REACH6 + base.asPath }),
    want: withdraw("3/3", "01"),
    routes: V6,
  },
  {
    sentence: "AS_PATH is missing beside MP_REACH_NLRI",
    parts: (base) => ({ attributes: REACH6 + base.origin }),
    want: withdraw("3/3", "02"),
    routes: V6,
  },
  { sentence: "NEXT_HOP is not missing beside MP_REACH_NLRI", parts: only6(REACH6), want: NONE, routes: V6 },
  {
    sentence: "LOCAL_PREF is missing, and the default is assumed",
    parts: changed({ localPref: "" }),
    want: NONE,
  },
  {
    sentence: "LOCAL_PREF is missing, and the knob demands it inside an AS",
    parts: changed({ localPref: "" }),
    session: { requireLocalPref: true },
    want: { ibgp: withdraw("3/3", "05"), ebgp: NONE },
  },
];

const values: readonly Row[] = [
  { sentence: "ORIGIN length 0", parts: changed({ origin: "400100" }), want: withdraw("3/5", "400100") },
  {
    sentence: "ORIGIN length 2",
    parts: changed({ origin: "4001020000" }),
    want: withdraw("3/5", "4001020000"),
  },
  { sentence: "ORIGIN value 3", parts: changed({ origin: "40010103" }), want: withdraw("3/6", "40010103") },
  { sentence: "ORIGIN value 255", parts: changed({ origin: "400101ff" }), want: withdraw("3/6", "400101ff") },
  {
    sentence: "AS_PATH: segment type 0",
    parts: changed({ asPath: "4002060001 0000fde9" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: segment type 5",
    parts: changed({ asPath: "4002060501 0000fde9" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a segment without an AS",
    parts: changed({ asPath: "4002020200" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a later segment without an AS",
    parts: changed({ asPath: "4002080201 0000fde9 0100" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a segment overruns",
    parts: changed({ asPath: "4002060202 0000fde9" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: two-octet AS numbers where four were negotiated",
    parts: changed({ asPath: "4002040201 fde9" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: one octet is left",
    parts: changed({ asPath: "4002070201 0000fde9 02" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: AS 0 (RFC 7607)",
    parts: changed({ asPath: "40020a0202 0000fde9 00000000" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: AS 0 in a set",
    parts: changed({ asPath: "40020c0201 0000fde9 0101 00000000" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a confederation's sequence from a non-member",
    parts: changed({ asPath: "4002060301 0000fde9" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a confederation's set from a non-member",
    parts: changed({ asPath: "40020c0201 0000fde9 0401 0000fdea" }),
    want: withdraw("3/11"),
  },
  {
    sentence: "AS_PATH: a confederation's sequence from a member",
    parts: changed({ asPath: "4002060301 0000fde9", localPref: "40050400000064" }),
    session: { confederationMember: true },
    want: NONE,
  },
  { sentence: "NEXT_HOP length 0", parts: changed({ nextHop: "400300" }), want: withdraw("3/5", "400300") },
  { sentence: "NEXT_HOP length 3", parts: changed({ nextHop: "4003030a0000" }), want: withdraw("3/5") },
  { sentence: "NEXT_HOP length 16", parts: changed({ nextHop: `400310${NH6}` }), want: withdraw("3/5") },
  { sentence: "MED length 0", parts: sound("800400"), want: withdraw("3/5", "800400") },
  { sentence: "MED length 3", parts: sound("800403000001"), want: withdraw("3/5") },
  { sentence: "MED length 5", parts: sound("8004050000000001"), want: withdraw("3/5") },
  {
    sentence: "LOCAL_PREF length 0: inside an AS it is malformed, from another AS it is discarded anyway",
    parts: changed({ localPref: "400500" }),
    want: { ibgp: withdraw("3/5", "400500"), ebgp: discard("3/1") },
  },
  {
    sentence: "LOCAL_PREF length 5",
    parts: changed({ localPref: "4005050000000064" }),
    want: { ibgp: withdraw("3/5"), ebgp: discard("3/1") },
  },
  ...sizes("COMMUNITY", "c008", [0, 1, 3, 5, 7], withdraw("3/5")),
  ...sizes("EXT_COMMUNITY", "c010", [0, 4, 7, 9, 12], withdraw("3/5")),
  ...sizes("LARGE_COMMUNITY", "c020", [0, 4, 8, 11, 13, 16], withdraw("3/5")),
  ...sizes("IPV6_EXT_COMMUNITY", "c019", [0, 8, 16, 19, 21], withdraw("3/5")),
  ...sizes("ORIGINATOR_ID", "8009", [0, 3, 5, 8], { ibgp: withdraw("3/5"), ebgp: discard("3/1") }),
  ...sizes("CLUSTER_LIST", "800a", [0, 1, 5, 7], { ibgp: withdraw("3/5"), ebgp: discard("3/1") }),
];

export const withdrawRows: readonly Row[] = [...flags, ...lists, ...mandatory, ...values];
