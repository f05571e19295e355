// What the files of BIRD's do not show: command lines that make no sense, times, large tables, and what we know better.
import { describe, expect, test } from "vitest";
import { shortTime } from "../../../../src/console/birdc/bird-time.ts";
import { runBirdc } from "../../../../src/console/birdc/birdc-command.ts";
import { BirdcScene, CAPABILITIES, familyRow, peerRow, routeRow } from "../../../support/birdc-scene.ts";

interface Ran {
  readonly lines: readonly string[];
  readonly pieces: readonly string[];
  readonly exitCode: number;
}

/** Runs a command; its lines without the greeting. */
async function birdc(argv: readonly string[], scene = new BirdcScene()): Promise<Ran> {
  const command = runBirdc(argv, scene);
  const pieces: string[] = [];
  for (;;) {
    const { done, value } = await command.next();
    if (done === true) {
      const [greeting, ...lines] = pieces.join("").split("\n");
      expect(greeting).toBe("podloom 2.0.12 ready.");
      expect(lines.pop()).toBe("");
      return { lines, pieces, exitCode: value };
    }
    pieces.push(value);
  }
}

describe("words", () => {
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /^No such command\. There are:/],
    [["show", "bogus"], /^No such command\. There are:\n {2}show status\n {2}show protocols\n/],
    [["re", "p2"], /^Ambiguous command, possible expansions are:\n {2}restart\n {2}reload$/],
    [["show", "status", "all"], /^syntax error, unexpected all, expecting the end$/],
    [["show", "protocols", "p2", "p3"], /^syntax error, unexpected p3, expecting the end$/],
    [["show", "protocols", "shot"], /^syntax error, no protocol shot: did you mean shut\?$/],
    [["show", "route", "protocol", "nosuch"], /^syntax error, no protocol nosuch: there are static1, p2, /],
    [["show", "route", "protocol"], /^syntax error, unexpected the end, expecting the name of a protocol$/],
    [["show", "route", "for", "p2"], /^syntax error, unexpected p2, expecting an address or a prefix$/],
    [["show", "route", "table", "t7"], /expecting master4, master6 or all$/],
    [["show", "route", "nosuch"], /^syntax error, unexpected nosuch, expecting a prefix, for ADDRESS, all, /],
    [["show", "route", "constructor"], /^syntax error, unexpected constructor/],
    [
      ["show", "route", "10.60.1.0/16"],
      /^Invalid prefix 10\.60\.1\.0\/16: .* the prefix is 10\.60\.0\.0\/16$/,
    ],
    [["show", "route", "10.60.1.1"], /for an address write: for 10\.60\.1\.1$/],
    [["disable"], /^syntax error, unexpected the end, expecting a protocol, a pattern in quotes, or all$/],
    [
      ["disable", "p2", "gone", "away"],
      /^syntax error, unexpected away, expecting the end: a text of several/,
    ],
    [["disable", "static1"], /^static1: these are our own networks, which always stay$/],
    [["restart", "nosuch"], /^syntax error, no protocol nosuch/],
    [["reload", "in"], /^syntax error, unexpected the end/],
    [["reload", "in", "p2", "p3"], /^syntax error, unexpected p3/],
    [["configure", "undo"], /^syntax error, unexpected undo, expecting check, soft or the end$/],
  ];
  test.each(refusals)("%j is refused", async (argv, said) => {
    const scene = new BirdcScene();
    const { lines, exitCode } = await birdc(argv, scene);
    expect(lines.join("\n")).toMatch(said);
    expect(exitCode).toBe(1);
    expect(scene.asked).toEqual([]);
  });

  test("a command may be cut short, and be one argument or several", async () => {
    const want = (await birdc(["show protocols all p2"])).lines;
    expect(want[1]).toMatch(/^p2 /);
    expect((await birdc(["sh", "pro", "all", "p2"])).lines).toEqual(want);
    expect((await birdc(["sh", "pro all", "p2"])).exitCode).toBe(1);
  });

  test("a text is one argument of the shell, or stands in quotes; a single word needs none", async () => {
    const scene = new BirdcScene();
    await birdc(["disable", "p2", "gone for lunch"], scene);
    await birdc(['disable p3 "back at ten"'], scene);
    await birdc(["restart", "ib", "hello"], scene);
    await birdc(["restart", "gr"], scene);
    expect(scene.asked.map(({ verb, text }) => [verb, text])).toEqual([
      ["shutdown", "gone for lunch"],
      ["shutdown", "back at ten"],
      ["reset", "hello"],
      ["reset", undefined],
    ]);
  });

  test("patterns need no quotes, and match from end to end", async () => {
    const names = async (pattern: string) =>
      (await birdc(["show", "protocols", pattern])).lines.slice(1).map((line) => line.split(" ")[0]);
    expect(await names("p*")).toEqual(["p2", "p3"]);
    expect(await names("p?")).toEqual(["p2", "p3"]);
    expect(await names("*a*")).toEqual(["static1", "badas", "many", "asleep"]);
    expect(await names("*as*s*")).toEqual(["badas", "asleep"].filter((name) => /as.*s/.test(name)));
    expect((await birdc(["show", "protocols", "?"])).lines).toEqual(["No protocols match"]);
    const stars = "*a".repeat(2000);
    expect((await birdc(["show", "protocols", stars])).exitCode).toBe(1);
  });

  test("all: every neighbour, and not our networks", async () => {
    const scene = new BirdcScene();
    const { lines, exitCode } = await birdc(["disable", "all"], scene);
    expect(exitCode).toBe(0);
    expect(lines).toHaveLength(scene.peerRows.length);
    expect(lines.at(-1)).toBe("asleep: already disabled");
    expect(scene.asked).toHaveLength(scene.peerRows.length - 1);
  });

  test("a reload of one that is not up says so", async () => {
    const scene = new BirdcScene();
    expect((await birdc(["reload", "shut"], scene)).lines).toEqual(["shut: not up"]);
    expect(scene.asked).toEqual([]);
  });
});

describe("configure", () => {
  test("what is wrong with the file is said, and the exit code is 1", async () => {
    const scene = new BirdcScene();
    scene.report = "a.yaml:3:7: as must be a number";
    const { lines, exitCode } = await birdc(["configure"], scene);
    expect(lines).toEqual(["Reading configuration from a.conf", "a.yaml:3:7: as must be a number"]);
    expect(exitCode).toBe(1);
  });

  test("what needs a restart is not passed over", async () => {
    const scene = new BirdcScene();
    scene.report = { changes: ["neighbor p9 added"], needRestart: ["as 64513 instead of 64512"] };
    expect((await birdc(["configure"], scene)).lines.slice(1)).toEqual([
      "Needs a restart: as 64513 instead of 64512",
      "Reconfigured",
    ]);
  });
});

describe("times", () => {
  const scene = new BirdcScene();
  const now = Date.UTC(2024, 1, 29, 12, 0, 0, 7);

  test("today's by the clock of the place, what is more than 20 hours old by its date", () => {
    expect(shortTime(now, now, scene)).toBe("12:00:00.007");
    expect(shortTime(now - 20 * 3_600_000, now, scene)).toBe("16:00:00.007");
    expect(shortTime(now - 20 * 3_600_000 - 1, now, scene)).toBe("2024-02-28");
    const east = new BirdcScene();
    east.offsetMin = 330;
    expect(shortTime(now, now, east)).toBe("17:30:00.007");
    east.offsetMin = -13 * 60;
    expect(shortTime(now, now, east)).toBe("23:00:00.007");
  });

  test("dates are those of the calendar", () => {
    const later = Date.UTC(2999, 0, 1);
    for (let year = 1970; year < 2410; year += 1) {
      for (const [month, day] of [
        [0, 1],
        [1, 28],
        [2, 1],
        [11, 31],
      ] as const) {
        const at = Date.UTC(year, month, day, 23, 59);
        expect(shortTime(at, later, scene)).toBe(new Date(at).toISOString().slice(0, 10));
      }
    }
    expect(shortTime(Date.UTC(2024, 1, 29), later, scene)).toBe("2024-02-29");
  });
});

describe("show status", () => {
  test("a restart and an end are told", async () => {
    const scene = new BirdcScene();
    const ends = async (phase: typeof scene.statusRow.phase) => {
      scene.statusRow = { ...scene.statusRow, phase };
      return (await birdc(["show", "status"], scene)).lines.slice(6);
    };
    expect(await ends("restarting")).toEqual([
      "Graceful restart recovery in progress",
      "Daemon is up and running",
    ]);
    expect(await ends("stopping")).toEqual(["Shutdown in progress"]);
  });
});

describe("show protocols", () => {
  const info = async (given: Parameters<typeof peerRow>[3]): Promise<string> => {
    const scene = new BirdcScene();
    scene.peerRows = [peerRow("x", "10.0.0.2", "64513", { passive: false, ...given })];
    const { lines } = await birdc(["show", "protocols", "x"], scene);
    return (lines[1] ?? "").slice(33);
  };
  const fault = (by: "us" | "neighbor", code: number, subcode: number) => ({
    by,
    code,
    subcode,
    message: "",
  });

  test("each state and each kind of fault", async () => {
    expect(await info({ state: "Connect" })).toMatch(/^start  [\d:.]{12}  Connect {7}$/);
    expect(await info({ state: "OpenSent" })).toMatch(/^start .* OpenSent {6}$/);
    expect(await info({ state: "Active" })).toMatch(/ Active {8}$/);
    expect(await info({ state: "Active", passive: true })).toMatch(/ Passive {7}$/);
    const words: readonly (readonly [number, number, string])[] = [
      [1, 1, "Connection not synchronized"],
      [2, 7, "Required capability missing"],
      [3, 11, "Malformed AS_PATH"],
      [5, 3, "Unexpected message in Established state"],
      [6, 7, "Connection collision resolution"],
      [7, 1, "Invalid ROUTE-REFRESH message length"],
      [8, 0, "Send hold timer expired"],
      [9, 4, "Unknown error 9.4"],
      [2, 99, "Unknown error 2.99"],
    ];
    for (const [code, subcode, text] of words) {
      expect(await info({ fault: fault("neighbor", code, subcode) })).toMatch(
        new RegExp(`Active {8}Received: ${text}$`),
      );
      expect(await info({ fault: fault("us", code, subcode) })).toMatch(
        new RegExp(`Active {8}BGP Error: ${text}$`),
      );
    }
  });

  test("what somebody here wanted is no fault; a limit and a lost path are", async () => {
    for (const subcode of [2, 3, 4, 6, 9])
      expect(await info({ fault: fault("us", 6, subcode) })).toMatch(/Active {8}$/);
    expect(await info({ fault: fault("us", 6, 10) })).toMatch(/Error: BFD session down$/);
    const limit = { state: "Idle", fault: fault("us", 6, 1) } as const;
    expect(await info(limit)).toMatch(/^down .* {2}Automatic shutdown: Route limit exceeded$/);
    expect(await info({ ...limit, backOffSec: 3 })).toMatch(/^start .* Idle {10}Automatic shutdown: /);
    expect(await info({ fault: { by: "restart", message: "" } })).toMatch(/Error: Graceful restart$/);
    const connection = { by: "connection", text: "no such thing", message: "" } as const;
    expect(await info({ fault: connection })).toMatch(/Socket: no such thing$/);
    expect(await info({ enabled: false, fault: connection })).toMatch(/^down .* {2}$/);
  });

  test("a neighbour's text does not write on our terminal what it likes", async () => {
    const scene = new BirdcScene();
    const text = "a\u001b[2Jb\nc\u202ed";
    scene.peerRows = [peerRow("x", "10.0.0.2", "64513", { downText: text })];
    const { lines } = await birdc(["show", "protocols", "all", "x"], scene);
    expect(lines[2]).toBe("  Message:        a?[2Jb?c?d");
  });

  test("a restarting neighbour's capability, a host name, and a channel that it does not speak", async () => {
    const scene = new BirdcScene();
    const gracefulRestart = {
      restartTimeSec: 90,
      restarting: true,
      families: ["IPv4 unicast", "L2VPN EVPN"],
      preserved: ["IPv4 unicast"],
    };
    scene.peerRows = [
      peerRow("x", "10.0.0.2", "64513", {
        state: "Established",
        port: 1790,
        heard: { ...CAPABILITIES, gracefulRestart },
        families: [familyRow(), familyRow({ family: "IPv6 unicast" })],
      }),
    ];
    const text = (await birdc(["show", "protocols", "all", "x"], scene)).lines.join("\n");
    expect(text).toContain("    Neighbor port:    1790\n");
    expect(text).toContain(
      "        Restart time: 90\n        Restart recovery\n        AF supported: ipv4 L2VPN EVPN\n        AF preserved: ipv4\n",
    );
    expect(text).toMatch(/Channel ipv4\n {4}State: {10}UP\n[^]*Channel ipv6\n {4}State: {10}DOWN\n/);
  });
});

describe("show route", () => {
  const scene = (...rows: readonly ReturnType<typeof routeRow>[]) => {
    const made = new BirdcScene();
    made.routeRows = rows;
    return made;
  };
  const learnt = {
    from: "p2",
    fromAddr: "10.0.0.2",
    source: "external",
    nextHop: "10.0.0.2",
    ageSec: 0,
  } as const;

  test("who told it is not said twice, and the way's metric is told", async () => {
    const made = scene(
      routeRow("10.1.0.0/16", { ...learnt, asPath: "64513 {64514}", metric: 20 }),
      routeRow("10.2.0.0/16", { ...learnt, asPath: "(65001) 64513", origin: "" }),
    );
    const { lines } = await birdc(["show", "route"], made);
    expect(lines).toEqual([
      "Table master4:",
      "10.1.0.0/16          unicast [p2 16:01:14.663] * (100/20) [i]",
      "\tvia 10.0.0.2",
      "10.2.0.0/16          unicast [p2 16:01:14.663] * (100) [AS64513]",
      "\tvia 10.0.0.2",
    ]);
  });

  test("what shares the load is not primary", async () => {
    const made = scene(
      routeRow("10.1.0.0/16", learnt),
      routeRow("10.1.0.0/16", { ...learnt, from: "p3", chosen: "multipath" }),
    );
    expect((await birdc(["show", "route"], made)).lines.map((line) => line.includes(" * "))).toEqual([
      false,
      true,
      false,
      false,
      false,
    ]);
    expect((await birdc(["show", "route", "primary"], made)).lines).toHaveLength(3);
  });

  test("before a choice is made there is no best", async () => {
    const made = scene(routeRow("10.1.0.0/16", { ...learnt, chosen: "" }));
    expect((await birdc(["show route primary"], made)).lines).toEqual([]);
    expect((await birdc(["show route primary count"], made)).lines[0]).toBe(
      "0 of 1 routes for 1 networks in table master4",
    );
  });

  test("LOCAL_PREF has its default in the table, and not where it is not told", async () => {
    const made = scene(routeRow("10.1.0.0/16", learnt));
    expect((await birdc(["show route all"], made)).lines).toContain("\tBGP.local_pref: 100");
    const told = await birdc(["show route all export p3"], made);
    expect(told.lines).toContain("\tBGP.next_hop: 10.0.0.2");
    expect(told.lines.join()).not.toContain("local_pref");
    expect((await birdc(["show route export p3 10.1.0.0/16"], made)).lines).toHaveLength(3);
    expect((await birdc(["show route export p3 for 10.9.9.9"], made)).lines).toEqual(["Network not found"]);
  });

  test("our own networks have the attributes that they were given", async () => {
    const made = scene(routeRow("10.1.0.0/16", { med: 7, localPref: 200 }));
    expect((await birdc(["show route all"], made)).lines.slice(2)).toEqual([
      "\tType: static univ",
      "\tBGP.med: 7",
      "\tBGP.local_pref: 200",
    ]);
  });

  test("times stay what they are while a large table is printed", async () => {
    let asked = 0;
    const made = scene(
      routeRow("10.1.0.0/16", { ...learnt, ageSec: 60 }),
      routeRow("10.2.0.0/16", { ...learnt, ageSec: 61 }),
    );
    const { at } = made.statusRow;
    made.now = () => at + 1000 * asked++;
    const { lines } = await birdc(["show", "route"], made);
    expect(lines.filter((line) => line.includes("[p2 16:00:14.663]"))).toHaveLength(2);
  });

  test("a large table comes in pieces, each line whole", async () => {
    const rows = Array.from({ length: 2000 }, (_, i) => routeRow(`10.${i >> 8}.${i & 255}.0/24`, learnt));
    const { pieces, lines } = await birdc(["show", "route"], scene(...rows));
    expect(lines).toHaveLength(1 + 2 * 2000);
    expect(pieces.length).toBeGreaterThan(5);
    for (const piece of pieces) {
      expect(piece.endsWith("\n")).toBe(true);
      expect(piece.length).toBeLessThan(20_000);
    }
  });
});
