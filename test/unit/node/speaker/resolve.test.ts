import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { nameFromFile } from "../../../../src/node/speaker/file/read-file.ts";
import { speakerJsonSchema } from "../../../../src/node/speaker/file/speaker-schema.ts";
import { compilePolicy } from "../../../../src/routing/bgp/policy/compile-policy.ts";
import { ACCEPT_ALL, REJECT_ALL } from "../../../../src/routing/bgp/policy/policy.ts";
import { parseRibPrefix } from "../../../../src/routing/bgp/rib/prefix-text.ts";
import { DEFAULT_GRACEFUL_RESTART } from "../../../../src/routing/bgp/session/peer-config.ts";
import { formatRibPrefix } from "../../../../src/routing/bgp/speaker/inspect.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import { SPEAKER_HEAD as HEAD, planOf } from "../../../support/speaker-text.ts";

describe("a speaker's file that is right", () => {
  test("the smallest: nobody to talk to, and every default", async () => {
    const plan = await planOf("apiVersion: podloom/v1\nkind: BGPSpeaker\nas: 1\nrouterId: 192.0.2.1\n");
    expect(plan).toMatchObject({
      name: "sp",
      carrier: "host",
      address: ipv4("192.0.2.1"),
      listen: [{ addr: ipv4("192.0.2.1"), port: 1790 }],
      neighbors: [],
      ranges: [],
      networks: [],
      metrics: undefined,
      capture: undefined,
    });
    expect(plan.speaker).toEqual({
      localAs: 1,
      routerId: ipv4("192.0.2.1"),
      clusterId: ipv4("192.0.2.1"),
      decision: {
        alwaysCompareMed: false,
        missingMedWorst: false,
        preferOldest: false,
        multipathMax: 1,
        multipathRelax: false,
      },
      dynamicLimit: 1000,
      restarting: false,
      deferralSec: 120,
    });
  });

  test("RFC 8212: with requirePolicy, whoever may be of another AS needs policies of its own", async () => {
    const neighbors = [
      "{ address: 10.0.1.2, as: 64512 }",
      "{ address: 10.0.1.3, as: internal }",
      "{ address: 10.0.1.4, as: 64513 }",
      "{ address: 10.0.1.5, as: external, import: all }",
      "{ address: 10.0.1.6, as: any, export: all }",
      "{ address: 10.0.1.7, as: [64512, 64513] }",
      "{ address: 10.0.1.8, as: 64512, localAs: 64600 }",
    ];
    const ranges = "ranges:\n  - { name: r, prefix: 10.9.0.0/16, as: external }\n";
    const file = `${HEAD}neighbors:\n${neighbors.map((one) => `  - ${one}\n`).join("")}${ranges}`;
    const policiesOf = async (text: string) => {
      const plan = await planOf(text);
      return [...plan.neighbors, ...plan.ranges].map(
        ({ routes }) => `${routes.importPolicy.name} ${routes.exportPolicy.name}`,
      );
    };
    expect(await policiesOf(file)).toEqual(Array.from({ length: 8 }, () => "all all"));
    expect(await policiesOf(`${file}requirePolicy: true\n`)).toEqual([
      "all all",
      "all all",
      "none none",
      "all none",
      "none all",
      "none none",
      "none none",
      "none none",
    ]);
  });

  test("JSON says the same as YAML", async () => {
    const yaml = await planOf(
      `${HEAD}networks: [10.244.1.0/24]\nneighbors:\n  - { name: a, address: 10.0.1.2, as: [1, 2] }\n`,
    );
    const json = await planOf(
      '{"apiVersion":"podloom/v1","kind":"BGPSpeaker","as":64512,"routerId":"10.0.1.1","carrier":"loopback","networks":["10.244.1.0/24"],"neighbors":[{"name":"a","address":"10.0.1.2","as":[1,2]}]}',
    );
    expect(json).toEqual(yaml);
    expect(json.neighbors[0]?.session.peerAs).toEqual(new Set([1, 2]));
  });

  test("a neighbor's own options come before its template's, and defaults last", async () => {
    const plan = await planOf(`${HEAD}listen: { port: 1999 }
templates:
  t: { as: internal, holdTimeSec: 9, passive: true, rrClient: true, bfd: true, gracefulRestart: { restartTimeSec: 30 } }
neighbors:
  - { address: 10.0.1.2, template: t, passive: false, bfd: { detectMult: 5 } }
  - { name: plain, address: 10.0.1.3, as: 64513, port: 179, gracefulRestart: false, shutdown: true, password: hush, ttlSecurityHops: 3, keepaliveSec: 7 }
`);
    const [templated, plain] = plan.neighbors;
    expect(templated).toMatchObject({
      name: "10.0.1.2",
      port: 1999,
      localAddr: ipv4("10.0.1.1"),
      bfd: { desiredMinTxUs: 300_000, requiredMinRxUs: 300_000, detectMult: 5 },
      password: undefined,
      ttlSecurityHops: undefined,
      shutdown: false,
    });
    expect(templated?.session).toMatchObject({
      peerAs: "internal",
      holdTimeSec: 9,
      fsm: { passive: false, connectRetrySec: 5, idleHoldMinSec: 5, idleHoldMaxSec: 60 },
      gracefulRestart: { restartTimeSec: 30, helperOnly: false, notification: false },
    });
    expect(templated?.routes).toMatchObject({
      rrClient: true,
      importPolicy: ACCEPT_ALL,
      exportPolicy: ACCEPT_ALL,
    });
    expect(plain).toMatchObject({
      name: "plain",
      port: 179,
      bfd: undefined,
      password: "hush",
      ttlSecurityHops: 3,
      shutdown: true,
    });
    expect(plain?.session).toMatchObject({
      fsm: { keepaliveSec: 7 },
      holdTimeSec: 90,
      gracefulRestart: undefined,
      peerAs: 64513,
    });
  });

  test("without a word, a neighbor is helped over its restart; restart.graceful asks all for it", async () => {
    const one = "neighbors: [{ address: 10.0.1.2, as: any }]\n";
    const helped = await planOf(HEAD + one);
    expect(helped.neighbors[0]?.session.gracefulRestart).toEqual(DEFAULT_GRACEFUL_RESTART);
    const asked = await planOf(`${HEAD}restart: { graceful: true, deferralSec: 7 }\n${one}`, {
      restarting: true,
    });
    expect(asked.neighbors[0]?.session.gracefulRestart?.helperOnly).toBe(false);
    expect(asked.neighbors[0]?.session.families[0]?.forwardingPreserved).toBe(true);
    expect(asked.speaker).toMatchObject({ restarting: true, deferralSec: 7 });
  });

  test("families, and what there is in each", async () => {
    const plan = await planOf(`${HEAD}address6: fd00::1
neighbors:
  - address: 10.0.1.2
    as: any
    families: [ipv6, ipv4]
    addPath: receive
    extendedNextHop: true
    prefixLimit: { limit: 10 }
  - { address: 10.0.1.3, as: any, addPath: both }
`);
    const limit = { limit: 10, warnPercent: 75, restartSec: undefined };
    expect(plan.neighbors[0]?.session.families).toEqual([
      {
        family: Family.IPV6_UNICAST,
        addPath: { receive: true, send: false },
        extendedNextHop: false,
        prefixLimit: limit,
        forwardingPreserved: false,
      },
      {
        family: Family.IPV4_UNICAST,
        addPath: { receive: true, send: false },
        extendedNextHop: true,
        prefixLimit: limit,
        forwardingPreserved: false,
      },
    ]);
    expect(plan.neighbors.map(({ routes }) => routes.addPathMax)).toEqual([1, 64]);
    expect(plan.neighbors[0]?.routes.localAddr6).toEqual({ a: 0xfd00_0000, b: 0, c: 0, d: 1 });
  });

  test("networks of all kinds", async () => {
    const plan = await planOf(`${HEAD}address6: fd00::1
networks:
  - 10.244.1.0/24
  - { prefix: 10.244.2.0/24, nextHop: 10.0.0.9, med: 5, localPref: 200, origin: incomplete, communities: no-export }
  - { prefix: fd01::/64, communities: ["64512:1", "64512:2"] }
`);
    expect(
      plan.networks.map(({ prefix, ...rest }) => ({ prefix: formatRibPrefix(prefix), ...rest })),
    ).toEqual([
      { prefix: "10.244.1.0/24", nextHop: 0 },
      {
        prefix: "10.244.2.0/24",
        nextHop: ipv4("10.0.0.9"),
        med: 5,
        localPref: 200,
        origin: 2,
        communities: [0xffff_ff01],
      },
      { prefix: "fd01::/64", nextHop: 0, communities: [64512 * 65536 + 1, 64512 * 65536 + 2] },
    ]);
  });

  test("a policy with everything in it is the engine's, and compiles", async () => {
    const plan = await planOf(`${HEAD}policies:
  p:
    default: reject
    rules:
      - name: first
        match:
          prefixes: [10.0.0.0/8, 10.0.0.0/8 ge 24, 10.0.0.0/8 le 28, 10.0.0.0/8   ge 24   le 28, "::/0 ge 48"]
          communities: [no-export, "64512:1"]
          largeCommunities: "1:2:3"
          extCommunities: rt:64512:1
          asPath: "^64513_"
          asPathLength: { max: 4 }
          originAs: 64513
          neighborAs: [64513, 64514]
          origin: [igp, egp]
          nextHop: [10.0.0.0/8, 192.0.2.1]
          source: [local, rr-client, n, r-10.0.2.9]
          med: {}
          localPref: { min: 5 }
        action: next
      - set:
          localPref: 1
          med: null
          origin: egp
          nextHop: 10.0.0.3
          prepend: [64512, 64512]
          communities: { clear: true, add: [blackhole] }
          largeCommunities: { del: ["1:2:3"] }
          extCommunities: { add: [soo:64512:9] }
      - action: reject
neighbors: [{ name: n, address: 10.0.1.2, as: any, export: p, import: none }]
ranges: [{ name: r, prefix: 10.0.2.0/24, as: any }]
`);
    const policy = plan.policies.get("p");
    const v4 = { family: Family.IPV4_UNICAST, prefix: prefix("10.0.0.0/8") };
    expect(policy?.rules[0]?.match).toEqual({
      prefixes: [
        { ...v4, lenMin: 8, lenMax: 8 },
        { ...v4, lenMin: 24, lenMax: 32 },
        { ...v4, lenMin: 8, lenMax: 28 },
        { ...v4, lenMin: 24, lenMax: 28 },
        { family: Family.IPV6_UNICAST, prefix: { a: 0, b: 0, c: 0, d: 0, len: 0 }, lenMin: 48, lenMax: 128 },
      ],
      communities: [0xffff_ff01, 64512 * 65536 + 1],
      largeCommunities: [{ global: 1, local1: 2, local2: 3 }],
      extCommunities: [{ high: 0x0002_fc00, low: 1 }],
      asPath: "^64513_",
      asPathLength: { max: 4 },
      originAs: [64513],
      neighborAs: [64513, 64514],
      origin: [0, 1],
      nextHop: [v4, { family: Family.IPV4_UNICAST, prefix: prefix("192.0.2.1/32") }],
      source: ["local", "rrClient", { peer: "n" }, { peer: "r-10.0.2.9" }],
      med: {},
      localPref: { min: 5 },
    });
    expect(policy?.rules[1]).toMatchObject({
      set: { localPref: 1, med: null, origin: 1, prepend: [64512, 64512] },
      action: "accept",
    });
    if (policy === undefined) throw new Error("no policy");
    expect(compilePolicy(policy, "export")).toMatchObject({ ok: true });
    expect(plan.neighbors[0]?.routes.exportPolicy).toBe(policy);
    expect(plan.neighbors[0]?.routes.importPolicy).toBe(REJECT_ALL);
  });

  test("policies that say the same stay the same objects, so that update groups last", async () => {
    const text = (med: number) =>
      `${HEAD}policies:\n  p: { default: accept }\n  q: { default: accept, rules: [{ set: { med: ${med} } }] }\n`;
    const before = await planOf(text(1));
    const after = await planOf(text(2), { policies: before.policies });
    expect(after.policies.get("p")).toBe(before.policies.get("p"));
    expect(after.policies.get("q")).not.toBe(before.policies.get("q"));
  });

  test("nobody may call, and neighbors are still where they usually are", async () => {
    const plan = await planOf(`${HEAD}listen: false\nneighbors: [{ address: 10.0.1.2, as: any }]\n`);
    expect(plan.listen).toEqual([]);
    expect(plan.neighbors[0]?.port).toBe(1790);
  });

  test("the command line comes before the file", async () => {
    const text = `${HEAD}name: filed\nmetrics: 127.0.0.1:1\ncapture: filed.pcapng\n`;
    expect(await planOf(text)).toMatchObject({
      name: "filed",
      metrics: { host: "127.0.0.1", port: 1 },
      capture: "filed.pcapng",
    });
    const given = {
      name: "told",
      metrics: { host: "::1", port: 2 },
      capture: "told.pcapng",
      traceMessages: true,
    };
    expect(await planOf(text, given)).toMatchObject({
      name: "told",
      metrics: given.metrics,
      capture: "told.pcapng",
    });
  });

  test.each([
    ["examples/bgp/Route_Reflector.yaml", "route-reflector"],
    ["/etc/bgp.json", "bgp"],
    ["...yml", "speaker"],
  ])("the name of %s is %s", (path, name) => {
    expect(nameFromFile(path)).toBe(name);
  });

  const EXAMPLES = new URL("../../../../examples/bgp/", import.meta.url);
  test.each(readdirSync(EXAMPLES))("example %s is right", async (file) => {
    const plan = await planOf(readFileSync(new URL(file, EXAMPLES), "utf8"));
    expect(plan.carrier).toBe("loopback");
  });

  test("the published JSON schema is current: `npm run schema` writes it", () => {
    const published = new URL("../../../../schema/bgp-speaker.schema.json", import.meta.url);
    expect(JSON.parse(readFileSync(published, "utf8"))).toEqual(
      JSON.parse(JSON.stringify(speakerJsonSchema())),
    );
  });
});

describe("prefixes as people write them", () => {
  test.each(["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::/0", "fd00::/8", "2001:db8::1/128"])(
    "%s",
    (text) => {
      const parsed = parseRibPrefix(text);
      expect(parsed.ok && formatRibPrefix(parsed.value)).toBe(text);
    },
  );

  test.each([
    ["10.0.0.0", "be a prefix with its length"],
    ["10.0.0/8", "begin with an IPv4 or IPv6 address"],
    ["10.0.0.0/33", "have a length of 0 to 32"],
    ["fd00::/129", "have a length of 0 to 128"],
    ["10.0.0.0/", "have a length of"],
    ["10.0.0.0/8 ", "have a length of"],
    ["10.0.0.0/-1", "have a length of"],
    ["10.1.2.3/16", "have no bits set beyond its length: the prefix is 10.1.0.0/16"],
    ["fd00::1/64", "have no bits set beyond its length: the prefix is fd00::/64"],
  ])("%s must %s", (text, wanted) => {
    const parsed = parseRibPrefix(text);
    expect(parsed.ok ? "" : parsed.error).toContain(wanted);
  });
});
