import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { type Capability, emitCapabilities } from "../../../../src/wire/bgp/capabilities.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import {
  checkOpen,
  emitOpen,
  myAsOf,
  type OpenExpectations,
  type OpenMessage,
  openAs,
  parseOpen,
} from "../../../../src/wire/bgp/open.ts";
import { message, written } from "../../../support/bgp.ts";
import { bytesOf, hexOf } from "../../../support/dissect.ts";

const as4 = (as: number): Capability => ({ t: "four-octet-as", as });
const V4: Capability = { t: "multiprotocol", family: Family.IPV4_UNICAST };
const V6: Capability = { t: "multiprotocol", family: Family.IPV6_UNICAST };

/** Version 4, AS 64512, 90 s, 10.0.0.1, then length and parameters. */
const open = (parameters: string) => message(1, `04 fc00 005a 0a000001 ${parameters}`);

function errorOf(bytes: Uint8Array): string {
  const parsed = parseOpen(bytes);
  return parsed.ok ? "ok" : `${parsed.error.code}/${parsed.error.subcode} ${hexOf(parsed.error.data)}`.trim();
}

describe("syntax", () => {
  test.each([
    ["version 3", message(1, "03 fc00 005a 0a000001 00"), "2/1 0004"],
    ["version 5, and nothing else is looked at", message(1, "05 fc00 005a 0a000001 ff"), "2/1 0004"],
    ["parameters shorter than announced", open("04 0202"), "2/0"],
    ["parameters longer than announced", open("02 02020206"), "2/0"],
    ["octets without a parameter length", open("00 00"), "2/0"],
    ["a parameter runs past the end", open("04 0203 0200"), "2/0"],
    ["a parameter is cut to one octet", open("05 02020200 02"), "2/0"],
    ["authentication, obsolete", open("03 0101 00"), "2/4"],
    ["an unknown parameter", open("02 0700"), "2/4"],
    ["an unknown parameter behind capabilities", open("06 02020200 0700"), "2/4"],
    ["a capability is cut in its head", open("03 0201 02"), "2/0"],
    ["a capability runs past its parameter", open("06 02044105 0000"), "2/0"],
    ["a capability runs past its parameter into the next", open("08 02024104 02020000"), "2/0"],
    ["no capability in the parameter", open("02 0200"), "ok"],
    ["extended: length cut off", open("02 ff 00"), "2/0"],
    ["extended: total too large", open("ff ff 0005 02 0001"), "2/0"],
    ["extended: total too small", open("ff ff 0002 02 0000"), "2/0"],
    ["extended: no parameters", open("ff ff 0000"), "ok"],
    ["extended: an unknown parameter", open("ff ff 0003 ff 0000"), "2/4"],
    ["extended: a parameter runs past the end", open("ff ff 0003 02 0001"), "2/0"],
    ["extended: another non-extended length", open("01 ff 0005 02 0002 0200"), "ok"],
    [
      "length 255 without the extended type",
      open(`ff ${"02fb 06f9".replace("06f9", `06f9${"00".repeat(249)}`)}0200`),
      "ok",
    ],
    ["cut short", bytesOf(`${"ff".repeat(16)}001b01 04fc00005a0a0000`), "2/0"],
  ])("%s", (_, bytes, want) => {
    expect(errorOf(bytes)).toBe(want);
  });

  test("a malformed value makes its capability unknown, with a warning, and no more", () => {
    const parsed = parseOpen(open("11 020f 0103000100 020100 4103000001 0600"));
    if (!parsed.ok) throw new Error(parsed.error.message);
    expect(parsed.value.open.capabilities.map((one) => one.t)).toEqual([
      "unknown",
      "unknown",
      "unknown",
      "extended-message",
    ]);
    expect(parsed.value.warnings).toHaveLength(3);
  });

  test("an ADD-PATH entry of no known direction is ignored, the others count", () => {
    const parsed = parseOpen(open("0c 020a 4508 00010104 00020101"));
    expect(parsed.ok && parsed.value.open.capabilities).toEqual([
      { t: "add-path", families: [{ family: Family.IPV6_UNICAST, direction: 1 }] },
    ]);
  });

  test("a host name that is not UTF-8 is unknown", () => {
    const parsed = parseOpen(open("08 0206 490402fffe00"));
    expect(parsed.ok && parsed.value.open.capabilities[0]?.t).toBe("unknown");
    expect(parsed.ok && parsed.value.warnings).toHaveLength(1);
  });
});

describe("acceptance", () => {
  const expected: OpenExpectations = {
    localAs: 64512,
    peerAs: 64512,
    localBgpId: ipv4("10.0.0.1"),
    holdTimeMinSec: 0,
    required: [],
  };
  const theirs: OpenMessage = {
    myAs: 64512,
    holdTimeSec: 90,
    bgpId: ipv4("10.0.0.2"),
    capabilities: [as4(64512)],
  };
  const judge = (open: Partial<OpenMessage>, wanted: Partial<OpenExpectations> = {}): string => {
    const error = checkOpen({ ...theirs, ...open }, { ...expected, ...wanted });
    return error === undefined ? "ok" : `${error.code}/${error.subcode} ${hexOf(error.data)}`.trim();
  };

  test.each<[string, Partial<OpenMessage>, Partial<OpenExpectations>, string]>([
    ["as expected", {}, {}, "ok"],
    ["another AS, two octets", { myAs: 65001, capabilities: [] }, {}, "2/2 fde9"],
    ["another AS, four octets", { capabilities: [as4(65001)] }, {}, "2/2 0000fde9"],
    ["the capability counts, not the field", { myAs: 1, capabilities: [as4(64512)] }, {}, "ok"],
    [
      "a four-octet AS behind AS_TRANS",
      { myAs: 23456, capabilities: [as4(4200000001)] },
      { peerAs: 4200000001 },
      "ok",
    ],
    ["AS 0 in the field", { myAs: 0, capabilities: [] }, { peerAs: "any" }, "2/2 0000"],
    ["AS 0 in the capability", { capabilities: [as4(0)] }, { peerAs: "any" }, "2/2 00000000"],
    ["AS_TRANS in the capability", { capabilities: [as4(23456)] }, { peerAs: "any" }, "2/2 00005ba0"],
    ["internal", {}, { peerAs: "internal" }, "ok"],
    ["internal, but it is not", { capabilities: [as4(65001)] }, { peerAs: "internal" }, "2/2 0000fde9"],
    ["external, but it is not", {}, { peerAs: "external" }, "2/2 0000fc00"],
    ["one of a set", {}, { peerAs: new Set([1, 64512]) }, "ok"],
    ["none of a set", {}, { peerAs: new Set([1, 2]) }, "2/2 0000fc00"],
    ["hold time 0", { holdTimeSec: 0 }, { holdTimeMinSec: 10 }, "ok"],
    ["hold time 1", { holdTimeSec: 1 }, {}, "2/6 0001"],
    ["hold time 2", { holdTimeSec: 2 }, {}, "2/6 0002"],
    ["hold time 3", { holdTimeSec: 3 }, {}, "ok"],
    ["hold time below ours", { holdTimeSec: 9 }, { holdTimeMinSec: 10 }, "2/6 0009"],
    ["identifier 0", { bgpId: 0 }, {}, "2/3 00000000"],
    ["our identifier inside our AS", { bgpId: ipv4("10.0.0.1") }, {}, "2/3 0a000001"],
    [
      "our identifier in another AS is fine",
      { bgpId: ipv4("10.0.0.1"), capabilities: [as4(65001)] },
      { peerAs: 65001 },
      "ok",
    ],
    ["an identifier that is no host's address", { bgpId: 0xffffffff }, {}, "ok"],
    ["a capability is missing", {}, { required: [as4(0), V6] }, "2/7 010400020001"],
    ["a family is missing", { capabilities: [as4(64512), V4] }, { required: [V6] }, "2/7 010400020001"],
    ["AS is judged before the hold time", { myAs: 1, capabilities: [], holdTimeSec: 1 }, {}, "2/2 0001"],
    ["the hold time is judged before the identifier", { holdTimeSec: 1, bgpId: 0 }, {}, "2/6 0001"],
  ])("%s", (_, open, wanted, want) => {
    expect(judge(open, wanted)).toBe(want);
  });
});

describe("emission", () => {
  const base = { myAs: 64512, holdTimeSec: 90, bgpId: 1 };
  const unknown = (length: number): Capability => ({
    t: "unknown",
    code: 200,
    value: new Uint8Array(length),
  });

  test("extended parameters only where 255 octets do not suffice", () => {
    const at = (length: number) =>
      written((out) => emitOpen(out, { ...base, capabilities: [unknown(length)] }));
    // 2 for the parameter, 2 for the capability.
    expect(hexOf(at(251)).slice(56, 64)).toBe("ff02fdc8");
    expect(hexOf(at(252)).slice(56, 70)).toBe("ffff01010200fe");
    for (const length of [0, 251, 252, 255]) {
      const parsed = parseOpen(at(length));
      expect(parsed.ok && parsed.value.open.capabilities).toEqual([unknown(length)]);
    }
  });

  test("a thousand octets of capabilities come back", () => {
    const capabilities = Array.from({ length: 10 }, () => unknown(100));
    const bytes = written((out) => emitOpen(out, { ...base, capabilities }));
    const parsed = parseOpen(bytes);
    expect(parsed.ok && parsed.value.open.capabilities).toEqual(capabilities);
  });

  test("a four-octet AS hides behind AS_TRANS", () => {
    expect([myAsOf(64512), myAsOf(65535), myAsOf(65536)]).toEqual([64512, 65535, 23456]);
    expect(openAs({ ...base, myAs: 23456, capabilities: [as4(1), as4(4200000001)] })).toBe(4200000001);
  });

  test("a capability that has no room in its length is our fault", () => {
    expect(() => emitCapabilities([unknown(256)])).toThrow("255");
  });
});
