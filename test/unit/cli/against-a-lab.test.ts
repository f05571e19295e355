// Commands against the socket of a lab, with a supervisor that answers what each test wants: exit codes, and what is said.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeState, ProbeArgs } from "../../../src/io/ipc/protocol.ts";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import { FakeLab } from "../../support/fake-lab.ts";

let lab: FakeLab;
beforeEach(async () => {
  lab = await FakeLab.start();
});
afterEach(() => lab.dispose());

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
    lab.answers = { get: () => ({ rows: PODS, missing: [{ node: "node2", why: "it does not run" }] }) };
    expect(await lab.podloom("get", "pods")).toBe(1);
    expect(lab.out).toMatch(/^NAME +NODE +IP\na +node1 +10\.244\.1\.2\nb /);
    expect(lab.err).toBe("node node2 could not be asked: it does not run\n");
  });

  test("nothing: a table says so on stderr, JSON stays JSON", async () => {
    lab.answers = { get: () => ({ rows: [], missing: [] }) };
    expect(await lab.podloom("get", "pods")).toBe(0);
    expect([lab.out, lab.err]).toEqual(["", "no pods\n"]);
    expect(await lab.podloom("get", "pods", "-o", "json")).toBe(0);
    expect(JSON.parse(lab.out)).toEqual({ items: [] });
  });
});

describe("exec", () => {
  test("ends with the command's own exit code; both streams are kept apart", async () => {
    lab.answers = {
      exec: (_, request) => {
        request.chunk("stdout", "to stdout\n");
        request.chunk("stderr", "to stderr\n");
        return { exitCode: 42 };
      },
    };
    expect(await lab.podloom("exec", "a", "--", "ping", "-c", "1", "10.0.0.1")).toBe(42);
    expect([lab.out, lab.err]).toEqual(["to stdout\n", "to stderr\n"]);
  });

  test("passes every argument on as it is, flags like podloom's own among them", async () => {
    let heard: unknown;
    lab.answers = {
      exec: (args: unknown) => {
        heard = args;
        return { exitCode: 0 };
      },
    };
    await lab.podloom("exec", "node/node1", "--", "ip", "-s", "--lab", "x", "--", "-o");
    expect(heard).toEqual({
      target: { t: "node", node: "node1" },
      argv: ["ip", "-s", "--lab", "x", "--", "-o"],
    });
  });

  test("what the lab refuses is said with its code", async () => {
    lab.answers = {
      exec: () => {
        throw new PodloomError("PL_NO_POD", 'no pod "a"; there are none');
      },
    };
    expect(await lab.podloom("exec", "a", "ping")).toBe(1);
    expect(lab.err).toMatch(/^error: no pod "a"; there are none \[PL_NO_POD\]\n/);
  });
});

describe("verify", () => {
  test("every ping answered: exit 0; one lost: exit 1, and the pair is named", async () => {
    lab.answers = { get: () => ({ rows: PODS, missing: [] }), probe: probing(0) };
    expect(await lab.podloom("verify")).toBe(0);
    expect(lab.out).toMatch(/2\/2 ordered pod pairs reachable, 0 of 10 pings lost/);
    lab.answers = { get: () => ({ rows: PODS, missing: [] }), probe: probing(1) };
    expect(await lab.podloom("verify")).toBe(1);
    expect(lab.out).toMatch(/^a → b: 1 of 5 pings lost$/m);
    expect(lab.out).toMatch(/2\/2 ordered pod pairs reachable, 2 of 10 pings lost/);
  });

  test("pods of a node that could not be asked were not tried: that is no success", async () => {
    const missing = [{ node: "node2", why: "it does not run" }];
    lab.answers = { get: () => ({ rows: PODS, missing }), probe: probing(0) };
    expect(await lab.podloom("verify", "-o", "json")).toBe(1);
    expect(JSON.parse(lab.out)).toMatchObject({ summary: { sent: 10, received: 10 } });
    expect(lab.err).toBe("node node2 and its pods were left out: it does not run\n");
  });

  test("one pod makes no pair", async () => {
    lab.answers = { get: () => ({ rows: PODS.slice(1), missing: [] }) };
    expect(await lab.podloom("verify")).toBe(1);
    expect(lab.err).toMatch(
      /^error: there is 1 pod; a pair needs two \[PL_NO_POD\]\n {2}.*podloom up --nodes 2/,
    );
  });
});

describe("wait", () => {
  const node = (name: string, leases: readonly string[], phase = "ready") => ({
    name,
    role: "node",
    status: "running",
    pods: [],
    state: {
      name,
      phase,
      leases,
      ignored: [],
      pods: [],
      failedPods: [],
      store: "Synced",
      pid: 1,
    } as unknown as NodeState,
  });
  const LEASES = ["10.244.1.0/24", "10.244.2.0/24"];

  test("--timeout: exit 4, nothing on stdout, and what it waited for", async () => {
    lab.answers = {
      status: () => ({ nodes: [node("n1", LEASES), node("n2", LEASES.slice(1))], storeLeases: LEASES }),
    };
    expect(await lab.podloom("wait", "--for=converged", "--timeout", "300ms")).toBe(4);
    expect(lab.out).toBe("");
    expect(lab.err).toMatch(
      /not converged after 0\.3s: waiting for n2 .*1 lease .*\[PL_TIMEOUT\]\n {2}.*--timeout 5m waits longer/,
    );
  });

  test("ready is enough where converged is not", async () => {
    lab.answers = { status: () => ({ nodes: [node("n1", LEASES), node("n2", [])], storeLeases: LEASES }) };
    expect(await lab.podloom("wait", "--for=ready", "--timeout", "5s")).toBe(0);
    expect(lab.out).toBe("ready: 2 nodes\n");
  });

  test("converged says of how many nodes and leases", async () => {
    lab.answers = {
      status: () => ({ nodes: [node("n1", LEASES), node("n2", LEASES)], storeLeases: LEASES }),
    };
    expect(await lab.podloom("wait")).toBe(0);
    expect(lab.out).toBe("converged: 2 nodes, 2 leases\n");
  });

  test("a store that does not answer is not taken for an empty one", async () => {
    lab.answers = { status: () => ({ nodes: [node("n1", [])], storeLeases: undefined }) };
    expect(await lab.podloom("wait", "--timeout", "200ms")).toBe(4);
    expect(lab.err).toMatch(/the store .*does not answer/);
  });

  test("one is one", async () => {
    lab.answers = { status: () => ({ nodes: [node("n1", LEASES.slice(1))], storeLeases: LEASES.slice(1) }) };
    expect(await lab.podloom("wait")).toBe(0);
    expect(lab.out).toBe("converged: 1 node, 1 lease\n");
  });
});
