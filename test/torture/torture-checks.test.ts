// The checks of the torture themselves: what cannot fail proves nothing.
import { describe, expect, test } from "vitest";
import { type Belief, checkBeliefs } from "../support/torture-claimant.ts";
import { type Change, checkHistory, History } from "../support/torture-history.ts";
import { planTorture } from "../support/torture-plan.ts";
import { checkDeliveries, type Delivery } from "../support/torture-reflector.ts";

const SIZE = { durationMs: 60_000, reflectors: 5, claimants: 8 };

describe("the plan of a run", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(planTorture(7, SIZE)).toEqual(planTorture(7, SIZE));
    expect(planTorture(7, SIZE)).not.toEqual(planTorture(8, SIZE));
  });

  test.each([1_000, 5_000, 60_000])("has everything in it, in %d ms too", (durationMs) => {
    for (let seed = 0; seed < 50; seed++) {
      const planned = planTorture(seed, { ...SIZE, durationMs });
      const kinds = new Set(planned.map(({ fault }) => fault.t));
      expect([...kinds].sort()).toEqual(
        ["blackHole", "compact", "cut", "freeze", "jump", "kill", "leave", "pause", "suspend"].sort(),
      );
      const holes = planned.flatMap(({ fault }) => (fault.t === "blackHole" ? [fault.dark] : []));
      expect(new Set(holes)).toEqual(new Set([true, false]));
      expect(planned.every(({ atMs }) => atMs < durationMs)).toBe(true);
      expect(planned.length).toBeLessThan(400);
    }
  });
});

/** Keys a and b are written in revisions 2 to 6; 4 writes both, 5 deletes a. */
const CHANGES: readonly Change[] = [
  { revision: 2, key: "a", value: "1" },
  { revision: 3, key: "b", value: "2" },
  { revision: 4, key: "a", value: "3" },
  { revision: 4, key: "b", value: "3" },
  { revision: 5, key: "a", value: undefined },
  { revision: 6, key: "b", value: "4" },
];

function historyOf(changes: readonly Change[]): History {
  const history = new History();
  history.changes.push(...changes);
  return history;
}

const at = (index: number): Change => CHANGES[index] as Change;
const watched = (...indexes: number[]): Delivery[] => indexes.map((i) => ({ t: "watch", change: at(i) }));
/** The list of revision 3. */
const LISTED: readonly Delivery[] = [
  { t: "snapshot", revision: 3, changes: [at(0), at(1)] },
  { t: "list", change: at(0) },
  { t: "list", change: at(1) },
  { t: "synced" },
];
/** A later list, of revision 5, and what it changes. */
const RELISTED: readonly Delivery[] = [
  { t: "snapshot", revision: 5, changes: [at(3)] },
  { t: "list", change: at(4) },
  { t: "list", change: at(3) },
  { t: "synced" },
];

describe("what a reflector delivers", () => {
  const history = historyOf(CHANGES);
  const check = (...deliveries: Delivery[]): string[] => checkDeliveries(history, deliveries);

  test("is right with a list and all that came after, with a list in the middle too", () => {
    expect(check(...LISTED, ...watched(2, 3, 4, 5))).toEqual([]);
    expect(check(...LISTED, ...RELISTED, ...watched(5))).toEqual([]);
    const nothingNewInB = RELISTED.filter((delivery) => delivery.t !== "list" || delivery.change.key === "a");
    expect(check(...LISTED, ...watched(2, 3), ...nothingNewInB, ...watched(5))).toEqual([]);
  });

  test("is wrong when one is missing, at the end too", () => {
    expect(check(...LISTED, ...watched(2, 4, 5)).join()).toContain(
      "a=(deleted)@5 was delivered where b=3@4 was due",
    );
    expect(check(...LISTED, ...watched(2, 3, 4)).join()).toContain(
      "the last 1 changes are missing, from b=4@6",
    );
  });

  test("is wrong when one is doubled, or comes after a later one", () => {
    expect(check(...LISTED, ...watched(2, 3, 3, 4, 5)).join()).toContain(
      "b=3@4 was delivered after revision 4",
    );
    expect(check(...LISTED, ...watched(2, 3, 5, 4)).join()).toContain(
      "b=4@6 was delivered where a=(deleted)@5",
    );
  });

  test("is wrong when a list is not what the store held, or its differences are not told", () => {
    const [snapshot, ...differences] = RELISTED as [Delivery, ...Delivery[]];
    expect(check(...LISTED, { ...snapshot, revision: 4 } as Delivery, ...differences).join()).toContain(
      "the list of revision 4: 1 keys differ",
    );
    expect(check(...LISTED, snapshot, { t: "synced" }, ...watched(5)).join()).toContain(
      "what followed from a list: 2 keys differ",
    );
    // The same when the list never comes to its end: what is known in the end is not what there is.
    expect(check(...LISTED, snapshot, ...watched(5))).toEqual([
      "the end: 1 keys differ; a=1@2 is known, nothing was right",
    ]);
  });

  test("is wrong when a store is called wiped that never was", () => {
    expect(check(...LISTED, { t: "wiped" }, ...watched(2, 3, 4, 5))).toEqual([
      "the store was called wiped, and never was",
    ]);
  });

  test("is one fault when one is missing, and the rest is judged as if it had not been", () => {
    expect(check(...LISTED, ...watched(2, 4, 5))).toEqual([
      "a=(deleted)@5 was delivered where b=3@4 was due",
    ]);
  });
});

test("a history is wrong that lacks what was acknowledged, has it otherwise, or has what nobody sent", () => {
  const sent = (): boolean => true;
  const acknowledged = [{ revision: 4, changes: [at(2), at(3)] }];
  expect(checkHistory(historyOf(CHANGES), acknowledged, sent)).toEqual([]);
  const without = CHANGES.filter((change) => change !== at(3));
  expect(checkHistory(historyOf(without), acknowledged, sent).join()).toContain(
    "revision 4 was acknowledged as",
  );
  expect(checkHistory(historyOf(CHANGES), [], (_, value) => value !== "4").join()).toContain(
    "nobody wrote b=4",
  );
  const twice = [...CHANGES, { revision: 7, key: "b", value: "4" }];
  expect(checkHistory(historyOf(twice), [], sent).join()).toContain("is in revisions 6 and 7");
});

test("a history is wrong whose revisions go back, or in which two writes were told the same one", () => {
  const sent = (key: string, value: string): boolean => typeof value === "string" && key !== "";
  const known = [{ revision: 2, changes: [at(0)] }];
  expect(checkHistory(historyOf([at(1), at(0)]), [], sent)).toEqual(["revision 2 came after 3"]);
  expect(checkHistory(historyOf(CHANGES), [...known, ...known], sent)).toEqual([
    "two writes were acknowledged as revision 2",
  ]);
  // A deletion has no value, and so is neither unsent nor doubled.
  const deletedTwice: Change[] = [...CHANGES, { revision: 7, key: "a", value: "5" }];
  deletedTwice.push({ revision: 8, key: "a", value: undefined });
  expect(checkHistory(historyOf(deletedTwice), [], sent)).toEqual([]);
});

test("a subnet that two believe to hold at the same time is found, one that is handed over is not", () => {
  const belief = (claimant: number, from: number, until: number): Belief => ({
    claimant,
    subnet: "10.77.1.0/24",
    from,
    until,
  });
  expect(checkBeliefs([belief(1, 0, 10), belief(1, 10, 20), belief(2, 20, 30)])).toEqual([]);
  expect(checkBeliefs([belief(1, 0, 20_000), belief(2, 15_000, 30_000)])).toEqual([
    "10.77.1.0/24 was held by claimants 1 and 2 at once, for 5 ms",
  ]);
  expect(
    checkBeliefs([belief(1, 0, 50_000), belief(1, 1_000, 2_000), belief(2, 15_000, 30_000)]),
  ).toHaveLength(1);
  // In whichever order they were noted; and it is the shorter of the two that says for how long.
  expect(checkBeliefs([belief(2, 15_000, 20_000), belief(1, 0, 50_000)])).toEqual([
    "10.77.1.0/24 was held by claimants 1 and 2 at once, for 5 ms",
  ]);
  // Of different subnets nobody is in the way of another.
  expect(checkBeliefs([belief(1, 0, 10), { ...belief(2, 0, 10), subnet: "10.77.2.0/24" }])).toEqual([]);
});
