import { describe, expect, test } from "vitest";
import { type BfdState, Diag } from "../../../../src/wire/bfd.ts";
import { BfdBench } from "../../../support/bfd.ts";

// RFC 5880 section 6.8.6: each state, each state that the neighbour may tell.
const TABLE: readonly (readonly [state: BfdState, told: BfdState, next: BfdState])[] = [
  ["AdminDown", "AdminDown", "AdminDown"],
  ["AdminDown", "Down", "AdminDown"],
  ["AdminDown", "Init", "AdminDown"],
  ["AdminDown", "Up", "AdminDown"],
  ["Down", "AdminDown", "Down"],
  ["Down", "Down", "Init"],
  ["Down", "Init", "Up"],
  ["Down", "Up", "Down"],
  ["Init", "AdminDown", "Down"],
  ["Init", "Down", "Init"],
  ["Init", "Init", "Up"],
  ["Init", "Up", "Up"],
  ["Up", "AdminDown", "Down"],
  ["Up", "Down", "Down"],
  ["Up", "Init", "Up"],
  ["Up", "Up", "Up"],
];

describe.each(TABLE)("%s, told %s", (state, told, next) => {
  const bench = new BfdBench().in(state);
  expect(bench.state).toBe(state);
  bench.pass(100_000);
  const before = {
    sent: bench.sent.length,
    changes: bench.changes.length,
    diag: bench.session.status().diag,
  };
  bench.hear(told);

  test(`is ${next}`, () => {
    expect(bench.state).toBe(next);
    const [change] = bench.changes.slice(before.changes);
    if (next === state) expect(change).toBeUndefined();
    else expect(change).toMatchObject({ from: state, to: next, remoteState: told });
  });

  test("tells a new state at once, and only a new one", () => {
    const sent = bench.sent.slice(before.sent);
    expect(sent.map((packet) => packet.state)).toEqual(next === state ? [] : [next]);
  });

  test("says why", () => {
    const { diag } = bench.session.status();
    if (next === state || next === "Init") expect(diag).toBe(before.diag);
    else expect(diag).toBe(next === "Down" ? Diag.NEIGHBOR_SIGNALED_DOWN : Diag.NONE);
  });

  test("counts as a failure only if it was Up, and nobody took it down on purpose", () => {
    const failed = bench.changes.slice(before.changes).some((change) => change.failed);
    expect(failed).toBe(state === "Up" && told === "Down");
    expect(bench.session.status().counters.failed).toBe(failed ? 1 : 0);
  });
});

describe.each<[state: BfdState, next: BfdState]>([
  ["AdminDown", "AdminDown"],
  ["Down", "Down"],
  ["Init", "Down"],
  ["Up", "Down"],
])("%s, and silence", (state, next) => {
  const bench = new BfdBench().in(state).pass(10_000_000);

  test(`is ${next}`, () => {
    expect(bench.state).toBe(next);
    const expired = state === "Init" || state === "Up";
    expect(bench.changes.filter((change) => change.diag === Diag.DETECTION_TIME_EXPIRED)).toHaveLength(
      expired ? 1 : 0,
    );
    expect(bench.changes.some((change) => change.failed)).toBe(state === "Up");
  });

  test("forgets the neighbour", () => {
    expect(bench.session.status()).toMatchObject({ remoteDiscriminator: 0, remote: undefined });
    if (next === "Down") expect(bench.last).toMatchObject({ yourDiscriminator: 0, state: "Down" });
  });
});
