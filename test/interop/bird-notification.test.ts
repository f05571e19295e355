// Why a session ends, as the other side understands it. What BIRD has heard stands in its log; what we have, in our traces.
import { afterEach, describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveNeighbor, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.89.1.1", "10.89.1.2"] as const;
const lab = new BirdLab();
afterEach(() => lab.close());

interface World {
  readonly ours: LiveSpeaker;
  readonly bird: Bird;
  readonly port: number;
}

interface Given {
  /** Of BIRD's protocol, and of its channel. */
  readonly line?: string;
  readonly channel?: string;
  readonly routerId?: string;
  /** What BIRD takes our AS for. */
  readonly ourAs?: number;
  readonly neighbor?: Partial<LiveNeighbor>;
  readonly session?: Partial<PeerConfig>;
}

const NETS = ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"] as const;
const NETWORKS = `protocol static nets { ipv4; ${NETS.map((net) => `route ${net} blackhole;`).join(" ")} }`;

function protocol(port: number, { line = "", channel = "", ourAs = 64512 }: Given): string {
  return `
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 65001; neighbor ${host(OURS)} as ${ourAs}; passive; ${line}
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; ${channel} };
}
`;
}

async function world(given: Given = {}): Promise<World> {
  const port = await lab.port(BIRD);
  const bird = await lab.bird(given.routerId ?? BIRD, NETWORKS + protocol(port, given));
  const ours = await lab.speaker(OURS, 64512);
  for (const i of [1, 2, 3]) ours.originate(`10.2.${i}.0/24`);
  ours.join(BIRD, { as: 65001, port, session: given.session ?? {}, ...given.neighbor });
  return { ours, bird, port };
}

async function established(given: Given = {}): Promise<World> {
  const made = await world(given);
  await eventually(() => expect(made.ours.routes().size).toBe(6));
  await eventually(async () => expect((await made.bird.table("protocol ours")).size).toBe(3));
  return made;
}

const birdHeard = ({ bird }: World, what: RegExp): Promise<void> =>
  eventually(() => expect(bird.log).toMatch(new RegExp(`ours: (Error|Received): ${what.source}`)));
const weHeard = ({ ours }: World, what: RegExp): Promise<void> =>
  eventually(() => expect(ours.notices(BIRD)[0]).toMatch(new RegExp(`^in ${what.source}`)));

describe.skipIf(unavailable !== undefined)(`OPENs that are refused${unavailable ?? ""}`, () => {
  test.each<[string, Given, RegExp]>([
    ["another AS", { neighbor: { as: 65002 } }, /Bad peer AS: 65001/],
    [
      "a hold time that is too short",
      { line: "hold time 10;", session: { holdTimeMinSec: 30 } },
      /Unacceptable hold time/,
    ],
    [
      "a capability that is missing",
      { session: { requiredCapabilities: [{ t: "extended-message" }] } },
      /Required capability missing/,
    ],
  ])("by us: %s", async (_, given, heard) => {
    const made = await world(given);
    await birdHeard(made, heard);
    expect(made.ours.established(BIRD)).toBe(false);
    // The next attempt waits, longer each time.
    await eventually(() => expect(made.ours.notices(BIRD).length).toBeGreaterThanOrEqual(2));
    expect(made.ours.peer(BIRD)).toMatchObject({ established: 0, dropped: 0 });
  });

  test.each<[string, Given, RegExp]>([
    ["another AS", { ourAs: 64999 }, /OPEN Message Error\/Bad Peer AS/],
    [
      "a role that is missing",
      { line: "local role peer; require roles on;" },
      /OPEN Message Error\/Role Mismatch/,
    ],
    [
      "a hold time that is too short",
      { line: "min hold time 30;", session: { holdTimeSec: 10 } },
      /OPEN Message Error\/Unacceptable Hold Time/,
    ],
  ])("by BIRD: %s", async (_, given, heard) => {
    const made = await world(given);
    await weHeard(made, heard);
    expect(made.ours.peer(BIRD)).toMatchObject({ established: 0, dropped: 0 });
  });

  test("inside an AS: our own identifier", async () => {
    const port = await lab.port(BIRD);
    const config = protocol(port, {}).replace("as 65001", "as 64512");
    const bird = await lab.bird(OURS, config);
    const ours = await lab.speaker(OURS, 64512);
    ours.join(BIRD, { as: 64512, port });
    await eventually(() => expect(ours.notices(BIRD).join()).toMatch(/Bad BGP Identifier/));
    expect(bird.log).toMatch(/Bad BGP identifier/);
    expect(ours.peer(BIRD)?.established).toBe(0);
  });

  test("without any capability the session is one of the first kind", async () => {
    const made = await established({ line: "capabilities off;" });
    expect(made.ours.peer(BIRD)).toMatchObject({ state: "Established", capabilities: ["IPv4 unicast"] });
    expect((await made.bird.protocol("ours")).fields["Session"]).toBe("external multihop");
  });
});

describe.skipIf(unavailable !== undefined)(`a session that is ended${unavailable ?? ""}`, () => {
  const TEXT = "Wartung bis 15:00 – siehe Ticket 4711 ☃";

  test("by us, with a text", async () => {
    const made = await established();
    const { ours, bird } = made;
    ours.change((speaker, now) => speaker.shutdown(ours.neighbor(BIRD), TEXT, now));
    await birdHeard(made, /Administrative shutdown/);
    expect(bird.log).toContain(TEXT);
    await eventually(async () => expect((await bird.table("protocol ours")).size).toBe(0));
    expect(ours.peer(BIRD)).toMatchObject({ state: "Idle", enabled: false });
    expect(ours.routes().size).toBe(3);
    ours.change((speaker, now) => speaker.enable(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.routes().size).toBe(6));
  });

  test("by BIRD, with a text", async () => {
    const made = await established();
    const { ours, bird } = made;
    await bird.ask(`disable ours "${TEXT}"`);
    await eventually(() => expect(ours.notices(BIRD)).toEqual([`in Cease/Administrative Shutdown: ${TEXT}`]));
    expect(ours.routes().size).toBe(3);
    expect(ours.peer(BIRD)?.lastDown).toContain(TEXT);
    await bird.ask("enable ours");
    await eventually(() => expect(ours.routes().size).toBe(6));
  });

  test("and begun anew by us, with a text", async () => {
    const made = await established();
    made.ours.change((speaker, now) => speaker.reset(made.ours.neighbor(BIRD), TEXT, now));
    await birdHeard(made, /Administrative reset/);
    expect(made.bird.log).toContain(TEXT);
    await eventually(() =>
      expect(made.ours.peer(BIRD)).toMatchObject({ state: "Established", established: 2 }),
    );
  });

  test("and begun anew by BIRD, with a text", async () => {
    const made = await established();
    await made.bird.ask(`restart ours "${TEXT}"`);
    await eventually(() =>
      expect(made.ours.notices(BIRD)).toEqual([`in Cease/Administrative Reset: ${TEXT}`]),
    );
    await eventually(() =>
      expect(made.ours.peer(BIRD)).toMatchObject({ state: "Established", established: 2 }),
    );
  });

  // RFC 8203 had 128 octets; RFC 9003 has 255.
  test("with a text as long as it may be, both ways", async () => {
    const long = "0123456789".repeat(26).slice(0, 255);
    const { ours, bird } = await established({ session: { shutdownTextMaxBytes: 255 } });
    await bird.ask(`disable ours "${long}"`);
    await eventually(() => expect(ours.notices(BIRD)).toEqual([`in Cease/Administrative Shutdown: ${long}`]));
    await bird.ask("enable ours");
    await eventually(() => expect(ours.established(BIRD)).toBe(true));
    ours.change((speaker, now) => speaker.shutdown(ours.neighbor(BIRD), `${long} and more`, now));
    await eventually(() => expect(bird.log).toContain(`"${long}"`));
  });

  test("since we do not want the neighbour any more", async () => {
    const made = await established();
    made.ours.change((speaker, now) => speaker.delNeighbor(ipv4(BIRD), now));
    await birdHeard(made, /Peer de-configured/);
    expect(made.ours.peers()).toEqual([]);
    expect(made.ours.routes().size).toBe(3);
  });

  test("since BIRD does not want us any more", async () => {
    const made = await established();
    await made.bird.configure(NETWORKS);
    await weHeard(made, /Cease\/Peer De-configured/);
    await eventually(() => expect(made.ours.routes().size).toBe(3));
  });

  test("since BIRD is configured otherwise", async () => {
    const made = await established();
    await made.bird.configure(NETWORKS + protocol(made.port, { line: "hold time 60;" }));
    await weHeard(made, /Cease\/Other Configuration Change/);
    await eventually(() =>
      expect(made.ours.peer(BIRD)).toMatchObject({ state: "Established", holdTimeSec: 60 }),
    );
  });

  test("since the whole speaker stops, with a text", async () => {
    const made = await established();
    await made.ours.stop({ text: TEXT });
    await birdHeard(made, /Administrative shutdown/);
    expect(made.bird.log).toContain(TEXT);
  });
});

describe.skipIf(unavailable !== undefined)(`too many prefixes${unavailable ?? ""}`, () => {
  test("for us: BIRD is told, and stays down until the time is over", async () => {
    const family = Family.IPV4_UNICAST;
    const prefixLimit = { limit: 2, warnPercent: 50, restartSec: 2 };
    const made = await world({ session: { families: [{ family, prefixLimit }] } });
    const { ours, bird } = made;
    await birdHeard(made, /Maximum number of prefixes reached/);
    await eventually(() =>
      expect(ours.notices(BIRD)[0]).toMatch(/^out Cease\/Maximum Number of Prefixes Reached/),
    );
    expect(ours.routes().size).toBe(3);
    expect(ours.peer(BIRD)).toMatchObject({ state: "Idle", enabled: true });
    // Within the limit it may stay when its time has come.
    await bird.configure(NETWORKS.replace(`route ${NETS[2]} blackhole;`, "") + protocol(made.port, {}));
    await eventually(() => expect(ours.routes().size).toBe(5));
    expect(ours.traces.some(({ trace }) => trace.t === "prefixLimit" && !trace.exceeded)).toBe(true);
  });

  test("for BIRD, of all that it receives: it does not come back", async () => {
    const made = await world({ channel: "receive limit 2 action disable;" });
    await weHeard(made, /Cease\/Maximum Number of Prefixes Reached/);
    await eventually(async () => expect((await made.bird.protocol("ours")).state).toBe("down"));
    await eventually(() => expect(made.ours.routes().size).toBe(3));
  });

  test("for BIRD, of what it imports: it tries again", async () => {
    const made = await world({ channel: "import limit 2 action restart;" });
    await weHeard(made, /Cease\/Maximum Number of Prefixes Reached/);
    made.ours.withdraw("10.2.3.0/24");
    await eventually(async () => expect((await made.bird.table("protocol ours")).size).toBe(2));
    expect(made.ours.established(BIRD)).toBe(true);
  });
});
