// Graceful restart in both roles: who is killed comes back, and nobody loses a route meanwhile.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";
import { type SpeakerProcess, SpeakerProgram } from "../support/speaker-process.ts";

const unavailable = commandUnavailable("bird");
const lab = new BirdLab();
afterEach(() => lab.close());

/** What was said of stale routes. */
function staleHistory(live: LiveSpeaker): string[] {
  return live.traces.flatMap(({ trace }) => {
    if (trace.t === "stale") return [`kept for ${trace.restartTimeSec} s`];
    return trace.t === "flushed" ? [`deleted: ${trace.why}`] : [];
  });
}

describe.skipIf(unavailable !== undefined)(`BIRD restarts${unavailable ?? ""}`, () => {
  const [OURS, BIRD] = ["10.84.1.1", "10.84.1.2"] as const;
  let config: (nets: readonly string[], timeSec: number) => string;
  let bird: Bird;
  let ours: LiveSpeaker;
  const NETS = ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"] as const;
  const NET6 = "fd00:1::/64";
  const ALL = [...NETS, NET6];

  const start = async (timeSec: number): Promise<void> => {
    const port = await lab.port(BIRD);
    config = (nets, restartSec) => `
protocol static nets { ipv4; ${nets.map((net) => `route ${net} blackhole;`).join(" ")} }
protocol static nets6 { ipv6; route ${NET6} blackhole; }
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} as 64512; passive;
  graceful restart; graceful restart time ${restartSec};
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
  ipv6 { igp table underlay6; import all; export where source = RTS_STATIC; next hop address fd00:84::2; };
}
`;
    bird = await lab.bird(BIRD, config(NETS, timeSec));
    ours = await lab.speaker(OURS, 64512);
    ours.originate("10.2.0.0/24");
    const families = [{ family: Family.IPV4_UNICAST }, { family: Family.IPV6_UNICAST }];
    ours.join(BIRD, { as: 64512, port, session: { families } });
    await eventually(() => expect(inUse()).toEqual(ALL));
    // Its table has ended: what comes from now on is the restart.
    await eventually(async () => expect((await bird.table()).has("10.2.0.0/24")).toBe(true));
  };
  const inUse = (stale?: boolean): string[] =>
    [...ours.routes().values()]
      .filter((row) => row.from === BIRD && (stale === undefined || row.stale === stale))
      .map((row) => row.prefix);

  test("its routes stay until it has told them again; what it tells no more goes then", async () => {
    await start(60);
    await bird.kill();
    await eventually(() => expect(inUse(true)).toEqual(ALL));
    await eventually(() => expect(staleHistory(ours)).toEqual(["kept for 60 s"]));
    expect(ours.peer(BIRD)?.families).toMatchObject([{ stale: true }, { stale: true }]);
    await bird.restart({ recovering: true, config: config(NETS.slice(0, 2), 60) });
    await eventually(() => expect(inUse(false)).toEqual([...NETS.slice(0, 2), NET6]));
    await eventually(() => expect(ours.gone).toEqual([NETS[2]]));
    expect(staleHistory(ours)).toEqual(["kept for 60 s", "deleted: endOfRib", "deleted: endOfRib"]);
    expect(ours.peer(BIRD)).toMatchObject({ established: 2, dropped: 1 });
    // It waits for our End-of-RIB in its turn.
    await eventually(() => expect(bird.log).toMatch(/Graceful restart done/));
    await eventually(async () => expect((await bird.table()).has("10.2.0.0/24")).toBe(true));
  });

  test("when it does not come back in its time, its routes go", async () => {
    await start(2);
    await bird.kill();
    const before = performance.now();
    await eventually(() => expect(inUse(true)).toEqual(ALL));
    await eventually(() => expect(inUse()).toEqual([]));
    expect(performance.now() - before).toBeGreaterThan(1900);
    await eventually(() =>
      expect(staleHistory(ours)).toEqual(["kept for 2 s", "deleted: restartTime", "deleted: restartTime"]),
    );
  });

  test("when it has not kept forwarding, its routes go at its OPEN", async () => {
    await start(60);
    await bird.kill();
    await eventually(() => expect(inUse(true)).toEqual(ALL));
    await bird.restart();
    await eventually(() => expect(inUse(false)).toEqual(ALL));
    expect(staleHistory(ours)).toEqual(["kept for 60 s", "deleted: notPreserved", "deleted: notPreserved"]);
    expect([...ours.gone].sort()).toEqual(ALL);
  });

  // RFC 4724, section 4.2: nobody has told us that the connection is gone, and the new one says so.
  test("its machine dies without a word: its new call replaces the session, and nothing is lost", async () => {
    const [port, FIRST] = [await lab.port(BIRD), NETS[0]];
    ours = await lab.speaker(OURS, 64512);
    const gate = await lab.gate(BIRD, OURS, ours.port);
    gate.open();
    bird = await lab.bird(
      BIRD,
      `
protocol static nets { ipv4; route ${FIRST} blackhole; }
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} port ${gate.port} as 64512;
  source address ${host(BIRD)}; graceful restart; graceful restart time 60;
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
}
`,
    );
    ours.originate("10.2.0.0/24");
    ours.join(BIRD, { as: 64512 });
    await eventually(() => expect(inUse()).toEqual([FIRST]));
    // A call within five seconds would be one that has crossed the first.
    await eventually(() => expect(ours.peer(BIRD)?.sinceSec).toBeGreaterThanOrEqual(5));
    gate.freeze();
    await bird.kill();
    await bird.restart({ recovering: true });
    await eventually(() => expect(ours.peer(BIRD)).toMatchObject({ established: 2, dropped: 1 }));
    await eventually(() => expect(staleHistory(ours)).toEqual(["kept for 60 s", "deleted: endOfRib"]));
    expect(ours.peer(BIRD)?.lastDown).toBe("the neighbour has restarted");
    expect(inUse(false)).toEqual([FIRST]);
    expect(ours.gone).toEqual([]);
    await eventually(async () => expect((await bird.table()).has("10.2.0.0/24")).toBe(true));
  });

  test("after a NOTIFICATION nothing is kept", async () => {
    await start(60);
    await bird.ask("restart ours");
    await eventually(() => expect([...ours.gone].sort()).toEqual(ALL));
    expect(staleHistory(ours)).toEqual([]);
    await eventually(() => expect(inUse(false)).toEqual(ALL));
  });
});

// Ours, in a process of its own -- BIRD -- a witness that hears of each route that BIRD loses.
describe.skipIf(unavailable !== undefined)(`we restart${unavailable ?? ""}`, () => {
  const [OURS, BIRD, WITNESS] = ["10.84.2.1", "10.84.2.2", "10.84.2.3"] as const;
  let program: SpeakerProgram;
  let bird: Bird;
  let ours: SpeakerProcess;
  let witness: LiveSpeaker;
  let port = 0;
  const NETS = ["10.2.1.0/24", "10.2.2.0/24", "10.2.3.0/24"] as const;

  beforeAll(() => {
    program = new SpeakerProgram();
  });
  afterAll(() => program.close());

  const session = (restartTimeSec: number): Partial<PeerConfig> => ({
    families: [{ family: Family.IPV4_UNICAST, forwardingPreserved: true }],
    gracefulRestart: {
      restartTimeSec,
      notification: false,
      helperOnly: false,
      peerRestartMaxSec: 60,
      staleTimeSec: 60,
    },
  });

  const startOurs = (nets: readonly string[], restartTimeSec: number, restarting: boolean): void => {
    ours = program.start({
      addr: OURS,
      as: 64512,
      given: { restarting, deferralSec: 30 },
      neighbors: { [BIRD]: { as: 65001, port, session: session(restartTimeSec) } },
      networks: Object.fromEntries(nets.map((net) => [net, {}])),
    });
  };

  const start = async (restartTimeSec: number): Promise<void> => {
    port = await lab.port(BIRD);
    bird = await lab.bird(
      BIRD,
      `
protocol static nets { ipv4; route 10.1.1.0/24 blackhole; }
template bgp near from quick {
  local ${host(BIRD)} port ${port} as 65001; passive;
  ipv4 { igp table underlay; import all; export all; next hop address ${BIRD}; };
}
protocol bgp ours from near { neighbor ${host(OURS)} as 64512; }
protocol bgp witness from near { neighbor ${host(WITNESS)} as 65002; }
`,
    );
    witness = await lab.speaker(WITNESS, 65002);
    witness.join(BIRD, { as: 65001, port });
    startOurs(NETS, restartTimeSec, false);
    await eventually(() => expect(seen()).toEqual(NETS));
    await eventually(async () => expect((await ours.state()).routes).toHaveLength(4));
  };
  /** Ours, as the witness has them of BIRD. */
  const seen = (): string[] =>
    [...witness.routes().values()].filter((row) => row.asPath === "65001 64512").map((row) => row.prefix);
  /** BIRD does not mark single routes. */
  const helping = async (): Promise<boolean> =>
    (await bird.protocol("ours")).text.includes("Neighbor graceful restart active");
  const kept = async (): Promise<string[]> => [...(await bird.table("protocol ours")).keys()].sort();

  test("BIRD keeps our routes until we have told them again; what we tell no more goes then", async () => {
    await start(60);
    await ours.kill();
    await eventually(async () => expect(await helping()).toBe(true));
    expect(await kept()).toEqual(NETS);
    startOurs(NETS.slice(0, 2), 60, true);
    await eventually(() => expect(seen()).toEqual(NETS.slice(0, 2)));
    expect(witness.gone).toEqual([NETS[2]]);
    expect(await helping()).toBe(false);
    await eventually(async () => {
      const { restartComplete, routes } = await ours.state();
      expect(restartComplete).toBe(true);
      expect(routes.map((row) => row.prefix)).toEqual(["10.1.1.0/24", ...NETS.slice(0, 2)]);
    });
    expect((await bird.protocol("ours")).text).toMatch(/Neighbor capabilities[^]*Graceful restart/);
  });

  test("when we do not come back in our time, BIRD drops our routes", async () => {
    await start(2);
    await ours.kill();
    await eventually(async () => expect(await helping()).toBe(true));
    expect(await kept()).toEqual(NETS);
    await eventually(() => expect(seen()).toEqual([]));
    expect([...witness.gone].sort()).toEqual(NETS);
  });

  test("when we come back without having kept forwarding, BIRD drops our routes and takes the new ones", async () => {
    await start(60);
    await ours.kill();
    await eventually(async () => expect(await helping()).toBe(true));
    expect(await kept()).toEqual(NETS);
    startOurs(NETS, 60, false);
    await eventually(async () => expect((await ours.state()).routes).toHaveLength(4));
    expect(await helping()).toBe(false);
    await eventually(() => expect(seen()).toEqual(NETS));
  });
});
