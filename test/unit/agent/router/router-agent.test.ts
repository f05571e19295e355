// A router's routes, from what its speaker has chosen to the kernel's table.
import { expect, test } from "vitest";
import { RouterAgent } from "../../../../src/agent/router/router-agent.ts";
import { ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import type { RouteRow } from "../../../../src/control/inspect.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";

const now = 1_000_000;
const BLOCK = "10.244.8.0/26";

/** One in 10.20.0.0/24 and 10.30.0.0/24. */
function router(): RouterAgent {
  const nics = [
    { name: "eth0", addr: ipv4("10.20.0.1"), segment: prefix("10.20.0.0/24") },
    { name: "eth1", addr: ipv4("10.30.0.1"), segment: prefix("10.30.0.0/24") },
  ];
  const config = { name: "tor", nics, underlayMtuBytes: 1500, bgp: undefined, syncer: undefined };
  const agent = new RouterAgent(config, { rng: new SeededRng(1) });
  agent.start(now);
  return agent;
}

function choose(agent: RouterAgent, ...hops: readonly string[]): void {
  const { addr: a, len } = prefix(BLOCK);
  const nextHops = hops.map(ipv4);
  const change = {
    prefix: { family: Family.IPV4_UNICAST, a, b: 0, c: 0, d: 0, len },
    nextHops,
    local: false,
  };
  agent.onSpeakerOutput({ t: "route", change }, now);
}

function shown(agent: RouterAgent): Partial<RouteRow> | undefined {
  return agent.inspect("routes", now).find(({ dst }) => dst === BLOCK);
}

const hop = (via: string, dev: string) => ({ via, dev, weight: 1, flags: [] });

test("equal paths are next hops of one route, each by its interface, and one that is withdrawn leaves the other", () => {
  const agent = router();
  choose(agent, "10.30.0.5", "10.20.0.6", "10.20.0.5");
  expect(shown(agent)?.nextHops).toEqual([
    hop("10.20.0.5", "eth0"),
    hop("10.20.0.6", "eth0"),
    hop("10.30.0.5", "eth1"),
  ]);
  expect(agent.subnetsBehind(ipv4("10.30.0.5"))).toEqual([BLOCK]);
  expect(agent.state().leases).toEqual([BLOCK]);
  choose(agent, "10.30.0.5");
  expect(shown(agent)).toMatchObject({ via: "10.30.0.5", dev: "eth1" });
  expect(shown(agent)?.nextHops).toBeUndefined();
  choose(agent);
  expect(shown(agent)).toBeUndefined();
  agent.stop(false, now);
});

test("a next hop that is on no link is left out until it is on one", () => {
  const agent = router();
  choose(agent, "10.40.0.5", "10.20.0.5");
  expect(shown(agent)).toMatchObject({ via: "10.20.0.5", dev: "eth0" });
  agent.host.addAddress(agent.uplink, { addr: ipv4("10.40.0.1"), len: 24 }, now);
  const trace = { t: "state", from: "Idle", to: "Connect", event: "ManualStart" } as const;
  agent.onSpeakerOutput(
    { t: "trace", neighbor: "n", addr: 1, trace: { ...trace, incoming: false, conn: undefined } },
    now,
  );
  expect(shown(agent)?.nextHops).toEqual([hop("10.20.0.5", "eth0"), hop("10.40.0.5", "eth0")]);
  agent.stop(false, now);
});
