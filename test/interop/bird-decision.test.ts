// The same paths told to BIRD and to us: both must choose the same, for each of a thousand prefixes.
import { afterEach, describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { SegmentType } from "../../src/wire/bgp/as-path.ts";
import type { PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD] = ["10.91.1.1", "10.91.1.2"] as const;
const AS = 64512;
const PREFIXES = 1000;
/** Two of one AS, so that MED counts between them; and two inside. Their identifiers are not in the order of their addresses. */
const SOURCES = [
  { addr: "10.91.1.11", id: "10.0.0.5", as: 65001 },
  { addr: "10.91.1.12", id: "10.0.0.4", as: 65001 },
  { addr: "10.91.1.13", id: "10.0.0.3", as: 65002 },
  { addr: "10.91.1.14", id: "10.0.0.2", as: AS },
  { addr: "10.91.1.15", id: "10.0.0.1", as: AS },
] as const;

const lab = new BirdLab();
afterEach(() => lab.close());

/** Few values of each, so that ties are common at every step. */
function attributes(rng: SeededRng, as: number): Partial<PathAttributes> {
  const asns = Array.from({ length: below(rng, 3) }, () => 65100 + below(rng, 3));
  // A path from inside has been through one of the other two ASs, or is of our own AS.
  if (as === AS && below(rng, 4) > 0) asns.unshift(65001 + below(rng, 2));
  return {
    asPath: asns.length === 0 ? [] : [{ type: SegmentType.SEQUENCE, asns }],
    origin: below(rng, 4) === 0 ? below(rng, 3) : 0,
    med: below(rng, 3) === 0 ? undefined : below(rng, 3),
    localPref: as === AS && below(rng, 6) === 0 ? 90 + below(rng, 20) : undefined,
  };
}

describe.skipIf(unavailable !== undefined)(`the choice between paths${unavailable ?? ""}`, () => {
  test("is BIRD's", async () => {
    const port = await lab.port(BIRD);
    // Without "deterministic med" its choice depends on the order in which paths came, which RFC 4271 does not want.
    const bird = await lab.bird(
      BIRD,
      SOURCES.map(
        ({ addr, as }, i) => `
protocol bgp s${i} from quick {
  local ${host(BIRD)} port ${port} as ${AS}; neighbor ${host(addr)} as ${as}; passive; deterministic med on;
  ipv4 { igp table underlay; import all; export none; };
}`,
      ).join("\n"),
    );
    const ours = await lab.speaker(OURS, AS);
    const rng = new SeededRng(1);
    const nobody = { exportPolicy: { name: "none", rules: [], default: "reject" } } as const;
    let paths = 0;
    for (const { addr, id, as } of SOURCES) {
      ours.join(addr, { as, routes: nobody });
      const source = await lab.speaker(addr, as, { routerId: ipv4(id) });
      const table = Array.from({ length: PREFIXES }, (_, i) => {
        return [`11.${i >> 8}.${i & 0xff}.0/24`, attributes(rng, as)] as const;
      }).filter(() => below(rng, 10) > 0);
      paths += table.length;
      source.announceAll(table);
      for (const [remote, to] of [
        [OURS, ours.port],
        [BIRD, port],
      ] as const) {
        source.join(remote, { as: AS, port: to, session: { routerId: ipv4(id) } });
      }
    }
    await eventually(() => expect(ours.paths()).toHaveLength(paths));
    await eventually(async () => expect(await bird.routes("table master4")).toHaveLength(paths));

    const name = new Map<string, string>(SOURCES.map(({ addr }, i) => [addr, `s${i}`]));
    const table = await bird.table("table master4");
    const mine = ours.routes();
    const different = [...table].flatMap(([prefix, route]) => {
      const chosen = name.get(mine.get(prefix)?.fromAddr ?? "");
      if (chosen === route.protocol) return [];
      const all = ours.paths().filter((row) => row.prefix === prefix);
      const lines = all.map(
        (row) => `${name.get(row.fromAddr)} ${row.asPath} ${row.origin} ${row.med} ${row.why}`,
      );
      return [`${prefix}: BIRD has ${route.protocol}, we have ${chosen}\n${lines.join("\n")}`];
    });
    expect(different.slice(0, 3)).toEqual([]);
    expect(mine.size).toBe(table.size);
    expect(mine.size).toBeGreaterThan(PREFIXES * 0.99);
    // Everybody is chosen sometimes.
    expect(new Set([...mine.values()].map((row) => row.fromAddr)).size).toBe(SOURCES.length);
  });
});
