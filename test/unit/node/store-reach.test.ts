import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { StoreEvent } from "../../../src/control/datastore/messages.ts";
import { StoreReach } from "../../../src/node/store-reach.ts";

const HEADER = { clusterId: "1", revision: 1 };
const ANSWER: StoreEvent = { t: "watchProgressed", watch: 1, header: HEADER };
const SILENCE: readonly StoreEvent[] = [
  { t: "watchBroken", watch: 1, message: "gone" },
  { t: "opFailed", id: 1, code: "unavailable", message: "" },
  { t: "opFailed", id: 2, code: "timeout", message: "" },
  { t: "slept", forUs: 5_000_000 },
];

const said: string[] = [];
let reach: StoreReach;
beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-28T10:00:00Z") });
  said.length = 0;
  reach = new StoreReach({
    log: (level, _room, event, message) => said.push(`${level} ${event} ${message}`),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

test("away since the last answer, not since the silence was noticed; each is said once", () => {
  reach.judge("Syncing");
  reach.note(ANSWER);
  reach.judge("Synced");
  expect([reach.awaySince, said]).toEqual([undefined, []]);
  vi.advanceTimersByTime(3000);
  // A refusal is an answer.
  reach.note({ t: "opFailed", id: 3, code: "leaseNotFound", message: "" });
  vi.advanceTimersByTime(4000);
  for (const event of SILENCE) reach.note(event);
  for (const _ of [1, 2]) reach.judge("Disconnected");
  expect(reach.awaySince).toBe("2026-11-28T10:00:03.000Z");
  vi.advanceTimersByTime(5000);
  // The first answer is not the end: until the watches stand, the node does not know what it has missed.
  reach.note(ANSWER);
  reach.judge("Syncing");
  expect(reach.awaySince).toBe("2026-11-28T10:00:03.000Z");
  for (const _ of [1, 2]) reach.judge("Synced");
  expect(reach.awaySince).toBeUndefined();
  expect(said).toEqual([
    "warn store-away the store does not answer: trying again; what is installed goes on forwarding",
    "info store-back the store answers again, after 9 s",
  ]);
});

test("the next outage counts anew, even when nothing was heard between", () => {
  reach.judge("Disconnected");
  vi.advanceTimersByTime(60_000);
  reach.judge("Synced");
  vi.advanceTimersByTime(1000);
  reach.judge("Disconnected");
  expect(reach.awaySince).toBe("2026-11-28T10:01:00.000Z");
});
