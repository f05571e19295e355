// Two speakers as processes, and a person who asks and commands them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { BgpExplanation, BgpPeerRow, BgpRouteRow } from "../../src/io/ipc/speaker-protocol.ts";
import { eventually, type Running, Sandbox } from "../support/e2e-lab.ts";

const A = `
as: 64512
networks: [10.244.1.0/26, { prefix: 10.244.9.0/26, med: 7, communities: [64512:9, no-export] }]
policies:
  from-b:
    default: accept
    rules: [{ name: not-these, match: { prefixes: 10.244.3.0/26 }, action: reject }]
neighbors:
  - { name: bee, address: 10.97.1.2, as: 64513, import: from-b, connectDelaySec: 1, errorWaitSec: [1, 2] }
  - { name: nobody, address: 10.97.1.9, as: 64519 }
`;
const B = `
as: 64513
networks: [10.244.2.0/26, 10.244.3.0/26, 10.244.9.0/26]
neighbors:
  - { name: ay, address: 10.97.1.1, as: 64512, connectDelaySec: 1, errorWaitSec: [1, 2] }
`;

const sandbox = new Sandbox();
let a: Running;
let b: Running;

function file(name: string, address: string, text: string): string {
  const path = join(sandbox.root, `${name}.yaml`);
  const head = `apiVersion: podloom/v1\nkind: BGPSpeaker\nname: ${name}\nrouterId: ${address}\ncarrier: loopback\n`;
  writeFileSync(path, head + text);
  return path;
}

/** The words of a command's output, line by line. */
function table(text: string): string[][] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/));
}

async function items<T>(...argv: string[]): Promise<T[]> {
  return (JSON.parse(await sandbox.ok("get", "bgp", ...argv, "-o", "json")) as { items: T[] }).items;
}

async function peer(speaker: string, name: string): Promise<BgpPeerRow> {
  const [row] = await items<BgpPeerRow>("peers", name, "--speaker", speaker);
  return row as BgpPeerRow;
}

async function routesAre(speaker: string, ...want: string[]): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      const rows = await items<BgpRouteRow>("routes", "--speaker", speaker);
      seen = rows.map(({ prefix, from, chosen }) => `${prefix} ${from} ${chosen}`.trim()).join("\n");
      return seen === want.join("\n");
    },
    30_000,
    () => `${want.join("\n")}\nin:\n${seen}`,
  );
}

const ROUTES_OF_A = [
  "10.244.1.0/26 local best",
  "10.244.2.0/26 bee best",
  "10.244.3.0/26 bee",
  "10.244.9.0/26 local best",
  "10.244.9.0/26 bee",
];

beforeAll(async () => {
  a = sandbox.start("bgp", "-f", file("a", "10.97.1.1", A));
  b = sandbox.start("bgp", "-f", file("b", "10.97.1.2", B));
  for (const one of [a, b]) {
    await eventually(
      () => one.stderr.includes('"event":"ready"'),
      20_000,
      () => one.stderr,
    );
  }
  await routesAre("a", ...ROUTES_OF_A);
});

afterAll(() => sandbox.dispose());

describe("get bgp", () => {
  test("peers: in a table, wide, as JSON and YAML", async () => {
    const narrow = table(await sandbox.ok("get", "bgp", "peers", "--speaker", "a"));
    expect(narrow[0]?.slice(0, 5)).toEqual(["NAME", "NEIGHBOR", "AS", "ROLE", "STATE"]);
    expect(narrow[1]?.slice(0, 5)).toEqual(["bee", "10.97.1.2", "64513", "external", "Established"]);
    // Three received, one of them refused; two of our own told.
    expect(narrow[1]?.slice(6)).toEqual(["3", "2", "1"]);
    expect(narrow[2]?.at(-1)).toMatch(/^nobody listens on 127\.97\.1\.9:1790 \(ECONNREFUSED\)$/);
    const wide = table(await sandbox.ok("get", "bgp", "peers", "--speaker", "a", "-o", "wide"));
    expect(wide[0]).toEqual(expect.arrayContaining([...(narrow[0] ?? []), "ID", "HOLD", "CAPABILITIES"]));
    const rows = await items<BgpPeerRow>("peers", "--speaker", "a");
    expect(rows).toMatchObject([
      { name: "bee", state: "Established", localAs: 64512, heard: { as4: true } },
      { name: "nobody", fault: { by: "connection" } },
    ]);
    const yaml = parse(await sandbox.ok("get", "bgp", "peers", "--speaker", "a", "-o", "yaml")) as {
      items: BgpPeerRow[];
    };
    expect(yaml.items.map(Object.keys)).toEqual(rows.map(Object.keys));
  });

  test("routes, and what a neighbour told and is told", async () => {
    expect(table(await sandbox.ok("get", "bgp", "routes", "10.244.9.1", "--speaker", "a"))).toMatchObject(
      [
        ["PREFIX", "CHOSEN", "FROM", "NEXT-HOP", "AS-PATH"],
        ["10.244.9.0/26", "best", "local", "self", "-"],
        ["10.244.9.0/26", "-", "bee", "10.97.1.2", "64513"],
      ].map((cells) => expect.arrayContaining(cells) as string[]),
    );
    const told = await items<BgpRouteRow>("rib-in", "bee", "--speaker", "a");
    expect(told.map(({ prefix, ineligible }) => [prefix, ineligible])).toEqual([
      ["10.244.2.0/26", undefined],
      ["10.244.3.0/26", "rejected"],
      ["10.244.9.0/26", undefined],
    ]);
    const out = await items<BgpRouteRow>("rib-out", "10.97.1.2", "--speaker", "a");
    expect(out.map(({ prefix, asPath, nextHop }) => [prefix, asPath, nextHop])).toEqual([
      ["10.244.1.0/26", "64512", "10.97.1.1"],
    ]);
    const none = await sandbox.run("get", "bgp", "routes", "192.0.2.0/24", "--speaker", "a");
    expect([none.code, none.stdout, none.stderr]).toEqual([1, "", "no routes to 192.0.2.0/24\n"]);
  });

  test("explain says why this path and not that, and who is told", async () => {
    const text = await sandbox.ok("get", "bgp", "explain", "10.244.9.0/26", "--speaker", "a");
    expect(text).toMatch(
      /^10\.244\.9\.0\/26\n\nCHOSEN .*\nbest +local .*decided by .*\n- +bee .*64513.*\n\nNEIGHBOR +ADDRESS +IS TOLD\nbee +10\.97\.1\.2 +NO_EXPORT\n$/,
    );
    const json = await sandbox.ok(
      "get",
      "bgp",
      "explain",
      "10.244.3.1",
      "bee",
      "--speaker",
      "a",
      "-o",
      "json",
    );
    expect(JSON.parse(json) as BgpExplanation).toMatchObject({
      prefix: "10.244.3.0/26",
      paths: [{ from: "bee", why: "refused by import policy from-b: not-these" }],
      told: [{ neighbor: "bee", why: "no path to it can be used" }],
    });
  });
});

test("birdc", async () => {
  const birdc = (...words: string[]) => sandbox.ok("birdc", "--speaker", "a", ...words);
  const protocols = await birdc("show", "protocols");
  expect(protocols).toMatch(
    /^podloom \S+ ready\.\nName {7}Proto {6}Table {6}State {2}Since {9}Info\nstatic1 {4}Static {5}--- {8}up {5}\d\d:\d\d:\d\d\.\d{3} {2}\nbee {8}BGP {8}--- {8}up {5}\S{12} {2}Established {3}\nnobody {5}BGP {8}--- {8}start {2}\S{12} {2}Active {8}Socket: Connection refused\n$/,
  );
  expect(await birdc("show", "protocols", "all", "bee")).toMatch(
    / {4}Neighbor ID: {6}10\.97\.1\.2\n[^]* {4}Routes: {9}2 imported, 1 filtered, 1 exported, 1 preferred\n/,
  );
  expect(await birdc("show", "route", "for", "10.244.9.1", "all")).toMatch(
    /Table master4:\n10\.244\.9\.0\/26 {8}blackhole \[static1 .*\] \* \(200\)\n\tType: static univ\n\tBGP\.med: 7\n\tBGP\.community: \(64512,9\) \(65535,65281\)\n {21}unicast \[bee \S+\] \(100\) \[AS64513i\]\n\tvia 10\.97\.1\.2\n\tType: BGP univ\n/,
  );
  expect(await birdc("show route protocol bee count")).toMatch(
    /\n2 of 4 routes for 3 networks in table master4\n/,
  );
  expect(await birdc("show", "route", "export", "bee")).toMatch(
    /master4:\n10\.244\.1\.0\/26 .*\n\tvia 10\.97\.1\.1\n$/,
  );
  expect(await birdc("show", "route", "filtered")).toMatch(/\n10\.244\.3\.0\/26 /);
  expect(await birdc("show", "status")).toMatch(
    /\nRouter ID is 10\.97\.1\.1\n[^]*Daemon is up and running\n$/,
  );
  const wrong = await sandbox.run("birdc", "--speaker", "a", "show", "protocols", "be");
  expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringContaining("did you mean bee?")]);
});

test("who is asked must be clear, and there", async () => {
  const several = await sandbox.run("get", "bgp", "peers");
  expect([several.code, several.stderr]).toEqual([2, expect.stringContaining("several speakers run: a, b")]);
  const unknown = await sandbox.run("get", "bgp", "rib-in", "beee", "--speaker", "a");
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('Did you mean "bee"?')]);
  const nowhere = await sandbox.run("birdc", "--speaker", "c", "show", "status");
  expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('no speaker "c" runs')]);
  const elsewhere = { ...sandbox.env, XDG_RUNTIME_DIR: join(sandbox.root, "nothing") };
  Object.assign(sandbox.env, { XDG_RUNTIME_DIR: elsewhere.XDG_RUNTIME_DIR });
  const none = await sandbox.run("get", "bgp", "peers");
  sandbox.env.XDG_RUNTIME_DIR = sandbox.root;
  expect([none.code, none.stderr]).toEqual([
    1,
    expect.stringMatching(/no BGP speaker runs \[PL_NO_SPEAKER\]\n {2}Start one with: podloom bgp -f FILE/),
  ]);
});

test("-w shows a network come and go; a file that is read again is what makes it do so", async () => {
  const path = join(sandbox.root, "b.yaml");
  const before = readFileSync(path, "utf8");
  const watching = ["table", "json", "yaml"].map((format) =>
    sandbox.start("get", "bgp", "routes", "10.244.7.0/26", "--speaker", "a", "-w", "-o", format),
  ) as [Running, Running, Running];
  const [asTable, asJson, asYaml] = watching;
  await asTable.until(/^PREFIX/);
  writeFileSync(path, before.replace("networks: [", "networks: [10.244.7.0/26, "));
  expect(await sandbox.ok("birdc", "--speaker", "b", "configure", "check")).toMatch(/Configuration OK\n$/);
  expect(await sandbox.ok("birdc", "--speaker", "b", "configure")).toMatch(/\nReconfigured\n$/);
  for (const one of watching) await one.until(/10\.244\.7\.0\/26/);
  writeFileSync(path, before.replace("as: 64513", "as: nonsense"));
  const wrong = await sandbox.run("birdc", "--speaker", "b", "configure");
  expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringMatching(/b\.yaml:\d+:\d+/)]);
  writeFileSync(path, before);
  expect(await sandbox.ok("birdc", "--speaker", "b", "configure")).toMatch(/\nReconfigured\n$/);
  await asTable.until(/^- 10\.244\.7\.0\/26/m);
  await asJson.until(/"removed"/);
  await asYaml.until(/removed/);
  for (const one of watching) one.child.kill("SIGINT");
  for (const one of watching) expect((await one.finished).code).toBe(0);
  const lines = asJson.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines[0]).toMatchObject({ prefix: "10.244.7.0/26", from: "bee" });
  expect(lines.at(-1)).toMatchObject({ removed: { prefix: "10.244.7.0/26" } });
  const documents = parseAllDocuments(asYaml.stdout);
  expect(documents.flatMap((document) => document.errors)).toEqual([]);
  expect(documents[0]?.toJS()).toEqual({ items: [] });
  expect(documents.at(-1)?.toJS()).toMatchObject({ removed: [{ prefix: "10.244.7.0/26" }] });
  await routesAre("a", ...ROUTES_OF_A);
});

test("a shutdown and a reset arrive with their texts at the other side", async () => {
  expect(await sandbox.ok("birdc", "--speaker", "a", "disable", "bee", "gone for lunch")).toMatch(
    /\nbee: disabled\n$/,
  );
  await routesAre("a", "10.244.1.0/26 local best", "10.244.9.0/26 local best");
  const seen = await peer("b", "ay");
  expect(seen).toMatchObject({ downText: "gone for lunch", fault: { by: "neighbor", code: 6, subcode: 2 } });
  expect(await sandbox.ok("get", "bgp", "peers", "--speaker", "b")).toContain("gone for lunch");
  expect(await sandbox.ok("birdc", "--speaker", "b", "show", "protocols", "all")).toMatch(
    /Received: Administrative shutdown\n {2}Message: {8}gone for lunch\n/,
  );
  expect((await peer("a", "bee")).enabled).toBe(false);
  expect(await sandbox.ok("birdc", "--speaker", "a", "enable", "bee")).toMatch(/\nbee: enabled\n$/);
  await routesAre("a", ...ROUTES_OF_A);
  expect(await sandbox.ok("birdc", "--speaker", "b", "restart", "ay", "new tables")).toMatch(
    /\nay: restarted\n$/,
  );
  await eventually(
    async () => (await peer("a", "bee")).downText === "new tables",
    20_000,
    () => a.stderr,
  );
  await routesAre("a", ...ROUTES_OF_A);
  expect(await peer("a", "bee")).toMatchObject({
    lastDown: expect.stringContaining("Administrative Reset: new tables"),
  });
  expect(await sandbox.ok("birdc", "--speaker", "a", "reload", "in", "bee")).toMatch(/\nbee: reloading\n$/);
  expect((await peer("a", "bee")).dropped).toBe(2);
});

test("a speaker that ends tells who watches it, and leaves nothing", async () => {
  const watching = sandbox.start("get", "bgp", "peers", "--speaker", "b", "-w");
  await watching.until(/Established/);
  b.child.kill("SIGTERM");
  expect((await b.finished).code).toBe(0);
  const seen = await watching.finished;
  expect([seen.code, seen.stderr]).toEqual([0, 'speaker "b" has ended\n']);
  // The only one that is left need not be named.
  expect(table(await sandbox.ok("get", "bgp", "peers", "bee"))[1]?.at(-1)).toMatch(
    /^ended by the neighbour: Cease\/Administrative Shutdown/,
  );
  a.child.kill("SIGKILL");
  await a.finished;
  const gone = await sandbox.run("get", "bgp", "peers");
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining("no BGP speaker runs")]);
  expect(sandbox.runtimeFiles().filter((name) => name.endsWith(".sock"))).toEqual([join("bgp", "a.sock")]);
});
