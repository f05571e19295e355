// AS numbers of four octets, with speakers that know them and with one that does not.
import { afterEach, describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SegmentType } from "../../src/wire/bgp/as-path.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [A, BIRD, B] = ["10.83.1.1", "10.83.1.2", "10.83.1.3"] as const;
const lab = new BirdLab();
afterEach(() => lab.close());

/** Large and small AS numbers, in a sequence and in a set. */
const MIXED = {
  asPath: [
    { type: SegmentType.SEQUENCE, asns: [65003, 4200000004] },
    { type: SegmentType.SET, asns: [4200000005, 65006] },
  ],
  aggregator: { as: 4200000007, addr: ipv4("10.9.9.9") },
};
const STATIC = `protocol static nets {
  ipv4;
  route 10.1.0.0/24 blackhole { bgp_path.prepend(65001); bgp_path.prepend(4200000001); };
  route 10.1.1.0/24 blackhole { bgp_path.prepend(65001); };
}`;

/** BIRD between two of ours, both of large ASs. */
async function between(
  birdAs: number,
  old: boolean,
): Promise<{ a: LiveSpeaker; b: LiveSpeaker; bird: Bird }> {
  const port = await lab.port(BIRD);
  // "external": while it plays an old speaker it takes no large number here, and expects ours in the capability all the same.
  const bird = await lab.bird(
    BIRD,
    `${STATIC}
template bgp near from quick {
  local ${host(BIRD)} port ${port} as ${birdAs}; enable as4 ${old ? "off" : "on"}; passive;
  ipv4 { igp table underlay; import all; export all; next hop address ${BIRD}; };
}
protocol bgp a from near { neighbor ${host(A)} external; }
protocol bgp b from near { neighbor ${host(B)} external; }
`,
  );
  const [a, b] = [await lab.speaker(A, 4200000011), await lab.speaker(B, 4200000012)];
  a.announce("10.2.0.0/24", MIXED);
  // Nothing in it needs four octets but our own AS.
  a.announce("10.2.1.0/24", { asPath: [{ type: SegmentType.SEQUENCE, asns: [65003] }] });
  for (const live of [a, b]) live.join(BIRD, { as: birdAs, port });
  await eventually(() => expect(b.routes().size).toBe(4));
  return { a, b, bird };
}

const pathsOf = (live: LiveSpeaker): Record<string, string> =>
  Object.fromEntries(live.ribIn(BIRD).map((row) => [row.prefix, row.asPath]));

describe.skipIf(unavailable !== undefined)(`AS numbers of four octets${unavailable ?? ""}`, () => {
  test("on both sides", async () => {
    const { a, b, bird } = await between(4200000010, false);
    expect(a.peer(BIRD)?.capabilities).toContain("4-octet AS");
    expect((await bird.protocol("a")).fields).toMatchObject({
      "Neighbor AS": "4200000011",
      Session: "external multihop AS4",
    });
    const routes = await bird.table("protocol a");
    expect(routes.get("10.2.0.0/24")?.attributes).toMatchObject({
      as_path: "4200000011 65003 4200000004 {4200000005 65006}",
      aggregator: "10.9.9.9 AS4200000007",
    });
    // Nothing is said twice: a speaker that knows large numbers gets no AS4_PATH (17, 11 in hexadecimal).
    expect(Object.keys(routes.get("10.2.0.0/24")?.attributes ?? {}).join()).not.toMatch(/\bc?1[12]\b/);
    expect(pathsOf(b)).toEqual({
      "10.1.0.0/24": "4200000010 4200000001 65001",
      "10.1.1.0/24": "4200000010 65001",
      "10.2.0.0/24": "4200000010 4200000011 65003 4200000004 {4200000005 65006}",
      "10.2.1.0/24": "4200000010 4200000011 65003",
    });
  });

  test("through a speaker that knows two", async () => {
    const { a, b, bird } = await between(65010, true);
    expect(a.peer(BIRD)?.capabilities).not.toContain("4-octet AS");
    const { fields } = await bird.protocol("a");
    expect(fields).toMatchObject({ Session: "external multihop" });
    // BIRD merges AS4_PATH for itself even when it plays an old speaker; that works only if the lengths of both are right.
    const routes = await bird.table("protocol a");
    expect(routes.get("10.2.0.0/24")?.attributes).toMatchObject({
      as_path: "4200000011 65003 4200000004 {4200000005 65006}",
      aggregator: "10.9.9.9 AS4200000007",
    });
    expect(routes.get("10.2.1.0/24")?.attributes).toMatchObject({ as_path: "4200000011 65003" });
    expect(pathsOf(b)).toEqual({
      "10.1.0.0/24": "65010 4200000001 65001",
      "10.1.1.0/24": "65010 65001",
      "10.2.0.0/24": "65010 4200000011 65003 4200000004 {4200000005 65006}",
      "10.2.1.0/24": "65010 4200000011 65003",
    });
    expect(b.routes().get("10.2.0.0/24")).toMatchObject({ aggregator: "4200000007 10.9.9.9", unknown: [] });
  });
});
