import { describe, expect, test } from "vitest";
import { SEC_US } from "../../../src/base/time.ts";
import {
  isValid,
  type Nud,
  type NudAction,
  type NudEvent,
  type NudParms,
  type NudState,
  newNud,
  step,
} from "../../../src/stack/neighbor/nud.ts";

const PARMS: NudParms = {
  reachableUs: 20 * SEC_US,
  baseReachableUs: 30 * SEC_US,
  delayFirstProbeUs: 5 * SEC_US,
  retransUs: SEC_US,
  mcastSolicit: 3,
  ucastSolicit: 3,
};
const NOW = 100 * SEC_US;
/** The address that the entry has, if any, and another one. */
const M = 0x0200_0000_0001;
const X = 0x0200_0000_0002;

const STATES: readonly NudState[] = [
  "NONE",
  "INCOMPLETE",
  "REACHABLE",
  "STALE",
  "DELAY",
  "PROBE",
  "FAILED",
  "PERMANENT",
  "NOARP",
];

/** An entry in `state` since time 0, unused and unconfirmed since; one probe sent where there are probes. */
function entry(state: NudState): Nud {
  const probes = state === "INCOMPLETE" ? 4 : state === "PROBE" ? 1 : 0;
  return { state, mac: isValid(state) ? M : undefined, probes, confirmed: 0, used: 0, updated: 0 };
}

function update(
  state: "REACHABLE" | "STALE" | "PERMANENT",
  mac: number,
  override: boolean,
  admin = false,
): NudEvent {
  return { t: "update", state, mac, override, admin };
}

const EVENTS = {
  send: { t: "send" },
  timer: { t: "timer" },
  "answer M": update("REACHABLE", M, false),
  "answer X, locked": update("REACHABLE", X, false),
  "answer X": update("REACHABLE", X, true),
  "heard M": update("STALE", M, false),
  "heard X, locked": update("STALE", X, false),
  "heard X": update("STALE", X, true),
  "set permanent X": update("PERMANENT", X, true, true),
  "set stale M": update("STALE", M, true, true),
  delete: { t: "update", state: "FAILED", mac: undefined, override: true, admin: true },
} as const satisfies Record<string, NudEvent>;

type EventName = keyof typeof EVENTS;

/** `STATE address: actions`, an unchanged entry as ".". One string per state, in the order of STATES. */
const TABLE: Record<EventName, readonly string[]> = {
  send: [
    "INCOMPLETE -: timer+1s, ask all",
    ".",
    ".",
    "DELAY M: timer+5s",
    ".",
    ".",
    "INCOMPLETE -: timer+1s, ask all",
    ".",
    ".",
  ],
  timer: [
    ".",
    "INCOMPLETE -: timer+1s, ask all",
    "STALE M:",
    ".",
    "PROBE M: timer+1s, ask M",
    "PROBE M: timer+1s, ask M",
    ".",
    ".",
    ".",
  ],
  "answer M": [
    "REACHABLE M: clear, timer+20s, send",
    "REACHABLE M: clear, timer+20s, send",
    ".",
    "REACHABLE M: clear, timer+20s",
    "REACHABLE M: clear, timer+20s",
    "REACHABLE M: clear, timer+20s",
    "REACHABLE M: clear, timer+20s, send",
    ".",
    ".",
  ],
  "answer X, locked": [
    "REACHABLE X: clear, timer+20s, send",
    "REACHABLE X: clear, timer+20s, send",
    ".",
    ".",
    ".",
    ".",
    "REACHABLE X: clear, timer+20s, send",
    ".",
    ".",
  ],
  "answer X": [
    "REACHABLE X: clear, timer+20s, send",
    "REACHABLE X: clear, timer+20s, send",
    "REACHABLE X:",
    "REACHABLE X: clear, timer+20s",
    "REACHABLE X: clear, timer+20s",
    "REACHABLE X: clear, timer+20s",
    "REACHABLE X: clear, timer+20s, send",
    ".",
    ".",
  ],
  "heard M": [
    "STALE M: clear, send",
    "STALE M: clear, send",
    ".",
    ".",
    ".",
    ".",
    "STALE M: clear, send",
    ".",
    ".",
  ],
  "heard X, locked": [
    "STALE X: clear, send",
    "STALE X: clear, send",
    ".",
    ".",
    ".",
    ".",
    "STALE X: clear, send",
    ".",
    ".",
  ],
  "heard X": [
    "STALE X: clear, send",
    "STALE X: clear, send",
    "STALE X: clear",
    "STALE X:",
    "STALE X: clear",
    "STALE X: clear",
    "STALE X: clear, send",
    ".",
    ".",
  ],
  "set permanent X": [
    "PERMANENT X: clear, send",
    "PERMANENT X: clear, send",
    "PERMANENT X: clear",
    "PERMANENT X: clear",
    "PERMANENT X: clear",
    "PERMANENT X: clear",
    "PERMANENT X: clear, send",
    "PERMANENT X:",
    "PERMANENT X: clear",
  ],
  "set stale M": [
    "STALE M: clear, send",
    "STALE M: clear, send",
    "STALE M: clear",
    ".",
    "STALE M: clear",
    "STALE M: clear",
    "STALE M: clear, send",
    "STALE M: clear",
    "STALE M: clear",
  ],
  delete: [
    "FAILED -: clear",
    "FAILED -: clear, fail",
    "FAILED -: clear",
    "FAILED -: clear",
    "FAILED -: clear",
    "FAILED -: clear, fail",
    "FAILED -: clear",
    "FAILED -: clear",
    "FAILED -: clear",
  ],
};

function address(mac: number | undefined): string {
  return mac === undefined ? "-" : mac === M ? "M" : "X";
}

function show(action: NudAction): string {
  switch (action.t) {
    case "setTimer":
      return `timer+${(action.at - NOW) / SEC_US}s`;
    case "clearTimer":
      return "clear";
    case "solicit":
      return `ask ${action.mac === undefined ? "all" : address(action.mac)}`;
    case "sendQueue":
      return "send";
    case "failQueue":
      return "fail";
  }
  return action satisfies never;
}

function outcome(before: Nud, event: NudEvent): string {
  const { state, actions } = step(before, event, NOW, PARMS);
  if (state.state === before.state && state.mac === before.mac && actions.length === 0) return ".";
  return `${state.state} ${address(state.mac)}: ${actions.map(show).join(", ")}`.trim();
}

describe("every state and event", () => {
  for (const name of Object.keys(EVENTS) as EventName[]) {
    test(name, () => {
      const row = STATES.map((state) => outcome(entry(state), EVENTS[name]));
      expect(row).toEqual(TABLE[name]);
    });
  }
});

describe("time", () => {
  test("three broadcasts, then failure and a report", () => {
    let nud = newNud(0, PARMS);
    const log: string[] = [];
    let at = 0;
    let next = step(nud, { t: "send" }, at, PARMS);
    for (;;) {
      nud = next.state;
      log.push(`${at / SEC_US}s ${nud.state} ${next.actions.map((a) => a.t).join(" ")}`);
      const timer = next.actions.find((a) => a.t === "setTimer");
      if (timer?.t !== "setTimer") break;
      at = timer.at;
      next = step(nud, { t: "timer" }, at, PARMS);
    }
    expect(log).toEqual([
      "0s INCOMPLETE setTimer solicit",
      "1s INCOMPLETE setTimer solicit",
      "2s INCOMPLETE setTimer solicit",
      "3s FAILED failQueue",
    ]);
  });

  test("a confirmation while REACHABLE puts off STALE to its own end", () => {
    const reachable = step(entry("STALE"), EVENTS["answer M"], NOW, PARMS).state;
    const later = NOW + 15 * SEC_US;
    const again = step(reachable, EVENTS["answer M"], later, PARMS);
    expect(again.actions).toEqual([]);
    const due = NOW + PARMS.reachableUs;
    const kept = step(again.state, { t: "timer" }, due, PARMS);
    expect(kept.state.state).toBe("REACHABLE");
    expect(kept.actions).toEqual([{ t: "setTimer", at: later + PARMS.reachableUs }]);
  });

  test("REACHABLE holds up to its last microsecond", () => {
    const confirmed: Nud = { ...entry("REACHABLE"), confirmed: NOW - PARMS.reachableUs };
    expect(outcome(confirmed, { t: "timer" })).toBe("REACHABLE M: timer+0.01s");
  });

  test("REACHABLE that was asked for just now goes to DELAY, not to STALE", () => {
    const used: Nud = { ...entry("REACHABLE"), used: NOW - SEC_US };
    expect(outcome(used, { t: "timer" })).toBe("DELAY M: timer+5s");
  });

  test("DELAY that was confirmed meanwhile is REACHABLE for what is left", () => {
    const confirmed: Nud = { ...entry("DELAY"), confirmed: NOW - 2 * SEC_US };
    expect(outcome(confirmed, { t: "timer" })).toBe("REACHABLE M: timer+18s");
  });

  test("the third unanswered unicast is the last", () => {
    const asked: Nud = { ...entry("PROBE"), probes: 3 };
    expect(outcome(asked, { t: "timer" })).toBe("FAILED -: fail");
  });

  test("another address takes the confirmation back, unless it is an answer", () => {
    const fresh: Nud = { ...entry("REACHABLE"), confirmed: NOW };
    expect(step(fresh, EVENTS["heard X"], NOW, PARMS).state.confirmed).toBe(NOW - 2 * PARMS.baseReachableUs);
    expect(step(fresh, EVENTS["answer X"], NOW + 1, PARMS).state.confirmed).toBe(NOW + 1);
  });

  test("locktime counts from changes, not from repetitions", () => {
    expect(step(entry("REACHABLE"), EVENTS["answer M"], NOW, PARMS).state.updated).toBe(0);
    expect(step(entry("REACHABLE"), EVENTS["answer X"], NOW, PARMS).state.updated).toBe(NOW);
  });

  test("without broadcast probes there is nothing to wait for", () => {
    const next = step(newNud(NOW, PARMS), { t: "send" }, NOW, { ...PARMS, mcastSolicit: 0 });
    expect(next.state.state).toBe("FAILED");
    expect(next.actions).toEqual([]);
  });

  test("timers never fire at once, whatever the sysctls say", () => {
    const next = step(newNud(NOW, PARMS), { t: "send" }, NOW, { ...PARMS, retransUs: 0 });
    expect(next.actions[0]).toEqual({ t: "setTimer", at: NOW + 10_000 });
  });
});
