// Every request of IPAM is cut off at every operation, before and after the store has carried it out: `ipam check` finds exactly
// the residue that the order of writes leaves, nobody owns an address twice, and a retry or the next request heals it.
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../src/base/time.ts";
import type { IpamPool } from "../../src/control/calico/ipam/ipam-context.ts";
import type { IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import { autoAssign, IpamCluster, releaseHandle } from "../support/ipam-cluster.ts";
import { poolOf } from "../support/ipam-host.ts";

interface Scenario {
  readonly what: string;
  readonly pools: readonly IpamPool[];
  readonly prepare: (cluster: IpamCluster) => void;
  /** The request that is cut off; host-1 asks it. */
  readonly request: IpamRequest;
  /** What is found after each operation, repetitions left out. */
  readonly residues: readonly string[];
  /** What a kubelet, or the node's next pod, does after the restart. */
  readonly heal: (cluster: IpamCluster) => void;
}

const SMALL = [poolOf("10.0.0.0/29", 30)];
const ONE_BLOCK = [poolOf("10.0.0.0/30", 30)];

/** DEL and ADD: what a kubelet does when an ADD was not answered. */
function addAgain(cluster: IpamCluster): void {
  cluster.do("host-1", releaseHandle("h"));
  expect(cluster.assign("host-1", "h")?.addrs).toHaveLength(1);
}

const SCENARIOS: readonly Scenario[] = [
  {
    what: "allocate, with a block to claim",
    pools: SMALL,
    prepare: () => undefined,
    request: autoAssign("host-1", "h"),
    residues: ["nothing", "noBlock", "unconfirmed", "nothing", "leaked handle", "leaked address"],
    heal: addAgain,
  },
  {
    what: "allocate in an own block, for a handle that has an address already",
    pools: SMALL,
    prepare: (cluster) => cluster.assign("host-1", "h"),
    request: autoAssign("host-1", "h"),
    residues: ["nothing", "counts too many", "leaked address"],
    heal: addAgain,
  },
  {
    what: "allocate a particular address",
    pools: SMALL,
    prepare: () => undefined,
    request: {
      t: "assignIp",
      host: "host-1",
      addr: ipv4("10.0.0.6"),
      handle: "h",
      attributes: { node: "host-1" },
    },
    residues: ["nothing", "noBlock", "unconfirmed", "nothing", "leaked handle", "leaked address"],
    heal: addAgain,
  },
  {
    what: "allocate across two blocks",
    pools: SMALL,
    prepare: () => undefined,
    request: autoAssign("host-1", "h", 5),
    residues: [
      "nothing",
      "noBlock",
      "unconfirmed",
      "nothing",
      "leaked handle",
      "leaked address + leaked address + leaked address + leaked address",
      "leaked address + leaked address + leaked address + leaked address + noBlock",
      "leaked address + leaked address + leaked address + leaked address + unconfirmed",
      "leaked address + leaked address + leaked address + leaked address",
      "counts too many + leaked address + leaked address + leaked address + leaked address",
      "leaked address + leaked address + leaked address + leaked address + leaked address",
    ],
    heal: addAgain,
  },
  {
    what: "borrow",
    pools: ONE_BLOCK,
    prepare: (cluster) => cluster.assign("host-2", "other"),
    request: autoAssign("host-1", "h"),
    residues: ["nothing", "leaked handle", "leaked address"],
    heal: addAgain,
  },
  {
    what: "reclaim another host's empty block",
    pools: ONE_BLOCK,
    prepare: (cluster) => {
      cluster.assign("host-2", "other");
      cluster.do("host-2", releaseHandle("other"));
      cluster.wait(61 * SEC_US);
    },
    request: autoAssign("host-1", "h"),
    residues: [
      "nothing",
      "unconfirmed",
      "noBlock",
      "nothing",
      "noBlock",
      "unconfirmed",
      "nothing",
      "leaked handle",
      "leaked address",
    ],
    heal: (cluster) => {
      addAgain(cluster);
      // The other host finds its affinity to be stale, and borrows.
      expect(cluster.assign("host-2", "other")?.addrs).toHaveLength(1);
    },
  },
  {
    what: "release",
    pools: SMALL,
    prepare: (cluster) => {
      cluster.assign("host-1", "h", 2);
      cluster.assign("host-1", "other");
    },
    request: releaseHandle("h"),
    residues: ["leaked address + leaked address", "leaked handle", "nothing"],
    heal: (cluster) => expect(cluster.do("host-1", releaseHandle("h"))?.error).toBeUndefined(),
  },
  {
    what: "release the last address of nobody's block",
    pools: SMALL,
    prepare: (cluster) => {
      cluster.assign("host-1", "h");
      cluster.do("host-1", { t: "releaseHostAffinities", host: "host-1", requireEmpty: false });
    },
    request: releaseHandle("h"),
    residues: ["leaked address", "leaked handle", "nothing"],
    heal: (cluster) => expect(cluster.do("host-1", releaseHandle("h"))?.error).toBeUndefined(),
  },
  {
    what: "give up the blocks of a host, one empty and one not",
    pools: SMALL,
    prepare: (cluster) => {
      cluster.assign("host-1", "first", 4);
      cluster.assign("host-1", "second", 4);
      cluster.do("host-1", releaseHandle("first"));
    },
    request: { t: "releaseHostAffinities", host: "host-1", requireEmpty: false },
    // host-1 starts in the second block.
    residues: ["nothing", "unconfirmed", "notOwner", "nothing", "unconfirmed", "noBlock", "nothing"],
    heal: (cluster) => {
      const request: IpamRequest = { t: "releaseHostAffinities", host: "host-1", requireEmpty: false };
      expect(cluster.do("host-1", request)?.error).toBeUndefined();
    },
  },
];

/** Cuts the request off at its operation `at`. Answers what is found then; undefined when it came to its end. */
function cutOff(scenario: Scenario, at: number, sent: boolean): string | undefined {
  const cluster = new IpamCluster(at, scenario.pools);
  scenario.prepare(cluster);
  expect(cluster.residue()).toBe("nothing");
  const host = cluster.host("host-1");
  host.ops.length = 0;
  host.crash = { at, sent };
  const answer = cluster.do("host-1", scenario.request);
  host.crash = undefined;
  if (answer !== undefined) expect(answer.error).toBeUndefined();
  const found = cluster.residue();
  scenario.heal(cluster);
  expect(cluster.residue(), `healed from ${found}`).toBe("nothing");
  cluster.releaseAll();
  return answer === undefined ? found : undefined;
}

describe("a host dies at every operation", () => {
  test.each(SCENARIOS)("$what", (scenario) => {
    const after: string[] = [];
    let before: string | undefined;
    let at = 1;
    for (; ; at++) {
      before = cutOff(scenario, at, false);
      if (before === undefined) break;
      // What stands before an operation is what stood after the one before it.
      if (at > 1) expect(before, `before operation ${at}`).toBe(after.at(-1));
      after.push(cutOff(scenario, at, true) as string);
    }
    expect(after.filter((found, i) => found !== after[i - 1])).toEqual(scenario.residues);
    expect(at).toBeGreaterThan(3);
  });
});

/** The operation `at` gets lost once, or its answer. Nobody may notice. Answers false when there are not so many operations. */
function lose(scenario: Scenario, at: number, kind: "loseRequest" | "loseReply"): boolean {
  const cluster = new IpamCluster(at, scenario.pools);
  scenario.prepare(cluster);
  const host = cluster.host("host-1");
  host.ops.length = 0;
  host.loss = { at, kind };
  const answer = cluster.do("host-1", scenario.request);
  host.loss = undefined;
  cluster.store.faults[kind] = 0;
  const sent = host.ops.length;
  expect(answer?.error).toBeUndefined();
  expect(cluster.residue(), `operation ${at}`).toBe("nothing");
  cluster.releaseAll();
  return sent >= at;
}

describe("the store does not answer one operation, which it has carried out or not", () => {
  test.each(SCENARIOS)("$what", (scenario) => {
    for (const kind of ["loseRequest", "loseReply"] as const) {
      let at = 1;
      while (lose(scenario, at, kind)) at++;
      expect(at).toBeGreaterThan(3);
    }
  });
});

describe("an operation arrives after its host has died, restarted and released the handle", () => {
  test.each(SCENARIOS.filter(({ request }) => request.t === "autoAssign" || request.t === "assignIp"))(
    "$what",
    (scenario) => {
      for (let at = 1; ; at++) {
        const cluster = new IpamCluster(at, scenario.pools);
        scenario.prepare(cluster);
        const dying = cluster.host("host-1");
        dying.ops.length = 0;
        dying.holdAt = at;
        if (cluster.do("host-1", scenario.request) !== undefined) break;
        cluster.do("host-1", releaseHandle("h"));
        dying.deliver(cluster.now);
        cluster.wait(SEC_US);
        // A handle or an affinity may have come back; an address never.
        expect(cluster.residue(), `operation ${at}`).not.toContain("address");
        cluster.releaseAll();
      }
    },
  );
});

test.each([
  [59, "noAddresses"],
  [61, undefined],
])("%i s after it was claimed, another host's empty block is to be had: %s", (sec, error) => {
  const cluster = new IpamCluster(1, ONE_BLOCK);
  // Strict: what is not its own it cannot borrow either.
  cluster.do("host-1", { t: "configure", change: { strictAffinity: true } });
  cluster.assign("host-2", "other");
  const since = cluster.now;
  cluster.do("host-2", releaseHandle("other"));
  cluster.wait(since + sec * SEC_US - cluster.now);
  expect(cluster.do("host-1", autoAssign("host-1", "h"))?.error?.code).toBe(error);
});
