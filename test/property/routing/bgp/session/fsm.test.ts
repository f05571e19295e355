import fc from "fast-check";
import { expect, test } from "vitest";
import { SEC_US } from "../../../../../src/base/time.ts";
import { idleFsm, step } from "../../../../../src/routing/bgp/session/fsm.ts";
import {
  type BgpTimer,
  DEFAULT_FSM_OPTIONS,
  type FsmAction,
  type FsmEvent,
  type FsmOptions,
} from "../../../../../src/routing/bgp/session/fsm-types.ts";
import type { Notice } from "../../../../../src/wire/bgp/errors.ts";

const notice: fc.Arbitrary<Notice> = fc.record({
  code: fc.integer({ min: 0, max: 9 }),
  subcode: fc.integer({ min: 0, max: 12 }),
  data: fc.uint8Array({ maxLength: 4 }),
});

const PLAIN = [
  "ManualStart",
  "AutomaticStart",
  "ManualStartPassive",
  "AutomaticStartPassive",
  "AutomaticStartDamped",
  "AutomaticStartDampedPassive",
  "TcpConnectionValid",
  "TcpCrInvalid",
  "TcpCrAcked",
  "TcpConnectionConfirmed",
  "TcpConnectionFails",
  "OpenCollisionDump",
  "NotifMsgVerErr",
  "KeepAliveMsg",
  "UpdateMsg",
  "RouteRefreshMsg",
] as const;

const TIMERS: Readonly<Record<BgpTimer, FsmEvent["t"]>> = {
  connectRetry: "ConnectRetryTimerExpires",
  hold: "HoldTimerExpires",
  keepalive: "KeepaliveTimerExpires",
  delayOpen: "DelayOpenTimerExpires",
  idleHold: "IdleHoldTimerExpires",
  sendHold: "SendHoldTimerExpires",
};

const holdTimeSec = fc.constantFrom(0, 3, 90);

/** Anything but a timer: those fire only when they run. */
const event: fc.Arbitrary<FsmEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...PLAIN).map((t): FsmEvent => ({ t })) },
  fc.record({ t: fc.constant("ManualStop" as const), notice }),
  fc.record({ t: fc.constant("AutomaticStop" as const), notice }),
  {
    weight: 2,
    arbitrary: fc.record({ t: fc.constantFrom("BgpOpen", "BgpOpenWithDelayOpen"), holdTimeSec }),
  },
  fc.record({
    t: fc.constantFrom("BgpHeaderErr", "BgpOpenMsgErr", "UpdateMsgErr", "RouteRefreshMsgErr", "NotifMsg"),
    notice,
  }),
);

/** A timer by its place among those that run, or another event. */
const stimulus = fc.oneof(fc.nat({ max: 5 }), event);

const options: fc.Arbitrary<FsmOptions> = fc
  .record({
    delayOpenSec: fc.constantFrom(0, 3),
    connectDelaySec: fc.constantFrom(0, 2),
    passive: fc.boolean(),
    notificationWithoutOpen: fc.boolean(),
  })
  .map((some) => ({ ...DEFAULT_FSM_OPTIONS, ...some }));

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === "object" && inner !== null && !ArrayBuffer.isView(inner)) freeze(inner);
  }
  return Object.freeze(value);
}

/** Follows which timers run. */
function run(timers: Set<BgpTimer>, actions: readonly FsmAction[]): void {
  for (const action of actions) {
    if (action.t === "arm") timers.add(action.timer);
    else if (action.t === "cancel") timers.delete(action.timer);
    else if (action.t === "release") timers.clear();
  }
}

test("whatever happens: pure, and no timer, message or session out of place", () => {
  fc.assert(
    fc.property(options, fc.array(stimulus, { maxLength: 60 }), (opts, stimuli) => {
      let fsm = freeze(idleFsm(opts));
      const timers = new Set<BgpTimer>();
      let now = 0;
      for (const one of stimuli) {
        now += SEC_US;
        const running = [...timers];
        let given: FsmEvent;
        if (typeof one === "number") {
          const timer = running[one % Math.max(1, running.length)];
          if (timer === undefined) continue;
          timers.delete(timer);
          given = { t: TIMERS[timer] } as FsmEvent;
        } else {
          given = one;
        }
        const before = fsm;
        const { state, actions } = step(before, freeze(given), now);
        expect(step(before, given, now)).toEqual({ state, actions });
        fsm = freeze(state);
        run(timers, actions);
        const did = actions.map((action) => action.t);
        const of = (t: FsmAction["t"]): number => did.filter((one) => one === t).length;

        // Established is entered and left with a word, once.
        expect(of("up")).toBe(before.state !== "Established" && fsm.state === "Established" ? 1 : 0);
        expect(of("down")).toBe(before.state === "Established" && fsm.state !== "Established" ? 1 : 0);
        // A NOTIFICATION is the last word, and never an answer to one.
        if (of("sendNotification") > 0) {
          expect(given.t.startsWith("Notif")).toBe(false);
          expect(fsm.state).toBe("Idle");
          expect(did).toContain("close");
        }
        // Timers belong to states.
        expect(fsm.delayOpenRunning).toBe(timers.has("delayOpen"));
        expect(fsm.idleHoldRunning).toBe(timers.has("idleHold"));
        const opened = ["OpenSent", "OpenConfirm", "Established"].includes(fsm.state);
        const timed = fsm.state === "OpenSent" || (opened && fsm.holdTimeSec > 0);
        expect(timers.has("hold")).toBe(timed);
        expect(timers.has("keepalive")).toBe(timed && fsm.state !== "OpenSent");
        expect(timers.has("sendHold")).toBe(fsm.state === "Established" && fsm.holdTimeSec > 0);
        if (opened || fsm.state === "Idle") expect(timers.has("connectRetry")).toBe(false);
        if (fsm.state === "Connect" && !fsm.delayOpenRunning) expect(timers.has("connectRetry")).toBe(true);
        if (opts.passive) expect(of("dial")).toBe(0);
        // A stop leaves nothing behind.
        if (given.t === "ManualStop") {
          expect(fsm.state).toBe("Idle");
          expect(timers.size).toBe(0);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
