import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../../src/base/rng.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import { DEFAULT_DECISION } from "../../../../../src/routing/bgp/rib/decision.ts";
import { ConnIds } from "../../../../../src/routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../../../../src/routing/bgp/speaker/speaker.ts";
import type { RouteChange } from "../../../../../src/routing/bgp/speaker/speaker-messages.ts";
import { BgpCluster, type SimSpeaker } from "../../../../support/bgp-cluster.ts";
import { neighborConfig, network, ribPrefix, speakerConfig } from "../../../../support/bgp-plain.ts";

describe("what forwarding is told", () => {
  test("our own networks as local, once, and their end", () => {
    const config = speakerConfig("10.0.0.1", 64512);
    const speaker = new BgpSpeaker(config, { rng: new SeededRng(1), ids: new ConnIds(), routes: true });
    const changes = (): RouteChange[] => {
      const seen: RouteChange[] = [];
      while (speaker.nextDeadline() <= 1) speaker.handle({ t: "tick" }, 1);
      for (let out = speaker.poll(); out !== undefined; out = speaker.poll()) {
        if (out.t === "route") seen.push(out.change);
      }
      return seen;
    };
    speaker.originate(network("10.244.1.0/26"), 1);
    const prefix = ribPrefix("10.244.1.0/26");
    expect(changes()).toEqual([{ prefix, nextHops: [], local: true }]);
    speaker.originate(network("10.244.1.0/26", { med: 5, nextHop: ipv4("10.0.0.9") }), 1);
    expect(changes()).toEqual([]);
    speaker.withdraw(prefix, 1);
    expect(changes()).toEqual([{ prefix, nextHops: [], local: false }]);
    speaker.withdraw(prefix, 1);
    expect(changes()).toEqual([]);
  });

  test("equal ways share the load; one that goes leaves the other", () => {
    const cluster = new BgpCluster(1);
    const decision = { ...DEFAULT_DECISION, multipathMax: 4, multipathRelax: true };
    const hub = cluster.add(ipv4("10.0.0.1"), speakerConfig("10.0.0.1", 64512, { decision }), 1);
    const spokes: SimSpeaker[] = [];
    for (const [i, addr] of ["10.0.0.2", "10.0.0.3"].entries()) {
      const as = 64600 + i;
      const spoke = cluster.add(ipv4(addr), speakerConfig(addr, as), i + 2);
      spoke.speaker.addNeighbor(neighborConfig(addr, as, "10.0.0.1", 64512), cluster.now);
      hub.speaker.addNeighbor(neighborConfig("10.0.0.1", 64512, addr, as), cluster.now);
      spoke.speaker.originate(network("10.96.0.0/12"), cluster.now);
      spokes.push(spoke);
    }
    for (const node of [hub, ...spokes]) cluster.give(node, { t: "start" });
    cluster.run(5 * SEC_US);
    expect(hub.forwarding.get("10.96.0.0/12")?.toSorted((x, y) => Number(x) - Number(y))).toEqual([
      ipv4("10.0.0.2"),
      ipv4("10.0.0.3"),
    ]);
    cluster.kill(spokes[0] as SimSpeaker);
    cluster.run(SEC_US);
    expect(hub.forwarding.get("10.96.0.0/12")).toEqual([ipv4("10.0.0.3")]);
    cluster.kill(spokes[1] as SimSpeaker);
    cluster.run(SEC_US);
    expect(hub.forwarding.size).toBe(0);
  });
});
