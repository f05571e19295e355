import { describe, expect, test } from "vitest";
import { BirdManager, type BirdOutput } from "../../../../../src/agent/calico/bird/bird-manager.ts";
import { ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../../src/base/rng.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import type { CalicoUpdate } from "../../../../../src/control/calico/calico-updates.ts";
import { localOpen } from "../../../../../src/routing/bgp/session/peer-config.ts";
import { ConnIds } from "../../../../../src/routing/bgp/session/peer-messages.ts";
import type { SpeakerOutput } from "../../../../../src/routing/bgp/speaker/speaker-messages.ts";
import { affinity, calicoNode, IN_SYNC, resource, simpleSelector } from "../../../../support/calico-bird.ts";

function managerOf(
  updates: readonly CalicoUpdate[],
  secrets: Readonly<Record<string, string>> = {},
): BirdManager {
  const manager = new BirdManager({
    node: "a",
    underlay: ipv4("10.0.0.10"),
    timers: "calico",
    version: "3.32",
    rng: new SeededRng(1),
    ids: new ConnIds(),
    restarting: false,
    matches: simpleSelector,
    secret: ({ name, key }) => secrets[`${name}/${key}`],
  });
  for (const update of updates) manager.onUpdate(update);
  manager.completeDeferredWork(0);
  return manager;
}

function outputs(manager: BirdManager): BirdOutput[] {
  const all: BirdOutput[] = [];
  for (let one = manager.poll(); one !== undefined; one = manager.poll()) all.push(one);
  return all;
}

function spoken(manager: BirdManager, now: number): SpeakerOutput[] {
  const all: SpeakerOutput[] = [];
  for (let one = manager.speaker.poll(); one !== undefined; one = manager.speaker.poll()) {
    all.push(one);
    manager.onSpeakerOutput(one, now);
  }
  return all;
}

const A = calicoNode("a", { ipv4Address: "10.0.0.10/24" });
const TOR = resource("BGPPeer", "tor", { peerIP: "10.0.0.1:1179", asNumber: 64600 });

test("nothing is done before everything has been listed", () => {
  const manager = managerOf([A, TOR, affinity("10.244.7.0/26", "confirmed")]);
  expect(outputs(manager)).toEqual([]);
  expect(manager.isReady(0)).toContain("not configured yet");
  manager.onUpdate(IN_SYNC);
  manager.completeDeferredWork(0);
  const blackhole = {
    dst: prefix("10.244.7.0/26"),
    type: "blackhole",
    nextHops: [],
  };
  expect(outputs(manager)).toEqual([
    { t: "listen", port: 179 },
    { t: "status" },
    { t: "route", change: { t: "replace", route: blackhole } },
    { t: "sweep" },
  ]);
});

test("the port is said again when it is another one", () => {
  const manager = managerOf([A, IN_SYNC]);
  outputs(manager);
  manager.onUpdate(resource("BGPConfiguration", "node.a", { listenPort: 1790 }));
  manager.completeDeferredWork(1);
  expect(outputs(manager)).toEqual([{ t: "listen", port: 1790 }]);
});

describe("calicoctl node status", () => {
  test("is in BIRD's words", () => {
    const manager = managerOf([A, calicoNode("b", { ipv4Address: "10.0.0.9/24" }), TOR, IN_SYNC]);
    manager.speaker.handle({ t: "start" }, 0);
    spoken(manager, 0);
    const now = 3 * SEC_US;
    manager.speaker.handle({ t: "tick" }, now);
    const dial = spoken(manager, now).find((one) => one.t === "dial");
    if (dial?.t !== "dial") throw new Error("nobody is dialled");
    expect(dial).toMatchObject({ remote: ipv4("10.0.0.1"), port: 1179, local: ipv4("10.0.0.10") });
    const message = "no route to it (EHOSTUNREACH)";
    manager.speaker.handle({ t: "connectFailed", conn: dial.conn, message }, now + SEC_US);
    spoken(manager, now + SEC_US);
    expect(manager.status(now + SEC_US)).toEqual([
      {
        peerAddress: "10.0.0.1.port.1179",
        peerType: "global",
        state: "start",
        sinceSec: 4,
        info: "Active Socket: Host is unreachable",
      },
      {
        peerAddress: "10.0.0.9",
        peerType: "node-to-node mesh",
        state: "start",
        sinceSec: 4,
        info: "Passive",
      },
    ]);
  });
});

test("what a peer's OPEN says is BIRD's, in BIRD's order", () => {
  const manager = managerOf([A, TOR, IN_SYNC]);
  const [row] = manager.speaker.neighbors.dump();
  const config = row?.neighbor.peer.config;
  if (config === undefined) throw new Error("there is no neighbour");
  const open = localOpen(config, { restarting: true, continued: false, without: "nothing" });
  expect(open.holdTimeSec).toBe(240);
  expect(open.capabilities).toMatchObject([
    { t: "multiprotocol" },
    { t: "route-refresh" },
    { t: "graceful-restart", restarting: true, restartTimeSec: 120, families: [{ forwarding: true }] },
    { t: "four-octet-as", as: 64512 },
    { t: "add-path", families: [{ direction: 3 }] },
    { t: "enhanced-route-refresh" },
    { t: "long-lived-graceful-restart", families: [] },
  ]);
});

test("passwords come from secrets, and one that is missing is named", () => {
  const password = { secretKeyRef: { name: "s", key: "k" } };
  const peer = resource("BGPPeer", "tor", { peerIP: "10.0.0.1", asNumber: 64600, password });
  const withSecret = managerOf([A, peer, IN_SYNC], { "s/k": "swordfish" });
  expect(spoken(withSecret, 0)).toContainEqual({
    t: "password",
    remote: ipv4("10.0.0.1"),
    password: "swordfish",
  });
  expect(outputs(managerOf([A, peer, IN_SYNC]))).toContainEqual({
    t: "log",
    level: "warn",
    message: "Global_10_0_0_1: there is no secret s with a key k: the session has no password",
  });
});

test("TTL security and the time between KEEPALIVEs are the session's; 0 hops are none", () => {
  const peer = (ttlSecurity: number) =>
    resource("BGPPeer", "tor", { peerIP: "10.0.0.1", asNumber: 64600, ttlSecurity, keepaliveTime: "20s" });
  const near = managerOf([A, peer(2), IN_SYNC]);
  expect(spoken(near, 0)).toContainEqual({ t: "ttlSecurity", remote: ipv4("10.0.0.1"), hops: 2 });
  expect(near.speaker.neighbors.dump()[0]?.neighbor.peer.config.fsm.keepaliveSec).toBe(20);
  const anywhere = spoken(managerOf([A, peer(0), IN_SYNC]), 0);
  expect(anywhere.filter(({ t }) => t === "ttlSecurity")).toEqual([]);
});

test("two ports of one address are one session, and that is said", () => {
  const again = resource("BGPPeer", "again", { peerIP: "10.0.0.1", asNumber: 64600 });
  const manager = managerOf([A, TOR, again, IN_SYNC]);
  expect(manager.speaker.neighbors.dump()).toHaveLength(1);
  expect(outputs(manager)).toContainEqual({
    t: "log",
    level: "warn",
    message: "there are 2 sessions with 10.0.0.1 at different ports; only 10.0.0.1:1179 is used",
  });
});

test("a peer behind a gateway has a route as long as it is a peer", () => {
  const spec = { peerIP: "10.9.9.9", asNumber: 64600, reachableBy: "10.0.0.254" };
  const manager = managerOf([A, resource("BGPPeer", "tor", spec), IN_SYNC]);
  const dst = prefix("10.9.9.9/32");
  const route = { dst, type: "unicast", nextHops: [{ via: ipv4("10.0.0.254"), dev: "eth0", onlink: false }] };
  expect(outputs(manager)).toContainEqual({ t: "route", change: { t: "replace", route } });
  manager.onUpdate(resource("BGPPeer", "tor", undefined));
  manager.completeDeferredWork(1);
  expect(outputs(manager)).toContainEqual({ t: "route", change: { t: "del", dst } });
});
