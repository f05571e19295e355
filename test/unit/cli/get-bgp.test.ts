// `get bgp` and `birdc` against the sockets of speakers that answer what each test wants: which speaker is asked, for what, and what is
// shown of the answer.
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import { familyRow, peerRow, routeRow } from "../../support/birdc-scene.ts";
import { FakeSpeakers, rows } from "../../support/fake-speakers.ts";

let speakers: FakeSpeakers;
beforeEach(async () => {
  speakers = await FakeSpeakers.start("a");
});
afterEach(() => speakers.dispose());

const PEERS = [
  peerRow("up", "10.0.0.2", "64513", {
    state: "Established",
    sinceSec: 61.25,
    families: [
      familyRow({ received: 3, accepted: 2, advertised: 1 }),
      familyRow({ family: "IPv6 unicast", received: 1, accepted: 1, advertised: 4 }),
    ],
    lastDown: "ended by us: Cease",
    holdTimeSec: 90,
    capabilities: ["IPv4 unicast", "4-octet AS"],
    messagesIn: { OPEN: 1, KEEPALIVE: 4 },
  }),
  peerRow("away", "10.0.0.3", "64512", {
    lastDown: "ended by the neighbour: Cease/Administrative Shutdown: back at\u001b[2J ten",
    fault: { by: "connection", message: "nobody listens (ECONNREFUSED)" },
  }),
  peerRow("off", "10.0.0.4", "64512", { enabled: false, state: "Idle", lastDown: "ended by us: Cease" }),
];
const ROUTES = [
  routeRow("10.1.0.0/16", {
    from: "up",
    nextHop: "10.0.0.2",
    asPath: "64513",
    ageSec: 3,
    why: "decided by MED",
  }),
  routeRow("10.1.0.0/16", { from: "away", chosen: "", nextHop: "10.0.0.3", med: 7, ageSec: 3, why: "MED 7" }),
];

describe("which speaker", () => {
  const PEER_TABLE = /^NAME +NEIGHBOR/;
  beforeEach(() => {
    speakers.answers = { "bgp-peers": rows(PEERS) };
  });

  test("the only one that runs; what others have left behind does not count", async () => {
    speakers.leave("dead");
    expect(await speakers.podloom("get", "bgp", "peers")).toBe(0);
    expect(speakers.out).toMatch(PEER_TABLE);
  });

  test("several: the one that is named, by flag or variable", async () => {
    await speakers.listen("b", join(speakers.root, "podloom/bgp/b.sock"));
    expect(await speakers.podloom("get", "bgp", "peers")).toBe(2);
    expect(speakers.err).toMatch(/several speakers run: a, b \[PL_AMBIGUOUS_SPEAKER\]\n.*--speaker NAME/);
    expect(await speakers.podloom("get", "bgp", "peers", "--speaker", "b")).toBe(0);
    speakers.env.PODLOOM_SPEAKER = "b";
    expect(await speakers.podloom("get", "bgp", "peers")).toBe(0);
    expect(await speakers.podloom("get", "bgp", "peers", "--speaker", "a")).toBe(0);
    speakers.env.PODLOOM_SPEAKER = "";
    speakers.env.PODLOOM_GET_BGP_SPEAKER = "b";
    expect(await speakers.podloom("get", "bgp", "peers")).toBe(0);
    expect(speakers.asked.map((asked) => asked[0]).join("")).toBe("bbab");
  });

  test("a socket anywhere", async () => {
    const path = join(speakers.root, "elsewhere");
    await speakers.listen("c", path);
    speakers.env.PODLOOM_SPEAKER = "a";
    expect(await speakers.podloom("get", "bgp", "peers", "--socket", path)).toBe(0);
    expect(speakers.asked[0]).toMatch(/^c /);
    expect(await speakers.podloom("get", "bgp", "peers", "--socket", path, "--speaker", "a")).toBe(2);
    expect(speakers.err).toContain("exclude each other");
    expect(await speakers.podloom("get", "bgp", "peers", "--socket", `${path}x`)).toBe(5);
    expect(speakers.err).toContain("PL_SOCKET_GONE");
  });

  test("one that does not run: the nearest name, or how to start one", async () => {
    await speakers.listen("edge", join(speakers.root, "podloom/bgp/edge.sock"));
    expect(await speakers.podloom("get", "bgp", "peers", "--speaker", "egde")).toBe(1);
    expect(speakers.err).toMatch(
      /no speaker "egde" runs; there are a, edge \[PL_NO_SPEAKER\]\n {2}Did you mean "edge"\?/,
    );
    expect(await speakers.podloom("get", "bgp", "peers", "--speaker", "../lab")).toBe(2);
    expect(speakers.err).toContain("cannot be a speaker's name");
    await speakers.dispose();
    for (const argv of [
      ["get", "bgp", "peers"],
      ["birdc", "show", "status"],
      ["get", "bgp", "peers", "--speaker", "a"],
    ]) {
      expect(await speakers.podloom(...argv)).toBe(1);
      expect(speakers.err).toMatch(/\[PL_NO_SPEAKER\]\n {2}Start one with: podloom bgp -f FILE/);
    }
  });
});

describe("tables", () => {
  test("peers: the counts of all families, and why there is no session", async () => {
    speakers.answers = { "bgp-peers": rows(PEERS) };
    await speakers.podloom("get", "bgp", "peers");
    expect(speakers.out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["NAME", "NEIGHBOR", "AS", "ROLE", "STATE", "FOR", "RECEIVED", "ACCEPTED", "ADVERTISED", "REASON"],
      ["up", "10.0.0.2", "64513", "external", "Established", "61s", "4", "3", "5"],
      [
        "away",
        "10.0.0.3",
        "64512",
        "internal",
        "Active",
        "0s",
        "0",
        "0",
        "0",
        "ended by the neighbour: Cease/Administrative Shutdown: back at?[2J ten; now: nobody listens (ECONNREFUSED)",
      ],
      ["off", "10.0.0.4", "64512", "internal", "Disabled", "0s", "0", "0", "0"],
      [""],
    ]);
    await speakers.podloom("get", "bgp", "peers", "-o", "wide");
    expect(speakers.out).toMatch(/ 90s .* IPv4 unicast; 4-octet AS/);
    await speakers.podloom("get", "bgp", "peer", "10.0.0.4");
    expect(speakers.out).toMatch(/^NAME.*\noff .*\n$/);
  });

  test("routes: all, one prefix, the longest one to an address", async () => {
    speakers.answers = { "bgp-routes": rows(ROUTES) };
    await speakers.podloom("get", "bgp", "routes");
    expect(speakers.out).toMatch(
      /^PREFIX +CHOSEN +FROM +NEXT-HOP +AS-PATH +LOCAL-PREF +MED +ORIGIN +AGE\n10\.1\.0\.0\/16 +best +up +10\.0\.0\.2 +64513 +- +- +IGP +3s\n10\.1\.0\.0\/16 +- +away +10\.0\.0\.3 +- +- +7 +IGP +3s\n$/,
    );
    await speakers.podloom("get", "bgp", "routes", "10.1.0.0/16", "-o", "wide");
    expect(speakers.out).toMatch(/decided by MED\n.*MED 7\n$/);
    await speakers.podloom("get", "bgp", "route", "10.1.2.3");
    expect(speakers.asked).toEqual([
      "a bgp-routes {}",
      'a bgp-routes {"prefix":"10.1.0.0/16","longest":false}',
      'a bgp-routes {"prefix":"10.1.2.3","longest":true}',
    ]);
  });

  test("what a neighbour told and is told; JSON and YAML are the rows as they are", async () => {
    speakers.answers = { "bgp-rib-in": rows(ROUTES), "bgp-rib-out": rows(ROUTES) };
    expect(await speakers.podloom("get", "bgp", "rib-in", "up", "-o", "json")).toBe(0);
    expect(JSON.parse(speakers.out)).toEqual({ items: ROUTES });
    expect(await speakers.podloom("get", "bgp", "rib-out", "10.0.0.2", "-o", "yaml")).toBe(0);
    expect(parse(speakers.out)).toEqual({ items: ROUTES });
    expect(speakers.asked).toEqual([
      'a bgp-rib-in {"neighbor":"up"}',
      'a bgp-rib-out {"neighbor":"10.0.0.2"}',
    ]);
  });

  test("flags may stand before the noun, and in variables", async () => {
    speakers.answers = { "bgp-routes": rows([]) };
    for (const argv of [
      ["get", "-o", "json", "bgp", "routes"],
      ["get", "bgp", "-o", "json", "routes"],
    ]) {
      expect(await speakers.podloom(...argv)).toBe(0);
      expect(JSON.parse(speakers.out)).toEqual({ items: [] });
    }
    for (const variable of ["PODLOOM_GET_OUTPUT", "PODLOOM_GET_BGP_OUTPUT"]) {
      speakers.env[variable] = "yaml";
      await speakers.podloom("get", "bgp", "routes");
      expect(speakers.out).toBe("items: []\n");
      delete speakers.env[variable];
    }
  });

  test("nothing: a table says so on stderr; one route that is not there is exit code 1", async () => {
    speakers.answers = { "bgp-routes": rows([]), "bgp-peers": rows([]), "bgp-rib-in": rows([]) };
    const said: readonly (readonly [readonly string[], number, string])[] = [
      [["routes"], 0, "no routes\n"],
      [["routes", "10.0.0.0/8"], 1, "no routes to 10.0.0.0/8\n"],
      [["peers"], 0, "no neighbors\n"],
      [["rib-in", "up"], 0, "up has told us nothing\n"],
    ];
    for (const [argv, code, text] of said) {
      expect(await speakers.podloom("get", "bgp", ...argv)).toBe(code);
      expect([speakers.out, speakers.err]).toEqual(["", text]);
    }
  });

  test("an unknown neighbour is refused by the speaker, and so when one row was asked for", async () => {
    speakers.answers = {
      "bgp-peers": rows(PEERS),
      "bgp-rib-in": () => {
        throw new PodloomError("PL_BGP_NEIGHBOR", 'there is no neighbor "upp"', {
          remedy: 'Did you mean "up"?',
        });
      },
    };
    for (const noun of ["rib-in", "peers"]) {
      expect(await speakers.podloom("get", "bgp", noun, "upp")).toBe(1);
      expect(speakers.err).toBe(
        'error: there is no neighbor "upp" [PL_BGP_NEIGHBOR]\n  Did you mean "up"?\n',
      );
    }
  });
});

describe("explain", () => {
  const EXPLANATION = {
    prefix: "10.1.0.0/16",
    paths: ROUTES,
    told: [{ neighbor: "off", addr: "10.0.0.4", why: "refused by rule 3" }],
  };
  beforeEach(() => {
    speakers.answers = { "bgp-explain": () => EXPLANATION };
  });

  test("the paths with their reasons, then who is told", async () => {
    expect(await speakers.podloom("get", "bgp", "explain", "10.1.0.0/16")).toBe(0);
    expect(speakers.out).toBe(`10.1.0.0/16

CHOSEN   FROM   NEXT-HOP   AS-PATH   LOCAL-PREF   MED   WHY
best     up     10.0.0.2   64513     -            -     decided by MED
-        away   10.0.0.3   -         -            7     MED 7

NEIGHBOR   ADDRESS    IS TOLD
off        10.0.0.4   refused by rule 3
`);
    await speakers.podloom("get", "bgp", "explain", "10.1.2.3", "off", "-o", "wide");
    expect(speakers.out).toMatch(/CLUSTERS/);
    expect(speakers.asked[1]).toBe('a bgp-explain {"prefix":"10.1.2.3","neighbor":"off"}');
  });

  test("as JSON and as YAML", async () => {
    await speakers.podloom("get", "bgp", "explain", "10.1.0.0/16", "-o", "json");
    expect(JSON.parse(speakers.out)).toEqual(EXPLANATION);
    await speakers.podloom("get", "bgp", "explain", "10.1.0.0/16", "-o", "yaml");
    expect(parse(speakers.out)).toEqual(EXPLANATION);
  });
});

describe("usage", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["get", "bgp", "routs"], /does not know "routs" [^]*Did you mean "routes"\?/],
    [["get", "bgp", "x"], /It knows: peers, routes, rib-in, rib-out, explain\./],
    [["get", "bgp", "rib-in"], /`get bgp rib-in` needs NEIGHBOR [^]*podloom get bgp rib-in NEIGHBOR/],
    [["get", "bgp", "rib-in", "a", "b"], /takes no "b" /],
    [["get", "bgp", "explain"], /needs PREFIX /],
    [["get", "bgp", "explain", "1.1.1.1", "n", "m"], /takes no "m" /],
    [["get", "bgp", "explain", "1.1.1.1", "-w"], /-w does not go with it/],
    [["get", "bgp", "peers", "-o", "xml"], /-o does not take "xml"/],
    [["get", "bgp"], /missing required argument 'what'/],
    [["get", "bgb"], /`get` does not know "bgb" [^]*Did you mean "bgp"\?/],
    [["get", "pods", "bgp"], /`get pods` takes no "bgp"/],
    [["birdc"], /missing required argument 'command'/],
  ];
  test.each(cases)("%j", async (argv, said) => {
    expect(await speakers.podloom(...argv)).toBe(2);
    expect(speakers.err).toMatch(said);
    expect(speakers.asked).toEqual([]);
  });

  test("help names all of it", async () => {
    await speakers.podloom("--help");
    expect(speakers.out).toMatch(/^ {2}bgp +run a BGP speaker/m);
    expect(speakers.out).toMatch(/^ {2}birdc /m);
    await speakers.podloom("get", "bgp", "--help");
    expect(speakers.out).toMatch(/explain PREFIX \[NEIGHBOR\]/);
    await speakers.podloom("birdc", "--help");
    expect(speakers.out).toMatch(/reload \[in \| out\] NAME/);
  });

  test("completion", async () => {
    const complete = async (...words: string[]): Promise<string> => {
      await speakers.podloom("__complete", "--", ...words);
      return speakers.out.trim().split("\n").join(" ");
    };
    expect(await complete("b")).toBe("birdc bgp");
    expect(await complete("get", "b")).toBe("bgp bgpconfiguration bgppeer bgpfilter");
    expect(await complete("get", "bgp", "r")).toBe("routes rib-in rib-out");
    expect(await complete("get", "-o", "json", "bgp", "e")).toBe("explain");
    expect(await complete("get", "bgp", "peers", "--so")).toBe("--socket");
    expect(await complete("get", "bgp", "peers", "-o", "w")).toBe("wide");
    expect(await complete("get", "bgp", "--speaker", "")).toBe("a");
    expect(await complete("birdc", "--speaker", "a", "")).toBe(
      "show enable disable restart reload configure",
    );
    expect(await complete("birdc", "show", "")).toBe("status protocols route");
    expect(await complete("birdc", "enable", "")).toBe("");
  });
});

describe("-w", () => {
  /** Watches while the speaker answers with `looks`, one after the other; then it ends. */
  async function watch(
    noun: string,
    looks: readonly (readonly unknown[])[],
    ...flags: string[]
  ): Promise<number> {
    let next = 0;
    speakers.answers = {
      [`bgp-${noun}`]: (args, request) => {
        const look = looks[next++];
        if (look === undefined) speakers.hangUp();
        return look === undefined ? undefined : rows(look)?.(args, request);
      },
    };
    return speakers.podloom("get", "bgp", noun, "-w", ...flags);
  }

  test("what changes and what goes, not what only grows older", async () => {
    const [up, away] = PEERS as [(typeof PEERS)[0], (typeof PEERS)[0]];
    const older = { ...up, sinceSec: 99, messagesIn: { OPEN: 9 } };
    const down = { ...up, state: "Idle" };
    expect(await watch("peers", [[up, away], [older, away], [down, away], [down]], "-o", "json")).toBe(0);
    const said = speakers.out.trim().split("\n");
    expect(said.map((line) => JSON.parse(line) as unknown)).toEqual([up, away, down, { removed: away }]);
    expect(speakers.err).toBe('speaker "a" has ended\n');
  }, 15_000);

  test("paths of one prefix are told apart by who told them, in a table", async () => {
    const [best, other] = ROUTES;
    await watch("routes", [
      ROUTES,
      [
        { ...best, chosen: "" },
        { ...other, chosen: "best" },
      ],
      [best],
    ]);
    expect(speakers.out.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ["PREFIX", "CHOSEN", "FROM"],
      ["10.1.0.0/16", "best", "up"],
      ["10.1.0.0/16", "-", "away"],
      ["10.1.0.0/16", "-", "up"],
      ["10.1.0.0/16", "best", "away"],
      ["- 10.1.0.0/16", "best", "away"],
      ["10.1.0.0/16", "best", "up"],
      [""],
    ]);
  }, 15_000);

  test("a path that goes is not taken for one that changes", async () => {
    const [best, other] = ROUTES;
    const changed = { ...other, chosen: "best", why: "the only eligible path" };
    await watch("routes", [ROUTES, [changed]], "-o", "json");
    const said = speakers.out.trim().split("\n");
    expect(said.slice(2).map((line) => JSON.parse(line) as unknown)).toEqual([{ removed: best }, changed]);
  }, 15_000);

  test("YAML is one document a look", async () => {
    await watch("routes", [ROUTES, []], "-o", "yaml");
    expect(parseAllDocuments(speakers.out).map((document) => document.toJS() as unknown)).toEqual([
      { items: ROUTES },
      { items: [], removed: ROUTES },
    ]);
  }, 15_000);
});

describe("birdc", () => {
  test("its text and its exit code are the speaker's; all words are passed on as they are", async () => {
    speakers.answers = {
      birdc: (_, request) => {
        request.chunk("stdout", "podloom ready.\n");
        request.chunk("stdout", "bee: disabled\n");
        return { exitCode: 1 };
      },
    };
    expect(await speakers.podloom("birdc", "disable", "bee", "gone for lunch", "-o", "--speaker")).toBe(1);
    expect([speakers.out, speakers.err]).toEqual(["podloom ready.\nbee: disabled\n", ""]);
    await speakers.podloom("birdc", "--speaker", "a", "--", "show", "status");
    expect(speakers.asked).toEqual([
      'a birdc {"argv":["disable","bee","gone for lunch","-o","--speaker"]}',
      'a birdc {"argv":["show","status"]}',
    ]);
  });
});
