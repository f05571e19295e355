// Neighbours that nobody has named: who calls from a prefix is one. In both directions.
import { afterEach, describe, expect, test } from "vitest";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const lab = new BirdLab();
afterEach(() => lab.close());

describe.skipIf(unavailable !== undefined)(`BIRD takes calls from a prefix${unavailable ?? ""}`, () => {
  const [BIRD, A, B] = ["10.82.1.1", "10.82.1.2", "10.82.1.3"] as const;

  test("two of ours call, exchange routes by it, and are forgotten when they leave", async () => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(
      BIRD,
      `
protocol bgp ranged from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor range ${host("10.82.1.0")}/24 internal;
  rr client; dynamic name "caller";
  ipv4 { igp table underlay; import all; export all; };
}
`,
    );
    const [a, b] = [await lab.speaker(A, 64512), await lab.speaker(B, 64512)];
    a.originate("10.1.2.0/24");
    b.originate("10.1.3.0/24");
    for (const live of [a, b]) live.join(BIRD, { as: 64512, port });
    await eventually(() => expect([...b.routes().keys()]).toEqual(["10.1.2.0/24", "10.1.3.0/24"]));
    await eventually(() => expect(a.routes().get("10.1.3.0/24")?.originatorId).toBe(B));
    const callers = async (): Promise<string[]> =>
      [...(await bird.ask("show protocols")).matchAll(/^(caller\d+) .*(Established|Passive)/gm)].map(
        ([, name, state]) => `${name} ${state}`,
      );
    expect((await callers()).sort()).toEqual(["caller1 Established", "caller2 Established"]);
    await a.stop();
    await eventually(async () => expect(await callers()).toHaveLength(1));
    await eventually(() => expect([...b.routes().keys()]).toEqual(["10.1.3.0/24"]));
  });

  test("of any other AS", async () => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(
      BIRD,
      `
protocol bgp ranged from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor range ${host("10.82.1.0")}/24 external;
  ipv4 { igp table underlay; import all; export all; };
}
`,
    );
    const live = await lab.speaker(A, 4200000001);
    live.originate("10.1.2.0/24");
    live.join(BIRD, { as: 64512, port });
    await eventually(async () =>
      expect((await bird.table()).get("10.1.2.0/24")?.attributes).toMatchObject({ as_path: "4200000001" }),
    );
  });
});

describe.skipIf(unavailable !== undefined)(`we take calls from a prefix${unavailable ?? ""}`, () => {
  const OURS = "10.82.2.1";
  // The first is named, the others are not; the last is outside the prefix.
  const ADDRS = ["10.82.2.2", "10.82.2.3", "10.82.2.4", "10.82.2.5", "10.82.3.6"] as const;
  const [NAMED, FIRST, SECOND, THIRD, OUTSIDE] = ADDRS;

  /** A daemon that calls us from `addr`. */
  const caller = async (addr: string, i: number, ourPort: number, as: number, line = ""): Promise<Bird> =>
    lab.bird(
      addr,
      `
ipv4 table t${i};
protocol static nets${i} { ipv4 { table t${i}; }; route 10.1.${i}.0/24 blackhole; }
protocol bgp p${i} from quick {
  local ${host(addr)} port ${await lab.port(addr)} as ${as}; source address ${host(addr)}; router id ${addr};
  neighbor ${host(OURS)} port ${ourPort} as 64512; ${line}
  ipv4 { table t${i}; igp table underlay; import all; export where source = RTS_STATIC; next hop address ${addr}; };
}
`,
    );

  test("as clients of a reflector; the named neighbour keeps its own configuration; the limit holds", async () => {
    const ours = await lab.speaker(OURS, 64512);
    ours.listen("10.82.2.0/24", { as: "internal", routes: { rrClient: true } }, 2);
    ours.join(NAMED, { as: 64512 });
    const birds = await Promise.all(
      [NAMED, FIRST, SECOND].map((addr, i) => caller(addr, i, ours.port, 64512)),
    );
    await eventually(() =>
      expect(ours.peers()).toMatchObject([
        { addr: NAMED, state: "Established", role: "internal" },
        { addr: FIRST, state: "Established", role: "rr-client", range: "10.82.2.0/24", passive: true },
        { addr: SECOND, state: "Established", role: "rr-client", range: "10.82.2.0/24", passive: true },
      ]),
    );
    await eventually(async () => {
      const routes = await birds[1]?.table("table t1 protocol p1");
      expect(routes?.get("10.1.2.0/24")?.attributes).toMatchObject({ originator_id: SECOND });
      expect(routes?.get("10.1.0.0/24")?.attributes).toMatchObject({ originator_id: NAMED });
    });
    await Promise.all([THIRD, OUTSIDE].map((addr, i) => caller(addr, 3 + i, ours.port, 64512)));
    await eventually(() => {
      const log = ours.logs.join("\n");
      expect(log).toMatch(/from 10\.82\.2\.5 closed/);
      expect(log).toMatch(/from 10\.82\.3\.6 closed/);
    });
    expect(ours.peers()).toHaveLength(3);
    // One leaves: nothing of it stays, and the next may come.
    await birds[2]?.ask("disable p2");
    await eventually(() =>
      expect(ours.peers().map((row) => `${row.addr} ${row.state}`)).toEqual(
        [NAMED, FIRST, THIRD].map((addr) => `${addr} Established`),
      ),
    );
    await eventually(() =>
      expect([...ours.routes().keys()]).toEqual(["10.1.0.0/24", "10.1.1.0/24", "10.1.3.0/24"]),
    );
  });

  test("of a set of ASs; who is of another is told so", async () => {
    const ours = await lab.speaker(OURS, 64512);
    ours.listen("10.82.2.0/24", { as: new Set([65001, 4200000002]) });
    const ases = [65001, 4200000002, 65003];
    const birds = await Promise.all(
      [FIRST, SECOND, THIRD].map((addr, i) => caller(addr, i, ours.port, ases[i] as number)),
    );
    await eventually(() => {
      expect(ours.established(FIRST) && ours.established(SECOND)).toBe(true);
      expect([...ours.routes().values()].map((row) => row.asPath)).toEqual(["65001", "4200000002"]);
    });
    await eventually(async () =>
      expect((await birds[2]?.protocol("p2"))?.info).toMatch(/Received: Bad peer AS/),
    );
    expect(ours.established(THIRD)).toBe(false);
  });

  test("a prefix that is taken back: its callers are told, and called neighbours stay", async () => {
    const ours = await lab.speaker(OURS, 64512);
    const range = ours.listen("10.82.2.0/24", { as: 64512 });
    ours.join(NAMED, { as: 64512 });
    const birds = await Promise.all([NAMED, FIRST].map((addr, i) => caller(addr, i, ours.port, 64512)));
    await eventually(() => expect(ours.established(NAMED) && ours.established(FIRST)).toBe(true));
    ours.change((speaker, now) => speaker.delRange(range, now));
    await eventually(async () =>
      expect((await birds[1]?.protocol("p1"))?.text).toMatch(/Received: Peer de-configured/),
    );
    await eventually(() => expect(ours.peers()).toMatchObject([{ addr: NAMED, state: "Established" }]));
    await eventually(() => expect([...ours.routes().keys()]).toEqual(["10.1.0.0/24"]));
  });

  test("a killed one is forgotten when its connection is lost, its routes with it", async () => {
    const ours = await lab.speaker(OURS, 64512);
    ours.listen("10.82.2.0/24", { as: 64512 });
    const bird = await caller(FIRST, 1, ours.port, 64512);
    await eventually(() => expect(ours.routes().size).toBe(1));
    await bird.kill();
    await eventually(() => expect(ours.peers()).toEqual([]));
    expect(ours.routes().size).toBe(0);
    await bird.restart();
    await eventually(() => expect(ours.routes().size).toBe(1));
  });
  test("a killed one that asks for its routes to be kept is remembered until they go", async () => {
    const ours = await lab.speaker(OURS, 64512);
    ours.listen("10.82.2.0/24", { as: 64512 });
    const bird = await caller(FIRST, 1, ours.port, 64512, "graceful restart; graceful restart time 3;");
    await eventually(() => expect(ours.routes().size).toBe(1));
    await bird.kill();
    await eventually(() => expect(ours.routes().get("10.1.1.0/24")?.stale).toBe(true));
    expect(ours.peers()).toHaveLength(1);
    await bird.restart({ recovering: true });
    await eventually(() => expect(ours.routes().get("10.1.1.0/24")?.stale).toBe(false));
    expect(ours.peers()).toMatchObject([{ established: 2, dropped: 1 }]);
    expect(ours.gone).toEqual([]);
    await bird.kill();
    await eventually(() => expect(ours.routes().get("10.1.1.0/24")?.stale).toBe(true));
    await eventually(() => expect(ours.peers()).toEqual([]));
    expect(ours.routes().size).toBe(0);
  });
});
