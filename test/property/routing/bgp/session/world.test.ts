import { expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { below, SeededRng } from "../../../../../src/base/rng.ts";
import { NEVER, SEC_US } from "../../../../../src/base/time.ts";
import { BENCH_FSM, benchConfig } from "../../../../support/bgp-bench.ts";
import { BgpWorld } from "../../../../support/bgp-world.ts";

const GR = {
  restartTimeSec: 60,
  notification: true,
  helperOnly: false,
  peerRestartMaxSec: 4095,
  staleTimeSec: 360,
};

/** Delivers, in any order, until nothing is under way and nothing is due before `until`. */
function run(world: BgpWorld, rng: SeededRng, until: number, cuts: boolean): void {
  for (let steps = 0; ; steps++) {
    if (steps > 20_000) throw new Error("the two never come to rest");
    const choices = world.choices();
    const due = world.nextDeadline();
    if (choices.length === 0 && due > until) break;
    // In bad times messages are late as well, and hold timers expire over it.
    const idle = choices.length === 0 || (cuts && below(rng, 8) === 0);
    if (idle && due <= until) {
      world.now = Math.max(world.now, due);
      world.tick();
      continue;
    }
    if (choices.length === 0) continue;
    const link = world.links[below(rng, world.links.length)];
    if (cuts && link !== undefined && below(rng, 40) === 0) world.cut(link);
    const left = world.choices();
    if (left.length > 0) world.deliver(left[below(rng, left.length)] as string);
  }
  world.now = until;
}

test("whatever is lost and whoever is stopped: when that ends, there is one session again; stopped, there is no timer", {
  timeout: 120_000,
}, () => {
  for (let seed = 1; seed <= 300; seed++) {
    const rng = new SeededRng(seed);
    const some = (): object => ({
      holdTimeSec: [0, 3, 9, 90][below(rng, 4)],
      gracefulRestart: below(rng, 2) === 0 ? GR : undefined,
      fsm: { ...BENCH_FSM, delayOpenSec: below(rng, 3) === 0 ? 1 : 0, connectDelaySec: below(rng, 3) },
    });
    const one = benchConfig(some());
    const two = benchConfig({ ...some(), routerId: ipv4(below(rng, 2) === 0 ? "10.0.0.9" : "9.0.0.9") });
    const passive = below(rng, 3) === 0;
    const world = new BgpWorld([passive ? { ...one, fsm: { ...one.fsm, passive } } : one, two], seed);
    world.start(0);
    world.start(1);
    for (let round = 0; round < 5; round++) {
      run(world, rng, world.now + below(rng, 60) * SEC_US, true);
      const node = below(rng, 2);
      const what = (["stop", "reset", "bfdDown"] as const)[below(rng, 5)];
      if (what !== undefined) world.give(node, { t: what }, what);
      if (what === "stop") {
        run(world, rng, world.now + below(rng, 20) * SEC_US, true);
        world.start(node);
      }
    }
    run(world, rng, world.now + 200 * SEC_US, false);
    const story = (): string =>
      `seed ${seed}\n${world.nodes.map(({ inputs, lines }) => `${inputs.slice(-30).join("; ")} => ${lines.slice(-30).join("; ")}`).join("\n")}`;
    for (const { peer, lines } of world.nodes) {
      expect(peer.status().state, story()).toBe("Established");
      const ups = lines.filter((line) => line === "up").length;
      expect(ups - lines.filter((line) => line.startsWith("down")).length, story()).toBe(1);
      // Two speakers without a fault never accuse each other of one.
      for (const line of lines) expect(line, story()).not.toMatch(/ N[12357]\//);
    }
    expect(world.open(), story()).toHaveLength(1);
    for (const node of [0, 1]) {
      world.give(node, { t: "stop" }, "stop");
      expect(world.nodes[node]?.peer.nextDeadline(), story()).toBe(NEVER);
    }
  }
});
