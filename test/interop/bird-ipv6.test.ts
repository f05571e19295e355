// IPv6 unicast over a session on IPv4, beside IPv4 and alone; and IPv4 routes with IPv6 next hops.
import { afterEach, describe, expect, test } from "vitest";
import type { FamilyConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { asBirdPrints } from "../support/bird-text.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, ipv6, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.88.1.1", "10.88.1.2"] as const;
const [OURS6, BIRD6] = ["fd00:88::1", "fd00:88::2"] as const;
const V4: FamilyConfig = { family: Family.IPV4_UNICAST };
const V6: FamilyConfig = { family: Family.IPV6_UNICAST };
const lab = new BirdLab();
afterEach(() => lab.close());

async function world(
  birdAs: number,
  families: readonly FamilyConfig[],
  channels: string,
): Promise<{ ours: LiveSpeaker; bird: Bird }> {
  const port = await lab.port(BIRD);
  const bird = await lab.bird(
    BIRD,
    `
protocol static nets { ipv4; route 10.1.0.0/24 blackhole; }
protocol static nets6 {
  ipv6;
  route fd00:1::/64 blackhole { bgp_med = 5; bgp_community.add((64512,1)); bgp_large_community.add((1,2,3)); };
  route fd00:1:0:1::/128 blackhole;
  route 2000::/3 blackhole;
}
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as ${birdAs}; neighbor ${host(OURS)} as 64512; passive;
  ${channels}
}
`,
  );
  const ours = await lab.speaker(OURS, 64512);
  ours.originate("10.2.0.0/24");
  ours.originate("fd00:2::/64", { med: 6 });
  ours.originate("fd00:2:0:1::1/128");
  ours.originate("::/0");
  ours.join(BIRD, { as: birdAs, port, session: { families }, routes: { localAddr6: ipv6(OURS6) } });
  await eventually(() => expect(ours.established(BIRD)).toBe(true));
  return { ours, bird };
}

const CHANNEL4 = `ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };`;
const CHANNEL6 = `ipv6 { igp table underlay6; import all; export where source = RTS_STATIC; next hop address ${BIRD6}; };`;

const told = (ours: LiveSpeaker): Record<string, object> =>
  Object.fromEntries(ours.ribIn(BIRD).map((row) => [row.prefix, asBirdPrints(row)]));
const birdHas = async (bird: Bird): Promise<Record<string, object>> =>
  Object.fromEntries((await bird.routes("protocol ours")).map((route) => [route.prefix, route.attributes]));

describe.skipIf(unavailable !== undefined)(`IPv6 routes with BIRD${unavailable ?? ""}`, () => {
  test("inside an AS, beside IPv4", async () => {
    const { ours, bird } = await world(64512, [V4, V6], CHANNEL4 + CHANNEL6);
    const plain = { origin: "IGP", as_path: "", local_pref: "100" };
    await eventually(() =>
      expect(told(ours)).toEqual({
        "10.1.0.0/24": { ...plain, next_hop: BIRD },
        "2000::/3": { ...plain, next_hop: BIRD6 },
        "fd00:1::/64": {
          ...plain,
          next_hop: BIRD6,
          med: "5",
          community: "(64512,1)",
          large_community: "(1, 2, 3)",
        },
        "fd00:1:0:1::/128": { ...plain, next_hop: BIRD6 },
      }),
    );
    await eventually(async () =>
      expect(await birdHas(bird)).toEqual({
        "10.2.0.0/24": { ...plain, next_hop: OURS },
        "::/0": { ...plain, next_hop: OURS6 },
        "fd00:2::/64": { ...plain, next_hop: OURS6, med: "6" },
        "fd00:2:0:1::1/128": { ...plain, next_hop: OURS6 },
      }),
    );
    // One family is taken back, the other stays.
    await bird.ask("disable nets6");
    await eventually(() => expect(Object.keys(told(ours))).toEqual(["10.1.0.0/24"]));
    for (const prefix of ["::/0", "fd00:2::/64", "fd00:2:0:1::1/128"]) ours.withdraw(prefix);
    await eventually(async () => expect(Object.keys(await birdHas(bird))).toEqual(["10.2.0.0/24"]));
    await bird.ask("enable nets6");
    await eventually(() => expect(Object.keys(told(ours))).toHaveLength(4));
    // Both families are told again.
    ours.change((speaker, now) => speaker.refreshIn(ours.neighbor(BIRD), now));
    await eventually(() => expect(ours.peer(BIRD)?.messagesIn["ROUTE-REFRESH"]).toBe(4));
    expect(Object.keys(told(ours))).toHaveLength(4);
    expect(ours.peer(BIRD)).toMatchObject({ established: 1, dropped: 0 });
  });

  test("to another AS", async () => {
    const { ours, bird } = await world(65010, [V4, V6], CHANNEL4 + CHANNEL6);
    await eventually(() =>
      expect(told(ours)["fd00:1:0:1::/128"]).toEqual({ origin: "IGP", as_path: "65010", next_hop: BIRD6 }),
    );
    await eventually(async () =>
      expect((await birdHas(bird))["fd00:2::/64"]).toMatchObject({
        as_path: "64512",
        next_hop: OURS6,
        med: "6",
      }),
    );
  });

  test("alone: IPv4 routes stay here", async () => {
    const { ours, bird } = await world(64512, [V6], CHANNEL6);
    await eventually(() => expect(Object.keys(told(ours))).toHaveLength(3));
    await eventually(async () => expect(Object.keys(await birdHas(bird))).toHaveLength(3));
    expect(ours.peer(BIRD)?.families.map((one) => one.family)).toEqual(["IPv6 unicast"]);
  });

  test("only what both speak is told", async () => {
    const { ours, bird } = await world(64512, [V4, V6], CHANNEL4);
    await eventually(() => expect(Object.keys(told(ours))).toEqual(["10.1.0.0/24"]));
    await eventually(async () => expect(Object.keys(await birdHas(bird))).toEqual(["10.2.0.0/24"]));
  });

  test("IPv4 routes with IPv6 next hops, where both know them", async () => {
    const channel = CHANNEL4.replace(BIRD, BIRD6).replace(
      "igp table underlay;",
      "igp table underlay6; extended next hop on;",
    );
    const { ours, bird } = await world(64512, [{ ...V4, extendedNextHop: true }], channel);
    await eventually(() => expect(told(ours)).toMatchObject({ "10.1.0.0/24": { next_hop: BIRD6 } }));
    expect(ours.peer(BIRD)?.capabilities).toContain("IPv6 next hops for IPv4 unicast");
    expect(ours.routes().get("10.1.0.0/24")?.nextHop).toBe(BIRD6);
    // Ours have an IPv4 next hop, which is told as such.
    await eventually(async () =>
      expect(await birdHas(bird)).toMatchObject({ "10.2.0.0/24": { next_hop: OURS } }),
    );
    ours.originate("10.2.1.0/24", { nextHop: { global: ipv6(OURS6), linkLocal: undefined } });
    await eventually(async () =>
      expect(await birdHas(bird)).toMatchObject({ "10.2.1.0/24": { next_hop: OURS6 } }),
    );
  });
});
