// A full mesh as Calico builds it, half of it BIRD and half of it ours: one AS, a block of addresses a node, ADD-PATH and graceful
// restart, and of each pair the one with the greater address waits for the other's call.
import { afterEach, describe, expect, test } from "vitest";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const AS = 64512;
const lab = new BirdLab();
afterEach(() => lab.close());

/** Nodes 1 to 6; the odd ones are BIRD's. */
const NODES = [1, 2, 3, 4, 5, 6] as const;
const isBird = (i: number): boolean => i % 2 === 1;
const addrOf = (i: number): string => `10.92.1.${10 + i}`;
const blockOf = (i: number): string => `10.244.${i}.0/26`;
const others = (i: number): number[] => NODES.filter((j) => j !== i);
const all = (except: readonly number[] = []): string[] =>
  NODES.filter((i) => !except.includes(i)).map(blockOf);

interface Mesh {
  readonly birds: ReadonlyMap<number, Bird>;
  readonly ours: ReadonlyMap<number, LiveSpeaker>;
}

/** LOCAL_PREF is 2147483647 less a metric of 1024. */
function config(i: number, ports: ReadonlyMap<number, number>): string {
  const sessions = others(i).map((j) => {
    const waits = addrOf(j) > addrOf(i) ? "passive;" : "";
    return `protocol bgp node${j} from bgp_template { neighbor ${host(addrOf(j))} port ${ports.get(j)} as ${AS}; ${waits} }`;
  });
  return `
protocol static blocks { ipv4; route ${blockOf(i)} blackhole { bgp_local_pref = 2147482623; }; }
template bgp bgp_template {
  local ${host(addrOf(i))} port ${ports.get(i)} as ${AS}; source address ${host(addrOf(i))};
  strict bind yes; multihop; hold time 240;
  connect delay time 1; connect retry time 1; error wait time 1,2; graceful restart;
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; add paths on; next hop address ${addrOf(i)}; };
}
${sessions.join("\n")}
`;
}

async function mesh(): Promise<Mesh> {
  const ours = new Map<number, LiveSpeaker>();
  const ports = new Map<number, number>();
  for (const i of NODES.filter((one) => !isBird(one))) {
    const live = await lab.speaker(addrOf(i), AS);
    live.originate(blockOf(i), { localPref: 2147482623 });
    ours.set(i, live);
    ports.set(i, live.port);
  }
  for (const i of NODES.filter(isBird)) ports.set(i, await lab.port(addrOf(i)));
  for (const [i, live] of ours) {
    for (const j of others(i)) {
      const port = addrOf(j) > addrOf(i) ? undefined : (ports.get(j) ?? 0);
      live.join(addrOf(j), {
        as: AS,
        ...(port === undefined ? {} : { port }),
        session: { families: [{ family: Family.IPV4_UNICAST, addPath: { receive: true, send: true } }] },
        routes: { addPathMax: 8 },
      });
    }
  }
  const birds = new Map<number, Bird>();
  for (const i of NODES.filter(isBird)) birds.set(i, await lab.bird(addrOf(i), config(i, ports)));
  return { birds, ours };
}

/** Everybody alive has these. */
async function converged({ birds, ours }: Mesh, want: readonly string[], except: readonly number[] = []) {
  for (const [i, live] of ours) {
    if (except.includes(i)) continue;
    await eventually(() => expect([...live.routes().keys()]).toEqual(want));
  }
  for (const [i, bird] of birds) {
    if (except.includes(i)) continue;
    await eventually(async () =>
      expect([...(await bird.table("table master4")).keys()].sort()).toEqual(want),
    );
  }
}

describe.skipIf(unavailable !== undefined)(`a mesh of BIRD and ours${unavailable ?? ""}`, () => {
  test("everybody has everybody's block; who leaves takes it along, who crashes does not until it is back", async () => {
    const world = await mesh();
    const { birds, ours } = world;
    await converged(world, all());
    for (const [i, live] of ours) {
      expect(live.peers().map((row) => row.state)).toEqual(Array.from({ length: 5 }, () => "Established"));
      for (const j of others(i)) {
        expect(live.routes().get(blockOf(j))).toMatchObject({
          nextHop: addrOf(j),
          from: addrOf(j),
          localPref: 2147482623,
        });
      }
      // Its own alone is told: nobody passes on what comes from inside the AS.
      expect(live.ribOut(addrOf(1)).map((row) => row.prefix)).toEqual(i === 1 ? [] : [blockOf(i)]);
    }

    await birds.get(1)?.kill();
    await eventually(() => expect(ours.get(2)?.routes().get(blockOf(1))?.stale).toBe(true));
    await birds.get(1)?.restart({ recovering: true });
    await eventually(() => expect(ours.get(2)?.routes().get(blockOf(1))?.stale).toBe(false));
    await converged(world, all());
    for (const live of ours.values()) expect(live.gone).toEqual([]);

    await birds.get(3)?.ask('disable "*" "leaving"');
    await ours.get(4)?.stop({ text: "leaving" });
    await converged(world, all([3, 4]), [3, 4]);
  });
});
