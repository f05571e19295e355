import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import { resolveCollision } from "../../../../../src/routing/bgp/session/collision.ts";
import type { PeerConfig } from "../../../../../src/routing/bgp/session/peer-config.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import {
  BENCH_FSM,
  benchConfig,
  KEEPALIVE,
  notification,
  openBytes,
  otherConfig,
  PeerBench,
} from "../../../../support/bgp-bench.ts";
import { BgpWorld } from "../../../../support/bgp-world.ts";

const HIGH = ipv4("10.0.0.9");
const GR = {
  restartTimeSec: 120,
  notification: false,
  helperOnly: false,
  peerRestartMaxSec: 4095,
  staleTimeSec: 360,
};

describe("who is given up", () => {
  const speakers = { localBgpId: 5, localAs: 1, peerBgpId: 9, peerAs: 2 };
  const flipped = { localBgpId: 9, localAs: 1, peerBgpId: 5, peerAs: 2 };
  const other = { state: "OpenConfirm", contemporary: false, replaceable: false } as const;

  test("RFC 4271#6.8: the connection that the higher identifier initiated stays", () => {
    expect(resolveCollision(true, speakers, other)).toBe("dropOther");
    expect(resolveCollision(false, speakers, other)).toBe("dropThis");
    expect(resolveCollision(true, flipped, other)).toBe("dropThis");
    expect(resolveCollision(false, flipped, other)).toBe("dropOther");
  });

  test("identifiers are unsigned", () => {
    const high = { ...speakers, localBgpId: ipv4("192.0.2.1"), peerBgpId: ipv4("10.0.0.1") };
    expect(resolveCollision(true, high, other)).toBe("dropThis");
  });

  test("RFC 6286#2.3: of equal identifiers, the higher AS", () => {
    const equal = { ...speakers, localBgpId: 9 };
    expect(resolveCollision(true, equal, other)).toBe("dropOther");
    expect(resolveCollision(true, { ...equal, localAs: 3 }, other)).toBe("dropThis");
  });

  test("a dial gives way, an open question waits", () => {
    expect(resolveCollision(true, flipped, { ...other, state: "Connect" })).toBe("dropOther");
    expect(resolveCollision(true, flipped, { ...other, state: "Active" })).toBe("dropOther");
    expect(resolveCollision(true, flipped, { ...other, state: "OpenSent" })).toBe("both");
  });

  test("an Established session stays, unless both came up together, or the neighbour has restarted", () => {
    const up = { ...other, state: "Established" } as const;
    expect(resolveCollision(true, speakers, up)).toBe("dropThis");
    expect(resolveCollision(true, speakers, { ...up, contemporary: true })).toBe("both");
    expect(resolveCollision(true, flipped, { ...up, contemporary: true })).toBe("dropThis");
    expect(resolveCollision(true, speakers, { ...up, replaceable: true })).toBe("replaceOther");
    expect(resolveCollision(false, speakers, { ...up, replaceable: true })).toBe("dropThis");
  });
});

interface Explored {
  readonly states: number;
  readonly ends: number;
  readonly flaps: number;
}

/** Walks all orders in which two engines that dial each other can hear of things, and looks at every end. */
function explore(
  configs: readonly [PeerConfig, PeerConfig],
  later: readonly number[],
  look: (world: BgpWorld) => void,
): Explored {
  const seen = new Set<string>();
  let ends = 0;
  let flaps = 0;
  const replay = (path: readonly string[]): BgpWorld => {
    const world = new BgpWorld(configs);
    for (const node of [0, 1]) {
      if (later.includes(node)) world.startLater(node);
      else world.start(node);
    }
    for (const choice of path) world.deliver(choice);
    return world;
  };
  const open: string[][] = [[]];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const world = replay(path);
    const key = world.nodes.map(({ inputs }) => inputs.join()).join("|");
    if (seen.has(key)) continue;
    seen.add(key);
    const choices = world.choices();
    if (choices.length === 0) {
      ends++;
      look(world);
      if (world.nodes.some(({ lines }) => lines.some((line) => line.startsWith("down")))) flaps++;
    }
    for (const choice of choices) open.push([...path, choice]);
  }
  return { states: seen.size, ends, flaps };
}

/** One session, the same at both ends, nothing else open, and no harsher word than Cease/7. */
function expectOneSession(world: BgpWorld): void {
  const story = world.nodes
    .map(({ inputs, lines }) => `${inputs.join("; ")} => ${lines.join("; ")}`)
    .join("\n");
  for (const { peer, lines } of world.nodes) {
    expect(peer.status().state, story).toBe("Established");
    const ups = lines.filter((line) => line === "up").length;
    const downs = lines.filter((line) => line.startsWith("down")).length;
    expect(ups - downs, story).toBe(1);
    for (const line of lines) expect(line, story).not.toMatch(/ N(?!6\/7)/);
    expect(peer.status().backOffUntil, story).toBe(Number.POSITIVE_INFINITY);
  }
  expect(world.open(), story).toHaveLength(1);
}

describe("both dial at once: every order of events ends with one session", () => {
  const low = benchConfig();
  const high = benchConfig({ routerId: HIGH });
  const cases = [
    { name: "the second dominates", configs: [low, high], later: [] },
    { name: "the first dominates", configs: [high, low], later: [] },
    { name: "one starts at any time", configs: [low, high], later: [1] },
    { name: "the other starts at any time", configs: [low, high], later: [0] },
    {
      name: "with graceful restart",
      configs: [low, high].map((one) => ({ ...one, gracefulRestart: GR })),
      later: [],
    },
    {
      name: "external, equal identifiers",
      configs: [
        benchConfig({ localAs: 65001, peerAs: 65002 }),
        benchConfig({ localAs: 65002, peerAs: 65001 }),
      ],
      later: [],
    },
    {
      name: "one of them with DelayOpen",
      configs: [{ ...low, fsm: { ...BENCH_FSM, delayOpenSec: 1 } }, high],
      later: [],
    },
    { name: "hold time 0", configs: [low, { ...high, holdTimeSec: 0 }], later: [] },
  ];
  test.each(cases)("$name", ({ configs, later }) => {
    const explored = explore(configs as [PeerConfig, PeerConfig], later, expectOneSession);
    expect(explored.states).toBeGreaterThan(100);
    expect(explored.ends).toBeGreaterThan(5);
  });
});

describe("they came up together, ours is Established, and the OPEN comes on the call of a dominant neighbour", () => {
  const crossed = () => {
    const bench = new PeerBench();
    const ours = bench.dial();
    const call = bench.call();
    bench.receive(ours, openBytes(), KEEPALIVE);
    expect(bench.state).toBe("Established");
    expect(bench.receive(call, openBytes())).toEqual([`send ${call} KEEPALIVE`]);
    return { bench, ours, call };
  };

  test("it keeps what is Established, as most do: nothing is lost", () => {
    const { bench, ours, call } = crossed();
    expect(bench.receive(call, notification(6, 7))).toEqual([`close ${call}`]);
    expect(bench.lines).not.toContainEqual(expect.stringMatching(/^down/));
    expect(bench.peer.status()).toMatchObject({
      state: "Established",
      incoming: false,
      connectRetryCounter: 0,
    });
    expect(bench.give({ t: "closed", conn: ours })).toEqual(["down lost"]);
  });

  test("it keeps its call: so do we", () => {
    const { bench, ours, call } = crossed();
    expect(bench.receive(call, KEEPALIVE)).toEqual([
      `send ${ours} N6/7`,
      "down local 6/7",
      `close ${ours} flushed`,
      "up",
    ]);
    expect(bench.peer.status()).toMatchObject({ state: "Established", incoming: true });
  });

  test("it closes ours before it says so: the call goes on", () => {
    const { bench, ours, call } = crossed();
    expect(bench.receive(ours, notification(6, 7))).toEqual(["down remote 6/7", `close ${ours}`]);
    expect(bench.receive(call, KEEPALIVE)).toEqual(["up"]);
  });
});

test("passive on both sides: nobody dials, for ever, and no timer runs", () => {
  const fsm = { ...BENCH_FSM, passive: true };
  const world = new BgpWorld([benchConfig({ fsm }), otherConfig({ fsm })]);
  world.start(0);
  world.start(1);
  expect(world.links).toEqual([]);
  expect(world.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  expect(world.nodes.map(({ peer }) => peer.status().state)).toEqual(["Active", "Active"]);
});

describe("a second connection", () => {
  test("before the session: at once closed, nothing said, unless the first was silent for five seconds", () => {
    const bench = new PeerBench(benchConfig({ fsm: { ...BENCH_FSM, connectDelaySec: 60 } }));
    bench.give({ t: "start" });
    const first = bench.call();
    const second = bench.call();
    expect(bench.lines).toEqual([`send ${first} OPEN`, `close ${second}`]);
    bench.wait(5);
    const third = bench.call();
    expect(bench.lines.slice(2)).toEqual([`close ${first}`, `send ${third} OPEN`]);
    bench.receive(third, openBytes(), KEEPALIVE);
    expect(bench.state).toBe("Established");
  });

  test("beside a session: waits for the OPEN, then Cease/7; the session does not notice", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    bench.wait(20);
    const second = bench.call();
    expect(bench.lines.filter((line) => line.includes(` ${second} `))).toEqual([]);
    expect(bench.receive(second, openBytes())).toEqual([`send ${second} N6/7`, `close ${second} flushed`]);
    expect(bench.state).toBe("Established");
    expect(bench.peer.status().connectRetryCounter).toBe(0);
    expect(bench.give({ t: "closed", conn })).toEqual(["down lost"]);
  });

  test("beside a session: rubbish on it harms nobody but itself", () => {
    const bench = new PeerBench();
    bench.establish();
    const second = bench.call();
    bench.receive(second, new Uint8Array(64).fill(7));
    expect(bench.lines.slice(-2)).toEqual([`send ${second} N1/1`, `close ${second} flushed`]);
    expect(bench.state).toBe("Established");
    const third = bench.call();
    bench.receive(third, notification(2, 2));
    expect(bench.state).toBe("Established");
    expect(bench.peer.status().backOffUntil).toBe(Number.POSITIVE_INFINITY);
  });

  test("beside a session: one that says nothing is opened after five seconds, and gives way to the next", () => {
    const bench = new PeerBench();
    bench.establish();
    const second = bench.call();
    expect(bench.wait(5)).toEqual([`send ${second} OPEN`]);
    const third = bench.call();
    expect(bench.lines.at(-1)).toBe(`close ${second}`);
    bench.receive(third, openBytes());
    expect(bench.lines.at(-1)).toBe(`close ${third} flushed`);
    expect(bench.state).toBe("Established");
  });

  test("RFC 4724#5: it replaces the session of a neighbour that restarts gracefully", () => {
    const config = otherConfig({ gracefulRestart: GR });
    const bench = new PeerBench(benchConfig({ gracefulRestart: GR }));
    const conn = bench.establish(openBytes(config));
    bench.wait(20);
    const second = bench.call();
    expect(bench.receive(second, openBytes(config))).toEqual([
      `down restarted keep ${Family.IPV4_UNICAST}`,
      `close ${conn}`,
      `send ${second} OPEN KEEPALIVE`,
    ]);
    expect(bench.receive(second, KEEPALIVE)).toEqual(["up"]);
    expect(bench.peer.status().incoming).toBe(true);
  });

  test("but not within five seconds: then it has crossed ours", () => {
    const config = otherConfig({ gracefulRestart: GR });
    const bench = new PeerBench(benchConfig({ gracefulRestart: GR }));
    bench.establish(openBytes(config));
    bench.now += 4 * SEC_US;
    const second = bench.call();
    expect(bench.receive(second, openBytes(config))[0]).toBe(`send ${second} N6/7`);
  });

  test("a fault on the call while we dial: both wait, and the wait doubles", () => {
    const bench = new PeerBench();
    bench.give({ t: "start" });
    const conn = bench.call();
    bench.receive(conn, openBytes(undefined, { holdTimeSec: 2 }));
    expect(bench.lines).toEqual([
      "dial 1",
      `send ${conn} OPEN`,
      `send ${conn} N2/6:0,2`,
      `close ${conn} flushed`,
      "close 1",
    ]);
    expect(bench.state).toBe("Idle");
    expect(bench.idleFor).toBeGreaterThan(3);
  });
});
