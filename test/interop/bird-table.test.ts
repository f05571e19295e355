// Ten thousand routes each way, compared one by one with all their attributes; in messages of the common size and in long ones.
import { afterEach, describe, expect, test } from "vitest";
import { formatIpv4 } from "../../src/base/ipv4-addr.ts";
import { type AsPath, SegmentType } from "../../src/wire/bgp/as-path.ts";
import type { PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { asBirdPrints, type BirdRoute } from "../support/bird-text.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.87.1.1", "10.87.1.2"] as const;
const ROUTES = 10_000;
/** The others are all alike. */
const VARIED = 7000;
const lab = new BirdLab();
afterEach(() => lab.close());

/** Prefixes of all lengths from 16 to 32, none twice. @param base first octet of the first; they go on for three */
function prefixOf(base: number, i: number): string {
  const len = 16 + (i % 17);
  // A block of 2^16 addresses for each seventeen of them.
  const block = base * 0x100_0000 + Math.floor(i / 17) * 0x1_0000;
  return `${formatIpv4(block)}/${len}`;
}

/** What the i-th route is told with. A third of the first share their attributes with none, the others with many, the last with all. */
interface Dress {
  readonly path: readonly number[];
  readonly med: number | undefined;
  readonly localPref: number;
  readonly communities: readonly (readonly [number, number])[];
  readonly large: readonly (readonly [number, number, number])[];
  readonly target: number | undefined;
}

function dressOf(i: number): Dress {
  const kind = i < VARIED ? i % 23 : 22;
  return {
    path: Array.from({ length: kind % 5 }, (_, k) => 64600 + kind + 4_200_000_000 * (k % 2)),
    med: i < VARIED && i % 3 === 0 ? i * 429_496 : undefined,
    localPref: 100 + kind,
    communities: Array.from({ length: kind % 4 }, (_, k) => [64512, k * 1000 + kind] as const),
    large: kind % 6 === 0 ? [[4_200_000_001, kind, 4_294_967_295]] : [],
    target: kind % 7 === 0 ? kind : undefined,
  };
}

/** As a static route of BIRD. */
function birdLine(i: number): string {
  const { path, med, localPref, communities, large, target } = dressOf(i);
  const sets = [
    `bgp_local_pref = ${localPref};`,
    ...[...path].reverse().map((as) => `bgp_path.prepend(${as});`),
    ...communities.map(([as, value]) => `bgp_community.add((${as},${value}));`),
    ...large.map((one) => `bgp_large_community.add((${one.join(",")}));`),
    ...(med === undefined ? [] : [`bgp_med = ${med};`]),
    ...(target === undefined ? [] : [`bgp_ext_community.add((rt,64512,${target}));`]),
  ];
  return `route ${prefixOf(11, i)} blackhole { ${sets.join(" ")} };`;
}

/** As a network of ours. */
function ourAttributes(i: number): Partial<PathAttributes> {
  const { path, med, localPref, communities, large, target } = dressOf(i);
  const asPath: AsPath = path.length === 0 ? [] : [{ type: SegmentType.SEQUENCE, asns: path }];
  return {
    asPath,
    med,
    localPref,
    communities: communities.map(([as, value]) => as * 65536 + value),
    largeCommunities: large.map(([global, local1, local2]) => ({ global, local1, local2 })),
    extCommunities: target === undefined ? [] : [{ high: 0x0002_0000 + 64512, low: target }],
  };
}

/** As BIRD prints it. */
function expected(i: number, nextHop: string): Record<string, string> {
  const { path, med, localPref, communities, large, target } = dressOf(i);
  return {
    origin: "IGP",
    as_path: path.join(" "),
    next_hop: nextHop,
    local_pref: String(localPref),
    ...(med === undefined ? {} : { med: String(med) }),
    ...(communities.length === 0
      ? {}
      : { community: communities.map((one) => `(${one.join(",")})`).join(" ") }),
    ...(large.length === 0 ? {} : { large_community: large.map((one) => `(${one.join(", ")})`).join(" ") }),
    ...(target === undefined ? {} : { ext_community: `(rt, 64512, ${target})` }),
  };
}

/** What is not as it should be: at most ten lines. */
function differences(
  base: number,
  nextHop: string,
  have: ReadonlyMap<string, BirdRoute["attributes"]>,
): string[] {
  const wrong: string[] = [];
  const line = (attributes: BirdRoute["attributes"] | undefined): string =>
    attributes === undefined ? "missing" : JSON.stringify(attributes, Object.keys(attributes).sort());
  for (let i = 0; i < ROUTES && wrong.length < 10; i++) {
    const prefix = prefixOf(base, i);
    const [want, is] = [line(expected(i, nextHop)), line(have.get(prefix))];
    if (want !== is) wrong.push(`${prefix}: ${is} instead of ${want}`);
  }
  if (have.size !== ROUTES) wrong.push(`${have.size} routes`);
  return wrong;
}

function heard(live: LiveSpeaker): Map<string, BirdRoute["attributes"]> {
  return new Map(live.ribIn(BIRD).map((row) => [row.prefix, asBirdPrints(row)]));
}

/** Lengths of the longest UPDATE in each direction. */
function longest(live: LiveSpeaker): { in: number; out: number } {
  const octets = { in: 0, out: 0 };
  for (const { trace } of live.traces) {
    if (trace.t === "message") octets[trace.direction] = Math.max(octets[trace.direction], trace.octets);
  }
  return octets;
}

describe.skipIf(unavailable !== undefined)(`a large table${unavailable ?? ""}`, () => {
  test.each([
    { size: "of 4,096 octets", extended: false },
    { size: "of 65,535 octets", extended: true },
  ])("each way in messages $size", async ({ extended }) => {
    const port = await lab.port(BIRD);
    const lines = Array.from({ length: ROUTES }, (_, i) => birdLine(i));
    const bird = await lab.bird(
      BIRD,
      `
protocol static nets { ipv4; ${lines.join("\n")} }
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} as 64512; passive;
  enable extended messages ${extended ? "on" : "off"};
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
}
`,
    );
    const ours = await lab.speaker(OURS, 64512);
    ours.announceAll(Array.from({ length: ROUTES }, (_, i) => [prefixOf(21, i), ourAttributes(i)]));
    ours.join(BIRD, { as: 64512, port, session: { extendedMessage: extended, traceMessages: true } });

    await eventually(() => expect(ours.ribIn(BIRD)).toHaveLength(ROUTES));
    expect(differences(11, BIRD, heard(ours))).toEqual([]);
    await eventually(async () =>
      expect(await bird.ask("show route protocol ours count")).toMatch(`${ROUTES} of `),
    );
    const told = (await bird.routes("protocol ours")).map(
      (route) => [route.prefix, route.attributes] as const,
    );
    expect(differences(21, OURS, new Map(told))).toEqual([]);
    expect(told).toHaveLength(ROUTES);
    // Those that are alike fill messages. BIRD tells its table in pieces, and so in small messages.
    const { out } = longest(ours);
    expect(out).toBeGreaterThan(extended ? 8000 : 4000);
    expect(out).toBeLessThanOrEqual(extended ? 65_535 : 4096);

    await bird.ask("disable nets");
    await eventually(() => expect(ours.ribIn(BIRD)).toHaveLength(0));
    for (let i = 0; i < ROUTES; i++) ours.withdraw(prefixOf(21, i));
    await eventually(async () => expect(await bird.ask("show route protocol ours count")).toMatch(/^0 of /m));
    expect(ours.peer(BIRD)).toMatchObject({ established: 1, dropped: 0 });
  });

  // 1,100 communities are 4,400 octets: more than a message of the common size holds.
  test.each([true, false])("a route with very long attributes, extended messages: %s", async (extended) => {
    const port = await lab.port(BIRD);
    const many = Array.from({ length: 1100 }, (_, i) => i);
    const adds = many.map((i) => `bgp_community.add((64512,${i}));`).join(" ");
    const bird = await lab.bird(
      BIRD,
      `
protocol static nets { ipv4; route 10.1.0.0/24 blackhole { ${adds} }; route 10.1.1.0/24 blackhole; }
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} as 64512; passive;
  enable extended messages ${extended ? "on" : "off"};
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
}
`,
    );
    const ours = await lab.speaker(OURS, 64512);
    const communities = many.map((i) => 64512 * 65536 + i);
    ours.originate("10.2.0.0/24", { communities });
    ours.originate("10.2.1.0/24");
    ours.join(BIRD, { as: 64512, port, session: { extendedMessage: true, traceMessages: true } });
    await eventually(() => expect(ours.ribIn(BIRD).map((row) => row.prefix)).toContain("10.1.1.0/24"));
    await eventually(async () =>
      expect([...(await bird.table("protocol ours")).keys()]).toContain("10.2.1.0/24"),
    );
    const count = extended ? 2 : 1;
    expect(ours.ribIn(BIRD)).toHaveLength(count);
    expect((await bird.table("protocol ours")).size).toBe(count);
    // BIRD has nothing to say of the long one when it cannot tell it; nor have we, and no session is lost over it.
    expect(ours.ribOut(BIRD)).toHaveLength(count);
    expect(ours.peer(BIRD)).toMatchObject({ state: "Established", dropped: 0 });
    if (!extended) return;
    expect(longest(ours).in).toBeGreaterThan(4400);
    expect(longest(ours).out).toBeGreaterThan(4400);
    const [long] = ours.ribIn(BIRD);
    expect(long?.communities).toEqual(many.map((i) => `64512:${i}`));
    // It does not print lists of this length.
    const last = "(64512,1099) ~ bgp_community";
    expect(await bird.ask(`show route where ${last} && bgp_community.len = 1100 protocol ours`)).toMatch(
      /^10\.2\.0\.0\/24 /m,
    );
  });
});
