import { describe, expect, test } from "vitest";
import type { Capability } from "../../../../src/wire/bgp/capabilities.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import { keepaliveTimeSec, negotiate } from "../../../../src/wire/bgp/negotiated.ts";
import type { OpenMessage } from "../../../../src/wire/bgp/open.ts";

const { IPV4_UNICAST: V4, IPV6_UNICAST: V6 } = Family;
const open = (...capabilities: Capability[]): OpenMessage => ({
  myAs: 64512,
  holdTimeSec: 90,
  bgpId: 1,
  capabilities,
});
const mp = (family: number): Capability => ({ t: "multiprotocol", family });
const addPath = (...families: [number, number][]): Capability => ({
  t: "add-path",
  families: families.map(([family, direction]) => ({ family, direction })),
});

describe("families", () => {
  test.each([
    ["neither announces any: IPv4 unicast", [], [], [V4]],
    ["both announce both", [V4, V6], [V6, V4], [V4, V6]],
    ["what both announce", [V4, V6], [V6], [V6]],
    ["one announces none, which is IPv4 unicast", [V4, V6], [], [V4]],
    ["nothing in common", [V6], [], []],
    ["twice is once", [V4, V4], [V4, V4], [V4]],
  ])("%s", (_, ours, theirs, want) => {
    expect(negotiate(open(...ours.map(mp)), open(...theirs.map(mp))).families).toEqual(want);
  });
});

describe("ADD-PATH", () => {
  test.each<[string, [number, number][], [number, number][], number[], number[]]>([
    ["both both", [[V4, 3]], [[V4, 3]], [V4], [V4]],
    ["we receive, they send", [[V4, 1]], [[V4, 2]], [V4], []],
    ["we send, they receive", [[V4, 2]], [[V4, 1]], [], [V4]],
    ["both only receive", [[V4, 1]], [[V4, 1]], [], []],
    ["both only send", [[V4, 2]], [[V4, 2]], [], []],
    [
      "per family",
      [
        [V4, 3],
        [V6, 1],
      ],
      [
        [V4, 1],
        [V6, 3],
      ],
      [V6],
      [V4],
    ],
    [
      "the last entry of a family holds",
      [[V4, 3]],
      [
        [V4, 3],
        [V4, 1],
      ],
      [],
      [V4],
    ],
  ])("%s", (_, ours, theirs, rx, tx) => {
    const families = [mp(V4), mp(V6)];
    const settled = negotiate(open(...families, addPath(...ours)), open(...families, addPath(...theirs)));
    expect([settled.addPathRx, settled.addPathTx]).toEqual([rx, tx]);
  });

  test("not in a family that is not spoken", () => {
    const settled = negotiate(open(mp(V4), addPath([V6, 3])), open(mp(V4), addPath([V6, 3])));
    expect(settled.addPathRx).toEqual([]);
  });
});

test("a message is as long as its receiver takes it", () => {
  const extended: Capability = { t: "extended-message" };
  expect(negotiate(open(extended), open())).toMatchObject({ rxMaxBytes: 65535, txMaxBytes: 4096 });
  expect(negotiate(open(), open(extended))).toMatchObject({ rxMaxBytes: 4096, txMaxBytes: 65535 });
});

test("four-octet AS numbers need both, and tell inside from outside", () => {
  const as4 = (as: number): Capability => ({ t: "four-octet-as", as });
  expect(negotiate(open(as4(4200000001)), open(as4(4200000001)))).toMatchObject({
    as4: true,
    internal: true,
    peerAs: 4200000001,
  });
  expect(negotiate(open(as4(64512)), open())).toMatchObject({ as4: false, internal: true });
  expect(negotiate(open(as4(1)), open(as4(2)))).toMatchObject({ internal: false, localAs: 1, peerAs: 2 });
});

test("extended next hop: both, for the family, towards IPv6", () => {
  const by = (nextHopAfi: number, family: number = V4): Capability => ({
    t: "extended-next-hop",
    entries: [{ family, nextHopAfi }],
  });
  expect(negotiate(open(by(2)), open(by(2))).extNextHop).toEqual([V4]);
  expect(negotiate(open(by(2)), open(by(1))).extNextHop).toEqual([]);
  expect(negotiate(open(by(2)), open()).extNextHop).toEqual([]);
});

test("refresh, graceful restart and hold time", () => {
  const gr = (restartTimeSec: number): Capability => ({
    t: "graceful-restart",
    restarting: false,
    notification: true,
    restartTimeSec,
    families: [{ family: V4, forwarding: true }],
  });
  const refresh: Capability[] = [{ t: "route-refresh" }, { t: "enhanced-route-refresh" }];
  const settled = negotiate(open(gr(1), ...refresh), { ...open(gr(2), ...refresh), holdTimeSec: 30 });
  expect(settled).toMatchObject({ refresh: true, enhancedRefresh: true, holdTimeSec: 30 });
  expect(settled.gracefulRestart?.restartTimeSec).toBe(2);
  expect(negotiate(open(), open(gr(2), ...refresh))).toMatchObject({
    refresh: false,
    enhancedRefresh: false,
    gracefulRestart: undefined,
  });
  expect(negotiate({ ...open(), holdTimeSec: 0 }, open()).holdTimeSec).toBe(0);
  expect([0, 3, 4, 90, 65535].map((hold) => keepaliveTimeSec(hold))).toEqual([0, 1, 1, 30, 21845]);
  expect([1, 30, 31].map((asked) => keepaliveTimeSec(90, asked))).toEqual([1, 30, 30]);
  expect(keepaliveTimeSec(0, 5)).toBe(0);
  // BIRD takes 0 for nothing said.
  expect(keepaliveTimeSec(90, 0)).toBe(30);
});
