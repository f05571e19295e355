// Route refresh, plain and enhanced, asked for by either side; and what becomes of policies that change meanwhile.
import { afterEach, describe, expect, test } from "vitest";
import type { Policy } from "../../src/routing/bgp/policy/policy.ts";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { neighborRoutes } from "../support/bgp-plain.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.85.1.1", "10.85.1.2"] as const;
const lab = new BirdLab();
afterEach(() => lab.close());

const preferring = (localPref: number): Policy => ({
  name: `prefer ${localPref}`,
  rules: [{ set: { localPref }, action: "accept" }],
  default: "reject",
});

interface World {
  readonly ours: LiveSpeaker;
  readonly bird: Bird;
  /** With another export filter and other options of the session. */
  readonly config: (filter: string) => string;
  /** What BIRD has logged of the session's packets since the last call. */
  readonly said: () => string[];
}

async function world(session: Partial<PeerConfig> = {}, options = ""): Promise<World> {
  const port = await lab.port(BIRD);
  const config = (filter: string): string => `
protocol static nets { ipv4; route 10.1.1.0/24 blackhole; route 10.1.2.0/24 blackhole; }
protocol bgp ours from quick {
  debug { events, packets }; ${options}
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} as 64512; passive;
  ipv4 { igp table underlay; import all; export ${filter}; next hop address ${BIRD}; };
}
`;
  const bird = await lab.bird(BIRD, config("where source = RTS_STATIC"));
  const ours = await lab.speaker(OURS, 64512);
  ours.originate("10.2.1.0/24");
  ours.originate("10.2.2.0/24");
  ours.join(BIRD, { as: 64512, port, session });
  await eventually(() => expect(ours.routes().size).toBe(4));
  await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(2));
  await eventually(() =>
    expect(bird.log).toMatch(/Got END-OF-RIB[^]*Sending END-OF-RIB|Sending END-OF-RIB[^]*Got END-OF-RIB/),
  );
  let at = bird.log.length;
  const said = (): string[] => {
    const text = bird.log.slice(at);
    at = bird.log.length;
    return [...text.matchAll(/ours: ((?:Sending|Got) \S+)/g)].map(([, what]) => what ?? "");
  };
  return { ours, bird, config, said };
}

describe.skipIf(unavailable !== undefined)(`route refresh with BIRD${unavailable ?? ""}`, () => {
  test("BIRD asks, and is told all again between the marks", async () => {
    const { ours, bird, said } = await world();
    await bird.ask("reload in ours");
    await eventually(() => expect(bird.log).toMatch(/Got END-OF-RR/));
    expect(said()).toEqual(["Sending ROUTE-REFRESH", "Got BEGIN-OF-RR", "Got UPDATE", "Got END-OF-RR"]);
    expect((await bird.table("protocol ours")).size).toBe(2);
    expect((await bird.protocol("ours")).fields["Import withdraws"]).toMatch(/^0 /);
    expect(ours.peer(BIRD)).toMatchObject({
      messagesIn: { "ROUTE-REFRESH": 1 },
      messagesOut: { "ROUTE-REFRESH": 2 },
      dropped: 0,
    });
  });

  test("we ask, and keep what is told again between the marks", async () => {
    const { ours, bird, said } = await world();
    ours.change((speaker, now) => speaker.refreshIn(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.peer(BIRD)?.messagesIn["ROUTE-REFRESH"]).toBe(2));
    await eventually(() => expect(bird.log).toMatch(/Sending END-OF-RR/));
    expect(said()).toEqual([
      "Got ROUTE-REFRESH",
      "Sending BEGIN-OF-RR",
      "Sending UPDATE",
      "Sending END-OF-RR",
    ]);
    expect(ours.routes().size).toBe(4);
    expect(ours.gone).toEqual([]);
  });

  test("BIRD tells all again of its own accord", async () => {
    const { ours, bird } = await world();
    await bird.ask("reload out ours");
    await eventually(() => expect(ours.peer(BIRD)?.messagesIn["ROUTE-REFRESH"]).toBe(2));
    expect(bird.log).toMatch(/Sending BEGIN-OF-RR[^]*Sending END-OF-RR/);
    expect(ours.routes().size).toBe(4);
    expect(ours.gone).toEqual([]);
  });

  test("we tell all again of our own accord", async () => {
    const { ours, bird, said } = await world();
    ours.change((speaker, now) => speaker.refreshOut(ours.neighbor(BIRD), now));
    await eventually(() => expect(bird.log).toMatch(/Got END-OF-RR/));
    expect(said()).toEqual(["Got BEGIN-OF-RR", "Got UPDATE", "Got END-OF-RR"]);
    expect((await bird.table("protocol ours")).size).toBe(2);
  });

  test("without the marks, where one side does not know them", async () => {
    const { ours, bird, said } = await world({ enhancedRefresh: false });
    await bird.ask("reload in ours");
    await eventually(() => expect(bird.log).toMatch(/Sending ROUTE-REFRESH[^]*Got UPDATE/));
    expect(said()).toEqual(["Sending ROUTE-REFRESH", "Got UPDATE"]);
    expect((await bird.table("protocol ours")).size).toBe(2);
    const before = ours.peer(BIRD)?.messagesIn["UPDATE"] ?? 0;
    ours.change((speaker, now) => speaker.refreshIn(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.peer(BIRD)?.messagesIn["UPDATE"]).toBeGreaterThan(before));
    expect(ours.peer(BIRD)?.messagesIn["ROUTE-REFRESH"]).toBe(1);
    expect(ours.routes().size).toBe(4);
  });

  test("what BIRD tells no more is gone after a refresh", async () => {
    const { ours, bird, config } = await world();
    // "soft": the new filter is for what changes from now on, so nothing is taken back yet.
    await bird.configure(config("where net = 10.1.2.0/24"), "configure soft");
    expect(ours.ribIn(BIRD)).toHaveLength(2);
    ours.change((speaker, now) => speaker.refreshIn(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.ribIn(BIRD).map((row) => row.prefix)).toEqual(["10.1.2.0/24"]));
    expect(ours.gone).toEqual(["10.1.1.0/24"]);
  });

  test("another policy of ours takes effect, both ways, without a new session", async () => {
    const { ours, bird } = await world();
    const routes = neighborRoutes(OURS, {
      importPolicy: preferring(300),
      exportPolicy: {
        name: "one",
        rules: [{ match: { prefixes: [] }, action: "accept" }],
        default: "reject",
      },
    });
    ours.must((now) => ours.speaker.reconfigure(ours.neighbor(BIRD), routes, now));
    await eventually(() =>
      expect([
        ours.routes().get("10.1.1.0/24")?.localPref,
        ours.routes().get("10.1.2.0/24")?.localPref,
      ]).toEqual([300, 300]),
    );
    await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(0));
    const again = neighborRoutes(OURS, { exportPolicy: preferring(400) });
    ours.must((now) => ours.speaker.reconfigure(ours.neighbor(BIRD), again, now));
    await eventually(async () => {
      const table = await bird.table("protocol ours");
      expect([...table.values()].map((route) => route.attributes["local_pref"])).toEqual(["400", "400"]);
    });
    expect(ours.routes().get("10.1.1.0/24")?.localPref).toBe(100);
    expect(ours.peer(BIRD)).toMatchObject({ established: 1, messagesIn: { "ROUTE-REFRESH": 0 } });
  });

  test("one that cannot be asked is asked from memory", async () => {
    const { ours, bird } = await world({}, "enable route refresh off;");
    expect((await bird.protocol("ours")).text).not.toMatch(
      /Local capabilities[^]*Route refresh[^]*Neighbor capab/,
    );
    ours.change((speaker, now) => speaker.refreshIn(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.routes().size).toBe(4));
    expect(ours.peer(BIRD)?.messagesOut["ROUTE-REFRESH"]).toBe(0);
    expect(ours.gone).toEqual([]);
  });
});
