import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { renderRows } from "../../../src/cli/columns.ts";
import { runCommandLine } from "../../../src/cli/command-line.ts";
import { readExecTarget } from "../../../src/cli/exec.ts";
import { exitCodeOf } from "../../../src/cli/exit-code.ts";
import { renderItems } from "../../../src/cli/output.ts";
import { Terminal, type TextSink } from "../../../src/cli/terminal.ts";
import { INSPECT_NOUNS, type NodeRow } from "../../../src/control/inspect.ts";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import { labDirs } from "../../../src/lab/lab-dirs.ts";
import { ownIdentity, takeLock } from "../../../src/lab/lab-lock.ts";

let root: string;
let env: Record<string, string>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state"), HOME: root };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function podloom(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const sink = (add: (text: string) => void): TextSink => ({ write: add });
  const terminal = new Terminal(
    sink((text) => {
      out += text;
    }),
    sink((text) => {
      err += text;
    }),
    env,
  );
  const code = await runCommandLine(argv, { terminal, env, cwd: root });
  return { code, out, err };
}

function pretendToRun(name: string): void {
  const dirs = labDirs(name, env);
  const { socket, state } = dirs;
  takeLock(dirs, {
    name,
    supervisor: ownIdentity(),
    startedAt: 0,
    state,
    socket,
    underlay: "10.9.0.0/24",
    carrier: "loopback",
  });
  mkdirSync(dirs.logs, { recursive: true });
  const nodes = [{ name: "n1", address: 0, pods: [{ name: "web" }] }];
  writeFileSync(dirs.labJson, JSON.stringify({ nodes, routers: [{ name: "tor1" }], announcers: [] }));
}

describe("usage", () => {
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["a mistyped command", ["upp"], 2, /unknown command 'upp'[\s\S]*Did you mean up/],
    ["a mistyped flag", ["up", "--nodse", "3"], 2, /unknown option '--nodse'[\s\S]*Did you mean --nodes/],
    ["no command", [], 2, /Usage: podloom/],
    ["a missing noun", ["get"], 2, /missing required argument 'noun'/],
    ["a mistyped noun", ["get", "podz"], 2, /does not know "podz"[\s\S]*Did you mean "pods"/],
    [
      "a format that does not exist",
      ["get", "pods", "-o", "xml"],
      2,
      /-o does not take "xml"[\s\S]*table, wide, json, yaml\./,
    ],
    [
      "a time that is none",
      ["wait", "--timeout", "soon"],
      2,
      /--timeout takes a time, not "soon"[\s\S]*like 500ms, 60s or 2m/,
    ],
    [
      "a number that is none",
      ["up", "--nodes", "many"],
      2,
      /--nodes does not take "many"[\s\S]*a whole number from 1 to 2000\./,
    ],
    ["an unknown goal", ["wait", "--for", "happiness"], 2, /Allowed choices are converged, ready/],
    ["an unknown shell", ["completion", "tcsh"], 2, /no completion for "tcsh"[\s\S]*bash, zsh, fish\./],
    ["a noun like none", ["get", "quark"], 2, /does not know "quark"\S* [\s\S]*It knows: nodes, pods/],
    ["a format of logs", ["logs", "-o", "xml"], 2, /-o does not take "xml"[\s\S]*It takes: text, json\./],
    [
      "a store without a port",
      ["up", "--store", "http://h"],
      2,
      /--store takes .*not "http:\/\/h"[\s\S]*http:\/\/h:2379/,
    ],
    ["a store client that is none", ["up", "--store-client", "fat"], 2, /'fat' is invalid.*slim, etcd3/],
    ["a lab file that is absent", ["up", "-f", "none.yaml"], 2, /none.yaml: there is no such file/],
    ["exec without a command", ["exec", "web"], 2, /missing required argument 'command'/],
    ["no lab", ["get", "pods"], 1, /no lab runs[\s\S]*podloom up/],
    ["no lab to stop", ["down"], 1, /no lab runs/],
  ];
  for (const [name, argv, code, message] of cases) {
    test(`${name}: exit ${code}`, async () => {
      const result = await podloom(...argv);
      expect(result.err).toMatch(message);
      expect(result).toMatchObject({ code, out: "" });
      // Whatever podloom itself complains of, the line below says what to do.
      if (/\[PL_\w+\]$/m.test(result.err)) expect(result.err).toMatch(/\[PL_\w+\]\n {2}\S.*\.?\n$/);
    });
  }

  test("a bad lab file is reported with its lines, and nothing starts", async () => {
    writeFileSync(join(root, "x.podloom.yaml"), "apiVersion: podloom/v1\nnode: 3\n");
    const result = await podloom("up");
    expect(result).toMatchObject({ code: 2, out: "" });
    expect(result.err).toBe('x.podloom.yaml:2:1: node: unknown key "node"\n  Did you mean "nodes"?\n');
  });

  test("several lab files in one folder are not guessed between", async () => {
    writeFileSync(join(root, "a.podloom.yaml"), "");
    writeFileSync(join(root, "podloom.yml"), "");
    expect((await podloom("up")).err).toMatch(/several lab files here: a.podloom.yaml, podloom.yml/);
  });

  test("help and version are no faults, and go to stdout", async () => {
    for (const argv of [["--help"], ["up", "--help"], ["help", "get"], ["--version"], ["version"]]) {
      const result = await podloom(...argv);
      expect(result).toMatchObject({ code: 0, err: "" });
      expect(result.out).not.toBe("");
    }
    expect(JSON.parse((await podloom("version", "-o", "json")).out)).toMatchObject({
      node: process.versions.node,
    });
  });

  test("help names every exit code and every command of exec", async () => {
    expect((await podloom("--help")).out.replaceAll(/\s+/g, " ")).toMatch(
      /0 done, 1 failed, 2 usage, 3 inconclusive .*, 4 timed out, 5 .*, 70 .*, 130 interrupted/,
    );
    const text = (await podloom("exec", "--help")).out.replaceAll(/\s+/g, " ");
    expect(text).toContain("ping, traceroute, ip, bridge, arp, route, sysctl, cat, udp-load, udp-sink");
  });

  test("a flag may come from the environment", async () => {
    env.PODLOOM_WAIT_TIMEOUT = "soon";
    expect((await podloom("wait")).err).toMatch(/not "soon"/);
    expect((await podloom("wait", "--timeout", "later")).err).toMatch(/not "later"/);
    env.PODLOOM_WAIT_FOR = "happiness";
    expect(await podloom("wait")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/PODLOOM_WAIT_FOR cannot be "happiness"[\s\S]*converged, ready\./),
    });
  });

  test("several labs: one must be named", async () => {
    pretendToRun("a");
    pretendToRun("b");
    expect(await podloom("get", "pods")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/several labs run: a, b[\s\S]*--lab/),
    });
    expect(await podloom("get", "pods", "--lab", "c")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no lab "c" runs/),
    });
  });

  test("every error code that is not a plain failure has its exit code", () => {
    const codes = [
      "PL_LAB_FILE",
      "PL_TIMEOUT",
      "PL_ETCD_MISSING",
      "PL_PORT_IN_USE",
      "PL_INTERRUPTED",
      "PL_WHATEVER",
    ];
    expect(codes.map((code) => exitCodeOf(new PodloomError(code, "")))).toEqual([2, 4, 5, 5, 130, 1]);
    expect(exitCodeOf(new Error("ours"))).toBe(1);
  });
});

describe("completion", () => {
  const complete = async (...words: string[]): Promise<string[]> =>
    (await podloom("__complete", "--", ...words)).out.split("\n").filter((word) => word !== "");

  test("of commands, nouns, flags and their values", async () => {
    expect(await complete("v")).toEqual(["verify", "version"]);
    expect(await complete("get", "n")).toEqual(["nodes", "neigh"]);
    expect(await complete("up", "--sto")).toEqual(["--store", "--store-client"]);
    expect(await complete("get", "pods", "-o", "")).toEqual(["table", "wide", "json", "yaml", "ps"]);
    expect(await complete("")).not.toContain("__supervise");
  });

  test("of Calico's kinds and commands, on every level", async () => {
    expect(await complete("get", "ip")).toEqual(["ippool", "ipreservation"]);
    expect(await complete("delete", "bgp")).toEqual(["bgpconfiguration", "bgppeer", "bgpfilter"]);
    expect(await complete("ipam", "")).toEqual(["show", "check", "release", "configure"]);
    expect(await complete("calicoctl", "")).toEqual([
      ...["create", "replace", "apply", "delete", "get", "ipam", "datastore", "version", "node"],
    ]);
    expect(await complete("calicoctl", "ipam", "c")).toEqual(["check", "configure"]);
    expect(await complete("calicoctl", "get", "w")).toEqual(["workloadendpoint"]);
    expect(await complete("ipam", "show", "--show-b")).toEqual(["--show-blocks", "--show-borrowed"]);
  });

  test("of what runs", async () => {
    pretendToRun("lab1");
    expect(await complete("exec", "")).toEqual(["web", "node/n1", "router/tor1"]);
    expect(await complete("logs", "")).toEqual(["n1", "tor1", "store", "supervisor"]);
    expect(await complete("down", "")).toEqual(["lab1"]);
    expect(await complete("exec", "web", "--", "")).toEqual([]);
  });

  test("has a script for every shell", async () => {
    for (const shell of ["bash", "zsh", "fish"])
      expect((await podloom("completion", shell)).out).toContain("__complete");
  });
});

describe("logs", () => {
  const line = (level: number, time: number, msg: string): string =>
    `${JSON.stringify({ level, time, node: "n", msg })}\n`;

  test("of several processes are one story, in order; of one they are whole; raw they are untouched", async () => {
    pretendToRun("a");
    const { logs } = labDirs("a", env);
    writeFileSync(join(logs, "n1.log"), line(30, 2000, "second") + line(50, 4000, "fourth"));
    writeFileSync(join(logs, "store.log"), line(30, 1000, "first") + line(40, 3000, "third"));
    const all = (await podloom("logs")).out.trim().split("\n");
    expect(all).toEqual([
      "00:00:01.000 INFO  store first",
      "00:00:02.000 INFO  n1 second",
      "00:00:03.000 WARN  store third",
      "00:00:04.000 ERROR n1 fourth",
    ]);
    expect((await podloom("logs", "n1", "--tail", "1", "-o", "json")).out).toBe(line(50, 4000, "fourth"));
    expect(await podloom("logs", "n2")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no log of "n2"[\s\S]*"n1"/),
    });
  });
});

describe("rows", () => {
  const row: NodeRow = {
    name: "node1",
    status: "Ready",
    pid: 7,
    backend: "vxlan",
    underlay: "192.168.56.2",
    subnet: "10.244.1.0/24",
    pods: 2,
    peers: 2,
    routes: 4,
    store: "Synced",
    rxPackets: 1,
    txPackets: 2,
    drops: { VXLAN_VNI_NOT_FOUND: 6, NEIGH_FAILED: 1 },
    ignored: ["10.244.9.0/24"],
    rssBytes: 46_137_344,
    restarts: 0,
    ageSec: 61,
  };

  test("as a table, wide, JSON and YAML", () => {
    expect(renderItems("nodes", [row], "table")).toBe(
      "NAME    STATUS   ROLE   UNDERLAY       SUBNET          PODS   PEERS   PID   RSS    RESTARTS   AGE\n" +
        "node1   Ready    node   192.168.56.2   10.244.1.0/24   2      2       7     44Mi   0          61s",
    );
    const [head, cells] = renderItems("nodes", [row], "wide").split("\n") as [string, string];
    expect(cells.slice(head.indexOf("DROPS"))).toMatch(/^VXLAN_VNI_NOT_FOUND=6,NEIGH_FAILED=1 /);
    expect(cells.slice(head.indexOf("IGNORED-LEASES"))).toMatch(/^10\.244\.9\.0\/24 /);
    expect(JSON.parse(renderItems("nodes", [row], "json"))).toEqual({ items: [row] });
    expect(parse(renderItems("nodes", [row], "yaml"))).toEqual({ items: [row] });
  });

  test("of a node that the store does not answer say so, and in wide since when", () => {
    const storeAwaySince = new Date(2026, 10, 28, 9, 5, 7).toISOString();
    const away = { ...row, status: "Fenced", store: "Disconnected", storeAwaySince } as const;
    expect(renderItems("nodes", [away], "table")).toMatch(/^node1 +Fenced,StoreAway +node /m);
    expect(renderItems("nodes", [away], "wide")).toMatch(/ away since 09:05:07 /);
  });

  test("of nothing are still JSON, and every noun has columns", () => {
    for (const noun of INSPECT_NOUNS) {
      expect(JSON.parse(renderItems(noun, [], "json"))).toEqual({ items: [] });
      expect(renderRows(noun, [], true).head.length).toBeGreaterThan(3);
    }
  });

  test("have not changed because time went by, but because a status did", () => {
    const print = (change: Partial<NodeRow>): string =>
      renderRows("nodes", [{ ...row, ...change }], false).fingerprints[0] as string;
    expect(print({ ageSec: 99, rssBytes: 1, rxPackets: 5 })).toBe(print({}));
    expect(print({ status: "Dead" })).not.toBe(print({}));
  });
});

test("targets of exec", () => {
  expect(readExecTarget("web")).toEqual({ t: "pod", pod: "web" });
  expect(readExecTarget("pod/web")).toEqual({ t: "pod", pod: "web" });
  expect(readExecTarget("node/node1")).toEqual({ t: "node", node: "node1" });
});
