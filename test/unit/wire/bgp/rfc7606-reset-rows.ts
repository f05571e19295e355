// What costs the session.
import {
  all,
  NH6,
  NLRI,
  only6,
  REACH6,
  type Row,
  reachOf,
  reset,
  sound,
  UNREACH6,
  V6,
  withdraw,
} from "./rfc7606-row.ts";

const lengths: readonly Row[] = [
  {
    sentence: "withdrawn-len + attr-len + 23 > length: withdrawn-len alone is too large",
    parts: () => ({ body: "0003 0000 ff" }),
    want: reset("3/1"),
  },
  {
    sentence: "a prefix length > 32 in the NLRI",
    parts: (base) => ({ attributes: all(base), nlri: "21c000020000" }),
    want: reset("3/10"),
  },
  {
    sentence: "a prefix of the NLRI overruns its field",
    parts: (base) => ({ attributes: all(base), nlri: "18c000" }),
    want: reset("3/10"),
  },
  {
    sentence: "a second prefix of the NLRI overruns its field",
    parts: (base) => ({ attributes: all(base), nlri: `${NLRI}20c0000201ff`.slice(0, 16) }),
    want: reset("3/10"),
  },
  {
    sentence: "a prefix length > 32 in the withdrawn routes",
    parts: (base) => ({ withdrawn: "21c000020000", attributes: all(base), nlri: NLRI }),
    want: reset("3/10"),
  },
  {
    sentence: "a prefix of the withdrawn routes overruns its field",
    parts: () => ({ withdrawn: "18c000" }),
    want: reset("3/10"),
  },
  {
    sentence: "with ADD-PATH, a path identifier of the NLRI is cut off",
    parts: (base) => ({ attributes: all(base), nlri: "000000" }),
    session: { addPathRx: [0x0101] },
    want: reset("3/10"),
  },
  {
    sentence: "with ADD-PATH, a path identifier without a prefix ends the withdrawn routes",
    parts: () => ({ withdrawn: "00000001" }),
    session: { addPathRx: [0x0101] },
    want: reset("3/10"),
  },
];

const multiprotocol: readonly Row[] = [
  {
    sentence: "a second MP_REACH_NLRI",
    parts: (base) => ({ attributes: REACH6 + all(base) + REACH6, nlri: NLRI }),
    want: reset("3/1"),
  },
  {
    sentence: "a second MP_UNREACH_NLRI",
    parts: () => ({ attributes: UNREACH6 + UNREACH6 }),
    want: reset("3/1"),
  },
  {
    sentence: "a prefix length > 128 in MP_REACH_NLRI",
    parts: only6(reachOf(`000201 10 ${NH6} 00`, `81 ${"20".repeat(17)}`)),
    want: reset("3/9"),
  },
  {
    sentence: "a prefix overruns MP_REACH_NLRI",
    parts: only6(reachOf(`000201 10 ${NH6} 00`, "30 20010db800")),
    want: reset("3/9"),
  },
  {
    sentence: "a prefix length > 128 in MP_UNREACH_NLRI",
    parts: () => ({ attributes: `800f15 000201 81 ${"20".repeat(17)}` }),
    want: reset("3/9"),
  },
  {
    sentence: "a prefix overruns MP_UNREACH_NLRI",
    parts: () => ({ attributes: "800f08 000201 30 20010db8" }),
    want: reset("3/9", "800f080002013020010db8"),
  },
  {
    sentence: "a prefix length > 32 in an IPv4 MP_UNREACH_NLRI",
    parts: () => ({ attributes: "800f09 000101 21 c000020000" }),
    want: reset("3/9"),
  },
  ...["00", "04", "08", "0f", "11", "18", "1f", "21", "30", "ff"].map((length): Row => {
    const octets = "20".repeat(Number.parseInt(length, 16));
    const value = `000201${length}${octets}00 30 20010db80007`.replaceAll(" ", "");
    const size = (value.length / 2).toString(16).padStart(4, "0");
    return {
      sentence: `MP_REACH_NLRI, IPv6: a next hop of ${Number.parseInt(length, 16)} octets`,
      parts: only6(`900e${size}${value}`),
      want: reset("3/9"),
    };
  }),
  ...["00", "03", "05", "10", "20"].map((length): Row => {
    const octets = "20".repeat(Number.parseInt(length, 16));
    return {
      sentence: `MP_REACH_NLRI, IPv4 without extended next hop: a next hop of ${Number.parseInt(length, 16)} octets`,
      parts: only6(reachOf(`000101${length}${octets}00`, NLRI)),
      want: reset("3/9"),
    };
  }),
  {
    sentence: "MP_REACH_NLRI is too short for its next hop",
    parts: only6(`800e0c 000201 10 ${NH6.slice(0, 16)}`),
    want: reset("3/9"),
  },
  {
    sentence: "MP_REACH_NLRI is too short for the reserved octet",
    parts: only6(`800e14 000201 10 ${NH6}`),
    want: reset("3/9"),
  },
  { sentence: "MP_REACH_NLRI is empty", parts: only6("800e00"), want: reset("3/9", "800e00") },
  {
    sentence: "MP_UNREACH_NLRI is too short for its family",
    parts: () => ({ attributes: "800f02 0002" }),
    want: reset("3/9", "800f020002"),
  },
  {
    sentence: "MP_REACH_NLRI runs past attr-len, so its routes cannot be told",
    parts: (base) => ({ attributes: `${all(base)}800e1c 000201`, nlri: NLRI }),
    want: reset("3/1"),
  },
  {
    sentence: "MP_UNREACH_NLRI runs past attr-len, so its routes cannot be told",
    parts: () => ({ attributes: "800f1c 000201" }),
    want: reset("3/1"),
  },
  {
    sentence: "MP_REACH_NLRI with the Transitive bit: its routes are withdrawn",
    parts: only6(REACH6.replace("80", "c0")),
    want: withdraw("3/4"),
    routes: V6,
  },
  {
    sentence: "MP_REACH_NLRI without the Optional bit: its routes are withdrawn",
    parts: only6(REACH6.replace("80", "00")),
    want: withdraw("3/4"),
    routes: V6,
  },
];

const unrecognized: readonly Row[] = [
  {
    sentence: "unrecognized well-known, transitive",
    parts: sound("406302 0102"),
    want: reset("3/2", "4063020102"),
  },
  { sentence: "unrecognized well-known, no bit set", parts: sound("006300"), want: reset("3/2", "006300") },
  { sentence: "unrecognized well-known of type 0", parts: sound("400000"), want: reset("3/2", "400000") },
  {
    sentence: "unrecognized well-known of type 255",
    parts: sound("40ff0107"),
    want: reset("3/2", "40ff0107"),
  },
];

export const resetRows: readonly Row[] = [...lengths, ...multiprotocol, ...unrecognized];
