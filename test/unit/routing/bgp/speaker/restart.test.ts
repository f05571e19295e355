import { expect, test } from "vitest";
import { ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import type { PeerConfig } from "../../../../../src/routing/bgp/session/peer-config.ts";
import { peerRows, routeRows } from "../../../../../src/routing/bgp/speaker/inspect.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { BgpCluster, type SimSpeaker } from "../../../../support/bgp-cluster.ts";
import {
  neighborConfig,
  neighborRoutes,
  network,
  sessionConfig,
  speakerConfig,
} from "../../../../support/bgp-plain.ts";

const [REFLECTOR, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] as const;
const SESSION: Partial<PeerConfig> = {
  gracefulRestart: {
    restartTimeSec: 60,
    notification: false,
    helperOnly: false,
    peerRestartMaxSec: 4095,
    staleTimeSec: 360,
  },
  families: [{ family: Family.IPV4_UNICAST, forwardingPreserved: true }],
};

function prefixes(cluster: BgpCluster, node: SimSpeaker): string[] {
  return routeRows(node.speaker, cluster.now)
    .filter((row) => row.chosen === "best")
    .map((row) => `${row.prefix}${row.stale ? " stale" : ""}`);
}

/** A reflector that knows its clients by their prefix alone. */
function reflector(cluster: BgpCluster, restarting: boolean, seed: number): SimSpeaker {
  const node = cluster.add(
    ipv4(REFLECTOR),
    speakerConfig(REFLECTOR, 64512, { restarting, deferralSec: 30 }),
    seed,
  );
  const added = node.speaker.addRange({
    name: "clients",
    prefix: prefix("10.0.0.0/24"),
    peerAs: "internal",
    limit: 10,
    localAddr: ipv4(REFLECTOR),
    session: sessionConfig(REFLECTOR, 64512, "internal", SESSION),
    routes: neighborRoutes(REFLECTOR, { rrClient: true }),
    bfd: undefined,
  });
  expect(added.ok).toBe(true);
  cluster.give(node, { t: "start" });
  return node;
}

test("RFC 4724#4.1: a restarting reflector of unknown clients says so to each, and waits before it chooses", () => {
  const cluster = new BgpCluster(1);
  const first = reflector(cluster, false, 1);
  const clients = [B, C].map((addr, i) => {
    const node = cluster.add(ipv4(addr), speakerConfig(addr, 64512), 10 + i);
    node.speaker.addNeighbor(
      neighborConfig(addr, 64512, REFLECTOR, 64512, { session: SESSION }),
      cluster.now,
    );
    node.speaker.originate(network(`10.244.${i + 2}.0/26`), cluster.now);
    cluster.give(node, { t: "start" });
    return node;
  });
  const [b, c] = clients as [SimSpeaker, SimSpeaker];
  cluster.run(5 * SEC_US);
  expect(prefixes(cluster, b)).toEqual(["10.244.2.0/26", "10.244.3.0/26"]);

  cluster.kill(first);
  cluster.run(SEC_US);
  const again = reflector(cluster, true, 2);
  cluster.run(15 * SEC_US);
  // The session is there again; what it had told stays until it knows better.
  expect(peerRows(b.speaker, cluster.now)).toMatchObject([{ state: "Established", established: 2 }]);
  expect(prefixes(cluster, b)).toEqual(["10.244.2.0/26", "10.244.3.0/26 stale"]);
  expect(prefixes(cluster, again)).toEqual([]);
  cluster.run(20 * SEC_US);
  expect(prefixes(cluster, again)).toEqual(["10.244.2.0/26", "10.244.3.0/26"]);
  for (const node of [b, c]) expect(prefixes(cluster, node)).toEqual(["10.244.2.0/26", "10.244.3.0/26"]);
  expect(again.outputs).toContainEqual({ t: "restartComplete", families: [Family.IPV4_UNICAST] });
});
