import { describe, expect, test } from "vitest";
import type { NodeState } from "../../../src/io/ipc/protocol.ts";
import { judgeConvergence, type LabView, waitForConvergence } from "../../../src/measure/convergence.ts";

const LEASES = ["10.244.1.0/24", "10.244.2.0/24"];

function state(name: string, change: Partial<NodeState> = {}): NodeState {
  return { name, pid: 1, phase: "ready", leases: LEASES, store: "Synced", pods: [`${name}-pod1`], ...change };
}

function view(first: NodeState | undefined, storeLeases: readonly string[] | undefined = LEASES): LabView {
  return {
    nodes: [
      {
        name: "a",
        state: first,
        pods: ["a-pod1"],
        ...(first === undefined ? { reason: "exit code 1" } : {}),
      },
      { name: "b", state: state("b"), pods: ["b-pod1"] },
    ],
    storeLeases,
  };
}

describe("judgeConvergence", () => {
  test("converged: ready, pods attached, and everybody lists what the store holds, in any order", () => {
    expect(judgeConvergence(view(state("a", { leases: [...LEASES].reverse() })), "converged")).toEqual({
      converged: true,
      ready: 2,
      nodes: 2,
      leases: 2,
      waitingFor: "",
    });
  });

  const cases: readonly (readonly [string, LabView, string])[] = [
    ["a dead node", view(undefined), "a (not running: exit code 1)"],
    [
      "a fenced node",
      view(state("a", { phase: "fenced", reason: "lease expired" })),
      "a (fenced: lease expired)",
    ],
    ["a node without its pods", view(state("a", { pods: [] })), "a (1 pods to attach)"],
    ["a node that lags", view(state("a", { leases: ["10.244.1.0/24"] })), "a lists 1 of 2 leases"],
    [
      "a node with a lease too many",
      view(state("a", { leases: [...LEASES, "10.244.9.0/24"] })),
      "a lists 3 of 2 leases",
    ],
    // As many leases as the store, but others: counting would not notice.
    [
      "a stale list of the right length",
      view(state("a", { leases: ["10.244.1.0/24", "10.244.9.0/24"] })),
      "a lists 2 of 2 leases",
    ],
    [
      "all nodes agreeing on what the store does not hold",
      view(state("a"), []),
      "a lists 2 of 0 leases and 1 more",
    ],
  ];
  for (const [name, look, waitingFor] of cases) {
    test(`not with ${name}`, () => {
      expect(judgeConvergence(look, "converged")).toMatchObject({ converged: false, waitingFor });
    });
  }

  test("not while the store is silent; ready does not ask it", () => {
    const silent: LabView = { ...view(state("a")), storeLeases: undefined };
    expect(judgeConvergence(silent, "converged").waitingFor).toBe("the store does not answer");
    expect(judgeConvergence(silent, "ready").converged).toBe(true);
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
