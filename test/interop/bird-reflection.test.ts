// Route reflection: BIRD as our client, and BIRD as our reflector.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { asBirdPrints } from "../support/bird-text.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const AS = 64512;

/** What a speaker has been told by another, as BIRD prints it. */
function told(live: LiveSpeaker, by: string): Record<string, Record<string, string>> {
  return Object.fromEntries(live.ribIn(by).map((row) => [row.prefix, asBirdPrints(row)]));
}

// Clients c1, c2: two faces of one daemon; others n1 (ours), n2 (BIRD).
describe.skipIf(unavailable !== undefined)(`we reflect${unavailable ?? ""}`, () => {
  const [OURS, C1, C2, N1, N2] = ["10.81.1.1", "10.81.1.2", "10.81.1.3", "10.81.1.4", "10.81.1.5"] as const;
  const CLUSTER = "10.81.1.99";
  const lab = new BirdLab();
  let ours: LiveSpeaker;
  let n1: LiveSpeaker;
  let bird: Bird;

  beforeAll(async () => {
    ours = await lab.speaker(OURS, AS, { clusterId: ipv4(CLUSTER) });
    n1 = await lab.speaker(N1, AS);
    const faces = [
      { name: "c1", addr: C1, net: "10.1.1.0/24" },
      { name: "c2", addr: C2, net: "10.1.2.0/24" },
      { name: "n2", addr: N2, net: "10.1.5.0/24" },
    ];
    const ports = await Promise.all(faces.map(({ addr }) => lab.port(addr)));
    // Each face names another port of ours, which it never dials: BIRD has one session an address and port.
    bird = await lab.bird(
      C1,
      faces
        .map(
          ({ name, addr, net }, i) => `
ipv4 table ${name};
protocol static nets_${name} {
  ipv4 { table ${name}; };
  route ${net} blackhole { bgp_med = 5; bgp_local_pref = 150; bgp_community.add((64512,1)); };
}
protocol bgp ${name}_up from quick {
  local ${host(addr)} port ${ports[i]} as ${AS}; neighbor ${host(OURS)} port ${i + 1} as ${AS}; passive; router id ${addr};
  ipv4 { table ${name}; igp table underlay; import all; export all; next hop address ${addr}; };
}`,
        )
        .join("\n"),
    );
    n1.originate("10.1.4.0/24", { med: 6, localPref: 160 });
    ours.originate("10.1.9.0/24");
    ours.join(N1, { as: AS });
    n1.join(OURS, { as: AS, port: ours.port });
    ours.join(C1, { as: AS, port: ports[0] as number, routes: { rrClient: true } });
    ours.join(C2, { as: AS, port: ports[1] as number, routes: { rrClient: true, nextHop: "self" } });
    ours.join(N2, { as: AS, port: ports[2] as number });
  });
  afterAll(() => lab.close());

  const has = async (name: string): Promise<Record<string, object>> => {
    const routes = await bird.routes(`table ${name} protocol ${name}_up`);
    return Object.fromEntries(routes.map((route) => [route.prefix, route.attributes]));
  };
  const local = { origin: "IGP", as_path: "", next_hop: OURS, local_pref: "100" };
  const reflected = (by: string) => ({
    origin: "IGP",
    as_path: "",
    next_hop: by,
    originator_id: by,
    cluster_list: CLUSTER,
  });
  const ofBird = { med: "5", local_pref: "150", community: "(64512,1)" };
  const ofN1 = { med: "6", local_pref: "160" };

  test("to a client, everything but its own, as it was", async () => {
    await eventually(async () =>
      expect(await has("c1")).toEqual({
        "10.1.2.0/24": { ...reflected(C2), ...ofBird },
        "10.1.4.0/24": { ...reflected(N1), ...ofN1 },
        "10.1.5.0/24": { ...reflected(N2), ...ofBird },
        "10.1.9.0/24": local,
      }),
    );
  });

  test("next-hop-self does not touch what is reflected", async () => {
    await eventually(async () =>
      expect(await has("c2")).toMatchObject({
        "10.1.1.0/24": { ...reflected(C1), ...ofBird },
        "10.1.4.0/24": { ...reflected(N1), ...ofN1 },
        "10.1.9.0/24": local,
      }),
    );
  });

  test("to others, what is ours and our clients' alone", async () => {
    const want = {
      "10.1.1.0/24": { ...reflected(C1), ...ofBird },
      "10.1.2.0/24": { ...reflected(C2), ...ofBird },
      "10.1.9.0/24": local,
    };
    await eventually(async () => expect(await has("n2")).toEqual(want));
    await eventually(() => expect(told(n1, OURS)).toEqual(want));
  });

  test("what a client takes back, all lose", async () => {
    await bird.ask("disable nets_c1");
    for (const name of ["c2", "n2"]) {
      await eventually(async () => expect(Object.keys(await has(name))).not.toContain("10.1.1.0/24"));
    }
    await eventually(() => expect(Object.keys(told(n1, OURS))).toEqual(["10.1.2.0/24", "10.1.9.0/24"]));
    await bird.ask("enable nets_c1");
    await eventually(() => expect(Object.keys(told(n1, OURS))).toHaveLength(3));
  });
});

// Ours a and b are clients of BIRD's r1; n is a common neighbour of r1; r2 reflects to a, too, and learns from r1.
describe.skipIf(unavailable !== undefined)(`BIRD reflects${unavailable ?? ""}`, () => {
  const [R1, R2, A, B, N] = ["10.81.2.1", "10.81.2.2", "10.81.2.3", "10.81.2.4", "10.81.2.5"] as const;
  const [CLUSTER1, CLUSTER2] = ["10.81.2.91", "10.81.2.92"] as const;
  const lab = new BirdLab();
  let a: LiveSpeaker;
  let b: LiveSpeaker;
  let n: LiveSpeaker;
  let bird: Bird;

  beforeAll(async () => {
    const [p1, p2] = [await lab.port(R1), await lab.port(R2)];
    a = await lab.speaker(A, AS);
    // Of the same cluster as r1: it must not believe what has been through it.
    n = await lab.speaker(N, AS, { clusterId: ipv4(CLUSTER1) });
    b = await lab.speaker(B, AS);
    bird = await lab.bird(
      R1,
      `
ipv4 table r1; ipv4 table r2;
protocol static nets { ipv4 { table r1; }; route 10.2.1.0/24 blackhole; }
template bgp group1 from quick {
  local ${host(R1)} port ${p1} as ${AS}; rr cluster id ${CLUSTER1};
  ipv4 { table r1; igp table underlay; import all; export all; next hop address ${R1}; };
}
template bgp group2 from quick {
  local ${host(R2)} port ${p2} as ${AS}; rr cluster id ${CLUSTER2}; router id ${R2};
  ipv4 { table r2; igp table underlay; import all; export all; next hop address ${R2}; };
}
protocol bgp a from group1 { neighbor ${host(A)} as ${AS}; rr client; passive; }
protocol bgp b from group1 { neighbor ${host(B)} as ${AS}; rr client; passive; }
protocol bgp n from group1 { neighbor ${host(N)} as ${AS}; passive; }
protocol bgp to_r2 from group1 { neighbor ${host(R2)} port ${p2} as ${AS}; }
protocol bgp to_r1 from group2 { neighbor ${host(R1)} port ${p1} as ${AS}; passive; }
protocol bgp a2 from group2 { neighbor ${host(A)} port 1 as ${AS}; rr client; passive; }
`,
    );
    a.originate("10.2.3.0/24", { med: 5, localPref: 150 });
    b.originate("10.2.4.0/24");
    n.originate("10.2.5.0/24");
    a.join(R1, { as: AS, port: p1 });
    a.join(R2, {
      as: AS,
      port: p2,
      routes: { exportPolicy: { name: "none", rules: [], default: "reject" } },
    });
    b.join(R1, { as: AS, port: p1 });
    n.join(R1, { as: AS, port: p1 });
  });
  afterAll(() => lab.close());

  const plain = { origin: "IGP", as_path: "", local_pref: "100" };
  const reflected = (by: string) => ({ ...plain, next_hop: by, originator_id: by, cluster_list: CLUSTER1 });

  test("a client has what the other client and the others have, and uses it", async () => {
    await eventually(() =>
      expect(told(b, R1)).toEqual({
        "10.2.1.0/24": { ...plain, next_hop: R1 },
        "10.2.3.0/24": { ...reflected(A), med: "5", local_pref: "150" },
        "10.2.5.0/24": reflected(N),
      }),
    );
    expect([...b.routes().keys()]).toEqual(["10.2.1.0/24", "10.2.3.0/24", "10.2.4.0/24", "10.2.5.0/24"]);
  });

  test("what comes back to its originator by another reflector is kept, and not used", async () => {
    await eventually(() => expect(Object.keys(told(a, R2))).toContain("10.2.3.0/24"));
    expect(told(a, R2)["10.2.3.0/24"]).toMatchObject({
      originator_id: A,
      cluster_list: `${CLUSTER2} ${CLUSTER1}`,
    });
    const paths = a.paths().filter((row) => row.prefix === "10.2.3.0/24");
    expect(paths).toMatchObject([
      { from: "local", chosen: "best" },
      { from: R2, chosen: "", why: expect.stringContaining("ORIGINATOR_ID") },
    ]);
  });

  test("what has been through our own cluster is kept, and not used", async () => {
    await eventually(() => expect(Object.keys(told(n, R1))).toContain("10.2.4.0/24"));
    const paths = n.paths().filter((row) => row.prefix === "10.2.4.0/24");
    expect(paths).toMatchObject([
      { from: R1, chosen: "", why: expect.stringMatching(/cluster|CLUSTER_LIST/i) },
    ]);
    expect(n.routes().has("10.2.1.0/24")).toBe(true);
  });

  test("when a client is gone, the other clients lose its routes", async () => {
    await a.stop();
    await eventually(() => expect(Object.keys(told(b, R1))).toEqual(["10.2.1.0/24", "10.2.5.0/24"]));
    expect((await bird.protocol("a")).info).toMatch(/Administrative shutdown/);
  });
});
