// Several paths to one prefix (ADD-PATH), each way.
//
//   65001, 65002, 65003 --- BIRD === ours --- 65011, 65012, 65013       BIRD and ours are of AS 64512
import { afterEach, describe, expect, test } from "vitest";
import { DEFAULT_DECISION } from "../../src/routing/bgp/rib/decision.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.86.1.1", "10.86.1.2"] as const;
const BIRDS = ["10.86.1.11", "10.86.1.12", "10.86.1.13"] as const;
const OUR = ["10.86.1.21", "10.86.1.22", "10.86.1.23"] as const;
const PREFIX = "10.1.0.0/24";
const lab = new BirdLab();
afterEach(() => lab.close());

describe.skipIf(unavailable !== undefined)(`ADD-PATH${unavailable ?? ""}`, () => {
  let bird: Bird;
  let ours: LiveSpeaker;

  /** @param birdPaths what BIRD's channel says of ADD-PATH */
  const start = async (birdPaths: string, addPathMax: number): Promise<void> => {
    const port = await lab.port(BIRD);
    bird = await lab.bird(
      BIRD,
      `
template bgp near from quick {
  local ${host(BIRD)} port ${port} as 64512; passive;
}
protocol bgp ours from near {
  neighbor ${host(OURS)} as 64512;
  ipv4 { igp table underlay; import all; export all; ${birdPaths} };
}
${BIRDS.map((addr, i) => `protocol bgp s${i} from near { neighbor ${host(addr)} as ${65001 + i}; ipv4 { igp table underlay; import all; export none; }; }`).join("\n")}
`,
    );
    ours = await lab.speaker(OURS, 64512, {
      decision: { ...DEFAULT_DECISION, multipathMax: 4, multipathRelax: true },
    });
    ours.join(BIRD, {
      as: 64512,
      port,
      session: { families: [{ family: Family.IPV4_UNICAST, addPath: { receive: true, send: true } }] },
      routes: { addPathMax },
    });
    await eventually(() => expect(ours.established(BIRD)).toBe(true));
  };

  const told = (): string[] =>
    ours
      .ribIn(BIRD)
      .map((row) => `${row.prefix} ${row.nextHop} ${row.asPath}`)
      .sort();

  /** Three sources of one prefix at BIRD. */
  const feedBird = async (): Promise<LiveSpeaker[]> => {
    const { fields } = await bird.protocol("ours");
    expect(fields["BGP state"]).toBe("Established");
    const port = ours.neighbor(BIRD).port ?? 0;
    return Promise.all(
      BIRDS.map(async (addr, i) => {
        const live = await lab.speaker(addr, 65001 + i);
        live.originate(PREFIX);
        live.join(BIRD, { as: 64512, port });
        return live;
      }),
    );
  };

  test("BIRD tells all its paths, and takes back single ones", async () => {
    await start("add paths on;", 8);
    const sources = await feedBird();
    const all = BIRDS.map((addr, i) => `${PREFIX} ${addr} ${65001 + i}`);
    await eventually(() => expect(told()).toEqual(all));
    expect(new Set(ours.ribIn(BIRD).map((row) => row.pathId)).size).toBe(3);
    // Equal in all that counts: they share the load.
    expect(ours.paths().map((row) => row.chosen)).toEqual(["best", "multipath", "multipath"]);
    sources[1]?.withdraw(PREFIX);
    await eventually(() => expect(told()).toEqual([all[0], all[2]]));
    sources[0]?.originate(PREFIX, { med: 7 });
    await eventually(() => expect(ours.ribIn(BIRD).map((row) => row.med)).toContain(7));
    expect(told()).toEqual([all[0], all[2]]);
    sources[1]?.originate(PREFIX);
    await eventually(() => expect(told()).toEqual(all));
    expect(ours.gone).toEqual([]);
    await Promise.all(sources.map((live) => live.stop()));
    await eventually(() => expect(ours.paths()).toEqual([]));
    expect(ours.gone).toEqual([PREFIX]);
  });

  /** Three sources of one prefix here. */
  const feedOurs = (): Promise<LiveSpeaker[]> =>
    Promise.all(
      OUR.map(async (addr, i) => {
        const live = await lab.speaker(addr, 65011 + i);
        live.originate(PREFIX);
        ours.join(addr, { as: 65011 + i });
        live.join(OURS, { as: 64512, port: ours.port });
        return live;
      }),
    );

  const birdHas = async (): Promise<string[]> =>
    (await bird.routes("protocol ours"))
      .map((route) => `${route.prefix} ${route.attributes["next_hop"]} ${route.attributes["as_path"]}`)
      .sort();

  test("we tell as many as we may, and take back single ones", async () => {
    await start("add paths on;", 2);
    const sources = await feedOurs();
    const all = OUR.map((addr, i) => `${PREFIX} ${addr} ${65011 + i}`);
    await eventually(() => expect(ours.paths()).toHaveLength(3));
    // The two best: of lower identifiers.
    await eventually(async () => expect(await birdHas()).toEqual(all.slice(0, 2)));
    sources[0]?.withdraw(PREFIX);
    await eventually(async () => expect(await birdHas()).toEqual(all.slice(1)));
    sources[2]?.originate(PREFIX, { med: 9 });
    await eventually(async () => {
      const routes = await bird.routes("protocol ours");
      expect(new Set(routes.map((route) => route.attributes["med"]))).toEqual(new Set(["9", undefined]));
    });
    sources[0]?.originate(PREFIX);
    await eventually(async () => expect(await birdHas()).toEqual(all.slice(0, 2)));
    for (const live of sources) live.withdraw(PREFIX);
    await eventually(async () => expect(await birdHas()).toEqual([]));
  });

  test("both at once: each has its own and the other's", async () => {
    await start("add paths on;", 8);
    await Promise.all([feedBird(), feedOurs()]);
    const want = [
      ...BIRDS.map((addr, i) => `${PREFIX} ${addr} ${65001 + i}`),
      ...OUR.map((addr, i) => `${PREFIX} ${addr} ${65011 + i}`),
    ];
    await eventually(() => expect(told()).toEqual(want.slice(0, 3)));
    await eventually(async () => expect(await birdHas()).toEqual(want.slice(3)));
    expect(ours.paths()).toHaveLength(6);
  });

  test.each([
    ["BIRD only takes them", "add paths rx;", 1, 3],
    ["BIRD only tells them", "add paths tx;", 3, 1],
    ["BIRD knows nothing of them", "", 1, 1],
  ])("%s", async (_, line, toUs, toBird) => {
    await start(line, 8);
    await Promise.all([feedBird(), feedOurs()]);
    await eventually(() => expect(ours.paths()).toHaveLength(3 + toUs));
    await eventually(async () => expect(await birdHas()).toHaveLength(toBird));
  });
});
