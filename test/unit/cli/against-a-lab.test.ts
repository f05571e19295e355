// Commands against the socket of a lab, with a supervisor that answers what each test wants: exit codes, and what is said.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runCommandLine } from "../../../src/cli/command-line.ts";
import { Terminal, type TextSink } from "../../../src/cli/terminal.ts";
import type { IncomingRequest } from "../../../src/io/ipc/connection.ts";
import type { NodeState, ProbeArgs } from "../../../src/io/ipc/protocol.ts";
import { IpcServer } from "../../../src/io/ipc/server.ts";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import { labDirs } from "../../../src/lab/lab-dirs.ts";
import { ownIdentity, takeLock } from "../../../src/lab/lab-lock.ts";

type Answers = Readonly<Record<string, (args: never, request: IncomingRequest) => unknown>>;

let root: string;
let env: Record<string, string>;
let server: IpcServer;
let answers: Answers;
/** What the last command wrote. */
let out = "";
let err = "";

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "pl-"));
  env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state"), HOME: root };
  const dirs = labDirs("fake", env);
  mkdirSync(dirs.logs, { recursive: true });
  const { socket, state } = dirs;
  const supervisor = ownIdentity();
  takeLock(dirs, {
    name: "fake",
    supervisor,
    startedAt: 0,
    state,
    socket,
    underlay: "10.9.0.0/24",
    carrier: "loopback",
  });
  answers = {};
  server = await IpcServer.listen(socket, {
    from: "supervisor",
    onRequest: (request) => {
      const answer = answers[request.verb];
      if (answer === undefined) throw new PodloomError("PL_TEST", `no answer for ${request.verb}`);
      const value = answer(request.args as never, request);
      if (value !== undefined) request.done(value);
    },
  });
});
afterEach(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

async function podloom(...argv: string[]): Promise<number> {
  out = "";
  err = "";
  const sink = (add: (text: string) => void): TextSink => ({ write: add });
  const stdout = sink((text) => {
    out += text;
  });
  const stderr = sink((text) => {
    err += text;
  });
  return runCommandLine(argv, { terminal: new Terminal(stdout, stderr, env), env, cwd: root });
}

const pod = (name: string, ip: string) => ({ name, node: "node1", ip, mac: "", hostDevice: "", mtu: 1450 });
const PODS = [pod("a", "10.244.1.2"), pod("b", "10.244.1.3")];

/** Answers `probe` with so many of the pings lost. */
const probing =
  (lost: number) =>
  ({ targets, count }: ProbeArgs) =>
    targets.map((target) => ({
      target,
      sent: count,
      received: count - lost,
      rttUs: Array.from({ length: count - lost }, () => 500),
    }));

describe("get", () => {
  test("rows that are there are shown, the node that could not be asked is named, and the exit code is 1", async () => {
    answers = { get: () => ({ rows: PODS, missing: [{ node: "node2", why: "it does not run" }] }) };
    expect(await podloom("get", "pods")).toBe(1);
    expect(out).toMatch(/^NAME +NODE +IP\na +node1 +10\.244\.1\.2\nb /);
    expect(err).toBe("node node2 could not be asked: it does not run\n");
  });

  test("nothing: a table says so on stderr, JSON stays JSON", async () => {
    answers = { get: () => ({ rows: [], missing: [] }) };
    expect(await podloom("get", "pods")).toBe(0);
    expect([out, err]).toEqual(["", "no pods\n"]);
    expect(await podloom("get", "pods", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toEqual({ items: [] });
  });

  test("-w prints all rows once, then only those that change, until the lab ends", async () => {
    const looks = [PODS, PODS, [PODS[0], pod("b", "10.244.1.9")], [...PODS, pod("c", "10.244.1.4")]];
    let look = 0;
    answers = {
      get: () => {
        const rows = looks[look++];
        if (rows !== undefined) return { rows, missing: [] };
        // The lab goes down under the command.
        for (const connection of server.connections) connection.destroy();
        return undefined;
      },
    };
    await podloom("get", "pods", "-w", "-o", "json");
    const said = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { name: string; ip: string });
    expect(said.map(({ name, ip }) => `${name} ${ip.split(".")[3]}`)).toEqual([
      "a 2",
      "b 3",
      "b 9",
      "b 3",
      "c 4",
    ]);
  }, 15_000);
});

describe("exec", () => {
  test("ends with the command's own exit code; both streams are kept apart", async () => {
    answers = {
      exec: (_, request) => {
        request.chunk("stdout", "to stdout\n");
        request.chunk("stderr", "to stderr\n");
        return { exitCode: 42 };
      },
    };
    expect(await podloom("exec", "a", "--", "ping", "-c", "1", "10.0.0.1")).toBe(42);
    expect([out, err]).toEqual(["to stdout\n", "to stderr\n"]);
  });

  test("passes every argument on as it is, flags like podloom's own among them", async () => {
    let heard: unknown;
    answers = {
      exec: (args: unknown) => {
        heard = args;
        return { exitCode: 0 };
      },
    };
    await podloom("exec", "node/node1", "--", "ip", "-s", "--lab", "x", "--", "-o");
    expect(heard).toEqual({
      target: { t: "node", node: "node1" },
      argv: ["ip", "-s", "--lab", "x", "--", "-o"],
    });
  });

  test("what the lab refuses is said with its code", async () => {
    answers = {
      exec: () => {
        throw new PodloomError("PL_NO_POD", 'no pod "a"; there are none');
      },
    };
    expect(await podloom("exec", "a", "ping")).toBe(1);
    expect(err).toMatch(/^error: no pod "a"; there are none \[PL_NO_POD\]\n/);
  });
});

describe("verify", () => {
  test("every ping answered: exit 0; one lost: exit 1, and the pair is named", async () => {
    answers = { get: () => ({ rows: PODS, missing: [] }), probe: probing(0) };
    expect(await podloom("verify")).toBe(0);
    expect(out).toMatch(/2\/2 ordered pod pairs reachable, 0 of 10 pings lost/);
    answers = { get: () => ({ rows: PODS, missing: [] }), probe: probing(1) };
    expect(await podloom("verify")).toBe(1);
    expect(out).toMatch(/^a → b: 1 of 5 pings lost$/m);
    expect(out).toMatch(/2\/2 ordered pod pairs reachable, 2 of 10 pings lost/);
  });

  test("pods of a node that could not be asked were not tried: that is no success", async () => {
    const missing = [{ node: "node2", why: "it does not run" }];
    answers = { get: () => ({ rows: PODS, missing }), probe: probing(0) };
    expect(await podloom("verify", "-o", "json")).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ summary: { sent: 10, received: 10 } });
    expect(err).toBe("node node2 and its pods were left out: it does not run\n");
  });

  test("one pod makes no pair", async () => {
    answers = { get: () => ({ rows: PODS.slice(1), missing: [] }) };
    expect(await podloom("verify")).toBe(1);
    expect(err).toMatch(/a pair needs two/);
  });
});

describe("wait", () => {
  const node = (name: string, leases: readonly string[], phase = "ready") => ({
    name,
    status: "running",
    pods: [],
    state: { name, phase, leases, pods: [], store: "Synced", pid: 1 } as unknown as NodeState,
  });
  const LEASES = ["10.244.1.0/24", "10.244.2.0/24"];

  test("--timeout: exit 4, nothing on stdout, and what it waited for", async () => {
    answers = {
      status: () => ({ nodes: [node("n1", LEASES), node("n2", LEASES.slice(1))], storeLeases: LEASES }),
    };
    expect(await podloom("wait", "--for=converged", "--timeout", "300ms")).toBe(4);
    expect(out).toBe("");
    expect(err).toMatch(/not converged after 0\.3s: .*n2 .*1 of 2 leases.*\[PL_TIMEOUT\]/);
  });

  test("ready is enough where converged is not", async () => {
    answers = { status: () => ({ nodes: [node("n1", LEASES), node("n2", [])], storeLeases: LEASES }) };
    expect(await podloom("wait", "--for=ready", "--timeout", "5s")).toBe(0);
    expect(out).toBe("ready: 2 nodes\n");
  });

  test("converged says of how many nodes and leases", async () => {
    answers = { status: () => ({ nodes: [node("n1", LEASES), node("n2", LEASES)], storeLeases: LEASES }) };
    expect(await podloom("wait")).toBe(0);
    expect(out).toBe("converged: 2 nodes, 2 leases\n");
  });

  test("a store that does not answer is not taken for an empty one", async () => {
    answers = { status: () => ({ nodes: [node("n1", [])], storeLeases: undefined }) };
    expect(await podloom("wait", "--timeout", "200ms")).toBe(4);
    expect(err).toMatch(/the store does not answer/);
  });
});
