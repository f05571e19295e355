// How sessions come about and are lost: calls that cross, hold timers, ends that fall silent or die.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";
import { SpeakerProgram } from "../support/speaker-process.ts";
import type { TcpGate } from "../support/tcp-gate.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.90.1.5", "10.90.1.6"] as const;
const NETWORKS = "protocol static nets { ipv4; route 10.1.0.0/24 blackhole; }";
const lab = new BirdLab();
afterEach(() => lab.close());

/** @param ourPort where BIRD dials; undefined: it waits for our call */
function protocol(port: number, as: number, ourPort: number | undefined, line = ""): string {
  return `
protocol bgp ours from quick {
  debug { events };
  local ${host(BIRD)} port ${port} as ${as}; neighbor ${host(OURS)} ${ourPort === undefined ? "" : `port ${ourPort}`} as 64512;
  source address ${host(BIRD)}; ${ourPort === undefined ? "passive;" : ""} ${line}
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
}
`;
}

describe.skipIf(unavailable !== undefined)(`both dial at once${unavailable ?? ""}`, () => {
  // Whose identifier is the greater keeps the connection that it has dialled; with equal ones, whose AS is.
  const LOWER = { what: "our identifier is the lower", id: "10.90.1.9", as: 64512, birdWins: true };
  const HIGHER = { what: "our identifier is the higher", id: "10.90.1.1", as: 64512, birdWins: false };
  const LOWER_AS = {
    what: "equal identifiers, and our AS is the lower",
    id: OURS,
    as: 64513,
    birdWins: true,
  };
  const HIGHER_AS = {
    what: "equal identifiers, and our AS is the higher",
    id: OURS,
    as: 64511,
    birdWins: false,
  };

  interface Crossing {
    readonly ours: LiveSpeaker;
    readonly bird: Bird;
    /** The connection that ought to stay, and the other; whose is which end. */
    readonly good: TcpGate;
    readonly bad: TcpGate;
    readonly toUs: { readonly good: "caller" | "called"; readonly bad: "caller" | "called" };
    readonly toBird: { readonly good: "caller" | "called"; readonly bad: "caller" | "called" };
  }

  /** Two connections are there, and four OPENs are on their way. */
  const cross = async ({ id, as, birdWins }: typeof LOWER): Promise<Crossing> => {
    const port = await lab.port(BIRD);
    const ours = await lab.speaker(OURS, 64512);
    ours.originate("10.2.0.0/24");
    const ourCall = await lab.gate(OURS, BIRD, port);
    const birdCall = await lab.gate(BIRD, OURS, ours.port);
    const bird = await lab.bird(id, NETWORKS + protocol(port, as, birdCall.port));
    ours.join(BIRD, { as, port: ourCall.port });
    await eventually(() => expect([ourCall.bothWait, birdCall.bothWait]).toEqual([true, true]));
    const [good, bad] = birdWins ? [birdCall, ourCall] : [ourCall, birdCall];
    const birdIsCaller = { good: "caller", bad: "called" } as const;
    const birdIsCalled = { good: "called", bad: "caller" } as const;
    const [toBird, toUs] = birdWins ? [birdIsCaller, birdIsCalled] : [birdIsCalled, birdIsCaller];
    return { ours, bird, good, bad, toUs, toBird };
  };

  /** The connection that passes the one gate has become a session, for both ends. */
  const isUp = async ({ ours, bird }: Crossing): Promise<void> => {
    await eventually(() => expect(ours.established(BIRD)).toBe(true));
    await eventually(() => expect(bird.log).toMatch(/BGP session established/));
  };

  const settled = async ({ ours, bird }: Crossing, incoming: boolean): Promise<void> => {
    await eventually(() => expect(ours.routes().size).toBe(2));
    await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(1));
    await eventually(() => expect(ours.driver.socketCount).toBe(1));
    // Nobody has lost a session over it.
    expect(ours.peer(BIRD)).toMatchObject({ incoming, established: 1, dropped: 0 });
    expect(bird.log.match(/BGP session established/g)).toHaveLength(1);
    expect(ours.notices(BIRD).join()).toMatch(/(in|out) Cease\/Connection Collision Resolution/);
  };

  test.each([LOWER, HIGHER, LOWER_AS, HIGHER_AS])(
    "$what: BIRD knows both before we know either",
    async (one) => {
      const world = await cross(one);
      world.bad.open(world.toBird.bad);
      world.good.open(world.toBird.good);
      await eventually(() => expect(world.bird.log).toMatch(/Connection collision/));
      // The other order would be a session that is Established for a moment, for us alone: BIRD has said KEEPALIVE on both.
      world.good.open();
      await isUp(world);
      world.bad.open();
      await settled(world, one.birdWins);
    },
  );

  test.each([LOWER, HIGHER, LOWER_AS, HIGHER_AS])(
    "$what: we know both before BIRD knows either",
    async (one) => {
      const world = await cross(one);
      world.bad.open(world.toUs.bad);
      world.good.open(world.toUs.good);
      await eventually(() =>
        expect(world.ours.traces.some(({ trace }) => trace.t === "collision")).toBe(true),
      );
      world.good.open();
      await isUp(world);
      world.bad.open();
      await settled(world, one.birdWins);
    },
  );

  test.each([LOWER, HIGHER])("$what: the right one is a session already", async (one) => {
    const world = await cross(one);
    world.good.open();
    await isUp(world);
    world.bad.open();
    await settled(world, one.birdWins);
  });

  // RFC 4271 has Established sessions stay, whoever dialled.
  test.each([LOWER, HIGHER])("$what: the wrong one is a session already, and stays", async (one) => {
    const world = await cross(one);
    world.bad.open();
    await isUp(world);
    world.good.open();
    await settled(world, !one.birdWins);
  });
});

describe.skipIf(unavailable !== undefined)(`timers${unavailable ?? ""}`, () => {
  const QUICK = { holdTimeSec: 3 };
  let program: SpeakerProgram;
  beforeAll(() => {
    program = new SpeakerProgram();
  });
  afterAll(() => program.close());

  const keepalives = (live: LiveSpeaker, addr: string): (number | undefined)[] => {
    const row = live.peer(addr);
    return [row?.messagesIn["KEEPALIVE"], row?.messagesOut["KEEPALIVE"]];
  };

  test("a hold time of 3 s is kept by KEEPALIVEs, and one of 0 needs none", async () => {
    const OTHER = "10.90.1.7";
    const [port, otherPort] = [await lab.port(BIRD), await lab.port(OTHER)];
    const none = protocol(otherPort, 64512, undefined, "hold time 0;")
      .replaceAll(host(BIRD), host(OTHER))
      .replace("bgp ours", "bgp unheld")
      .replace(host(OURS), `${host(OURS)} port 1`);
    await lab.bird(BIRD, NETWORKS + protocol(port, 64512, undefined) + none);
    const ours = await lab.speaker(OURS, 64512);
    ours.join(BIRD, { as: 64512, port, session: QUICK });
    ours.join(OTHER, { as: 64512, port: otherPort, session: QUICK });
    await eventually(() => expect(keepalives(ours, BIRD).every((count) => (count ?? 0) >= 5)).toBe(true));
    expect(ours.peer(BIRD)).toMatchObject({
      state: "Established",
      dropped: 0,
      holdTimeSec: 3,
      keepaliveSec: 1,
    });
    expect(ours.peer(OTHER)).toMatchObject({
      state: "Established",
      dropped: 0,
      holdTimeSec: 0,
      keepaliveSec: 0,
    });
    expect(keepalives(ours, OTHER)).toEqual([1, 1]);
  });

  test("BIRD falls silent: its routes go when the hold time is over, and it is told why", async () => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(BIRD, NETWORKS + protocol(port, 64512, undefined));
    const ours = await lab.speaker(OURS, 64512);
    ours.join(BIRD, { as: 64512, port, session: QUICK });
    await eventually(() => expect(ours.routes().size).toBe(1));
    const before = performance.now();
    bird.pause();
    await eventually(() => expect(ours.routes().size).toBe(0));
    // The last that it said may have been said a second before.
    expect(performance.now() - before).toBeGreaterThan(1500);
    await eventually(() => expect(ours.notices(BIRD)).toEqual(["out Hold Timer Expired"]));
    bird.resume();
    await eventually(() => expect(bird.log).toMatch(/ours: (Received|Error): Hold timer expired/));
    await eventually(() => expect(ours.routes().size).toBe(1));
    expect(ours.peer(BIRD)).toMatchObject({ established: 2, dropped: 1 });
  });

  test("we fall silent: BIRD ends the session, and we come back", async () => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(BIRD, NETWORKS + protocol(port, 64512, undefined));
    const ours = program.start({
      addr: OURS,
      as: 64512,
      neighbors: { [BIRD]: { as: 64512, port, session: QUICK } },
      networks: { "10.2.0.0/24": {} },
    });
    await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(1));
    ours.pause();
    await eventually(() => expect(bird.log).toMatch(/ours: Error: Hold timer expired/));
    expect((await bird.table("protocol ours")).size).toBe(0);
    ours.resume();
    await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(1));
    expect((await ours.state()).peers).toMatchObject([{ state: "Established", established: 2, dropped: 1 }]);
  });

  test("BIRD is killed, and does not ask for its routes to be kept: they go at once, and come again with it", async () => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(BIRD, NETWORKS + protocol(port, 64512, undefined));
    const ours = await lab.speaker(OURS, 64512);
    ours.join(BIRD, { as: 64512, port });
    await eventually(() => expect(ours.routes().size).toBe(1));
    await bird.kill();
    await eventually(() => expect(ours.gone).toEqual(["10.1.0.0/24"]), 2000);
    await bird.restart();
    await eventually(() => expect(ours.routes().size).toBe(1));
  });
});
