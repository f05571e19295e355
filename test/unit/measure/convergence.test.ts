import { describe, expect, test } from "vitest";
import type { NodeState } from "../../../src/io/ipc/protocol.ts";
import { judgeConvergence, type LabView, waitForConvergence } from "../../../src/measure/convergence.ts";

const LEASES = ["10.244.1.0/24", "10.244.2.0/24"];

function state(name: string, change: Partial<NodeState> = {}): NodeState {
  return {
    name,
    pid: 1,
    phase: "ready",
    leases: LEASES,
    ignored: [],
    store: "Synced",
    pods: [`${name}-pod1`],
    failedPods: [],
    ...change,
  };
}

function view(first: NodeState | undefined, storeLeases: readonly string[] | undefined = LEASES): LabView {
  return {
    nodes: [
      {
        name: "a",
        listsLeases: true,
        state: first,
        pods: ["a-pod1"],
        ...(first === undefined ? { reason: "exit code 1" } : {}),
      },
      { name: "b", listsLeases: true, state: state("b"), pods: ["b-pod1"] },
    ],
    storeLeases,
  };
}

describe("judgeConvergence", () => {
  test("converged: ready, pods attached, and everybody lists what the store holds, in any order", () => {
    expect(judgeConvergence(view(state("a", { leases: [...LEASES].reverse() })), "converged")).toEqual({
      converged: true,
      hopeless: false,
      ready: 2,
      nodes: 2,
      leases: 2,
      waitingFor: "",
    });
  });

  describe("with Calico", () => {
    const BLOCKS = ["192.168.1.0/26", "192.168.2.0/26"];
    const calico = (leases: readonly string[]): LabView => ({
      nodes: [
        { name: "tor1", listsLeases: false, state: state("tor1", { leases: [], pods: [] }), pods: [] },
        { name: "a", listsLeases: true, state: state("a", { leases }), pods: [] },
      ],
      storeLeases: BLOCKS,
      storeOptional: ["192.168.3.0/26"],
      unit: "block",
    });

    test("a router is only to be ready, and a block that nobody needs may be listed or not", () => {
      const seen = { converged: true, nodes: 1, ready: 1, leases: 2 };
      expect(judgeConvergence(calico(BLOCKS), "converged")).toMatchObject(seen);
      expect(judgeConvergence(calico([...BLOCKS, "192.168.3.0/26"]), "converged")).toMatchObject(seen);
    });

    test.each([
      [BLOCKS.slice(1), "a (1 block to install)"],
      [[...BLOCKS, "192.168.9.0/26"], "a (1 block to remove)"],
    ])("%j", (leases, waitingFor) => {
      expect(judgeConvergence(calico(leases), "converged")).toMatchObject({ converged: false, waitingFor });
    });

    test("a router that is not ready is waited for", () => {
      const view = calico(BLOCKS);
      const tor1 = { name: "tor1", listsLeases: false, state: undefined, pods: [] };
      const seen = judgeConvergence({ ...view, nodes: [tor1, ...view.nodes.slice(1)] }, "converged");
      expect(seen).toMatchObject({ converged: false, waitingFor: "tor1 (starting)" });
    });
  });

  const cases: readonly (readonly [string, LabView, string])[] = [
    ["a dead node", view(undefined), "a (not running: exit code 1)"],
    [
      "a fenced node",
      view(state("a", { phase: "fenced", reason: "lease expired" })),
      "a (fenced: lease expired)",
    ],
    ["a node without its pods", view(state("a", { pods: [] })), "a (1 pod to attach)"],
    ["a node that lags", view(state("a", { leases: ["10.244.1.0/24"] })), "a (1 lease to install)"],
    [
      "a node with a lease too many",
      view(state("a", { leases: [...LEASES, "10.244.9.0/24"] })),
      "a (1 lease to remove)",
    ],
    // As many leases as the store, but others: counting would not notice.
    [
      "a stale list of the right length",
      view(state("a", { leases: ["10.244.1.0/24", "10.244.9.0/24"] })),
      "a (1 lease to install, 1 to remove)",
    ],
    [
      "all nodes agreeing on what the store does not hold",
      view(state("a"), []),
      "a (2 leases to remove) and 1 more",
    ],
    // The list came, and the watch that keeps it true does not stand yet, or no more.
    [
      "a node whose watch does not stand",
      view(state("a", { store: "Syncing" })),
      "a (still reading the store)",
    ],
    ["a node cut off", view(state("a", { store: "Disconnected" })), "a (cut off from the store)"],
    [
      "a lease that a node neither lists nor ignores",
      view(state("a", { ignored: ["10.244.8.0/24"] }), [...LEASES, "10.244.7.0/24"]),
      "a (1 lease to install) and 1 more",
    ],
  ];
  for (const [name, look, waitingFor] of cases) {
    test(`not with ${name}`, () => {
      expect(judgeConvergence(look, "converged")).toMatchObject({ converged: false, waitingFor });
    });
  }

  test("not while the store is silent; ready does not ask it", () => {
    const silent: LabView = { ...view(state("a")), storeLeases: undefined };
    expect(judgeConvergence(silent, "converged").waitingFor).toBe("the store (it does not answer)");
    expect(judgeConvergence(silent, "ready").converged).toBe(true);
  });

  test("leases that a node rightly ignores are none that it lacks; each node has its own", () => {
    const bad = "10.244.7.0/24";
    const overlapsA = "10.244.1.128/25";
    const look: LabView = {
      nodes: [
        { name: "a", listsLeases: true, state: state("a", { ignored: [overlapsA, bad] }), pods: [] },
        {
          name: "b",
          listsLeases: true,
          state: state("b", { ignored: [bad], leases: [...LEASES, overlapsA] }),
          pods: [],
        },
      ],
      storeLeases: [...LEASES, overlapsA, bad],
    };
    // What everybody ignores is no lease.
    expect(judgeConvergence(look, "converged")).toMatchObject({ converged: true, leases: 3 });
    expect(judgeConvergence({ ...look, storeLeases: LEASES }, "converged").waitingFor).toBe(
      "b (1 lease to remove)",
    );
  });

  test("a pod that cannot be attached: no hope, and why, whatever else is missing", () => {
    const reason = "requested IP address 10.244.0.5 is not available in range set 10.244.1.1-10.244.1.254";
    const failedPods = [{ name: "a-pod1", reason }];
    for (const goal of ["ready", "converged"] as const) {
      expect(
        judgeConvergence(view(state("a", { pods: [], failedPods, store: "Syncing" })), goal),
      ).toMatchObject({
        converged: false,
        hopeless: true,
        waitingFor: `a (pod a-pod1 cannot be attached: ${reason})`,
      });
    }
    // Attached after all, or nobody asked for it.
    expect(judgeConvergence(view(state("a", { failedPods })), "ready").converged).toBe(true);
    const other = [{ name: "other", reason }];
    expect(judgeConvergence(view(state("a", { failedPods: other })), "ready").converged).toBe(true);
  });
});

describe("waitForConvergence", () => {
  test("asks the store only when every node is ready, and answers once they agree", async () => {
    const looks: boolean[] = [];
    let n = 0;
    const result = await waitForConvergence(
      (withStore) => {
        looks.push(withStore);
        return Promise.resolve(
          view(++n < 2 ? state("a", { phase: "acquiring" }) : state("a"), withStore ? LEASES : undefined),
        );
      },
      { goal: "converged", timeoutMs: 5000, pollMs: 1 },
    );
    expect(result.converged).toBe(true);
    expect(looks).toEqual([false, false, true]);
  });

  test("gives up in time and says what for it waited", async () => {
    const result = await waitForConvergence(() => Promise.resolve(view(undefined)), {
      goal: "ready",
      timeoutMs: 20,
      pollMs: 5,
    });
    expect(result).toMatchObject({ converged: false, waitingFor: "a (not running: exit code 1)" });
  });

  test("does not wait for what never will be", async () => {
    const failedPods = [{ name: "a-pod1", reason: "no" }];
    const result = await waitForConvergence(
      () => Promise.resolve(view(state("a", { pods: [], failedPods }))),
      { goal: "ready", timeoutMs: 60_000, pollMs: 60_000 },
    );
    expect(result).toMatchObject({ converged: false, hopeless: true });
    expect(result.elapsedMs).toBeLessThan(5000);
  });

  test("ends when it is told to", async () => {
    const abort = new AbortController();
    const waiting = waitForConvergence(() => Promise.resolve(view(undefined)), {
      goal: "ready",
      timeoutMs: 60_000,
      pollMs: 60_000,
      signal: abort.signal,
    });
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });
});
