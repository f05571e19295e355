import { describe, expect, test } from "vitest";
import { type Instant, SEC_US } from "../../../../../src/base/time.ts";
import { idleFsm, sendHoldTimeSec, step } from "../../../../../src/routing/bgp/session/fsm.ts";
import {
  type BgpFsm,
  DEFAULT_FSM_OPTIONS,
  type FsmAction,
  type FsmEvent,
  type FsmOptions,
} from "../../../../../src/routing/bgp/session/fsm-types.ts";
import type { Notice } from "../../../../../src/wire/bgp/errors.ts";

const NOW: Instant = 1_000 * SEC_US;
const JITTER = 0.75;

const OPTIONS: FsmOptions = { ...DEFAULT_FSM_OPTIONS, delayOpenSec: 0 };

function fsm(given: Partial<BgpFsm>, options: Partial<FsmOptions> = {}): BgpFsm {
  return { ...idleFsm({ ...OPTIONS, ...options }), connectRetryCounter: 4, ...given };
}

function notice(code: number, subcode: number, ...data: number[]): Notice {
  return { code, subcode, data: Uint8Array.from(data) };
}

/** The situations that the table's columns stand for. */
const SITUATIONS = {
  Idle: fsm({ state: "Idle" }),
  Connect: fsm({ state: "Connect" }),
  "Connect, DelayOpen": fsm({ state: "Connect", delayOpenRunning: true }),
  Active: fsm({ state: "Active" }),
  "Active, DelayOpen": fsm({ state: "Active", delayOpenRunning: true }),
  OpenSent: fsm({ state: "OpenSent" }),
  OpenConfirm: fsm({ state: "OpenConfirm", holdTimeSec: 90 }),
  Established: fsm({ state: "Established", holdTimeSec: 90 }),
} as const;

type Situation = keyof typeof SITUATIONS;

const SEVEN_BELOW: readonly Situation[] = [
  "Connect",
  "Connect, DelayOpen",
  "Active",
  "Active, DelayOpen",
  "OpenSent",
  "OpenConfirm",
  "Established",
];

function timerText(action: FsmAction & { readonly t: "arm" }): string {
  return `${action.timer}@${(action.at - NOW) / SEC_US}`;
}

function actionText(action: FsmAction): string {
  switch (action.t) {
    case "sendOpen":
      return "OPEN";
    case "sendKeepalive":
      return "KEEPALIVE";
    case "sendNotification": {
      const { code, subcode, data } = action.notice;
      return `N${code}/${subcode}${data.length > 0 ? `:${[...data].join(",")}` : ""}`;
    }
    case "arm":
      return timerText(action);
    case "cancel":
      return `-${action.timer}`;
    default:
      return action.t;
  }
}

/** "Idle ++ N4/0 down close release idleHold@45": the state, what became of the ConnectRetryCounter, the actions. */
function outcome(before: BgpFsm, event: FsmEvent): string {
  const { state, actions } = step(before, { ...event, jitter: JITTER } as FsmEvent, NOW);
  const delta = state.connectRetryCounter - before.connectRetryCounter;
  const counter = state.connectRetryCounter === 0 ? ["=0"] : delta === 1 ? ["++"] : delta === 0 ? [] : ["?"];
  return [state.state, ...counter, ...actions.map(actionText)].join(" ");
}

// What the rows are made of. 45 s: the IdleHoldTime of 60 s, 90 s: the ConnectRetryTime of 120 s, 22.5 s: the KeepaliveTime of
// 30 s, each with jitter.
const FAULT = "close release idleHold@45";
const SOON = "close release idleHold@0";
const NOTHING = "close release";
const UP = "-connectRetry -delayOpen OPEN hold@240";

function stays(...situations: readonly Situation[]): Partial<Record<Situation, string>> {
  return Object.fromEntries(situations.map((one) => [one, SITUATIONS[one].state]));
}

interface Row {
  /** Number in RFC 4271 section 8.1, or the RFC that adds it. */
  readonly no: string;
  readonly event: FsmEvent;
  readonly want: Partial<Record<Situation, string>>;
  /** Where it is written, if not in RFC 4271 section 8.2.2. */
  readonly rfc?: Partial<Record<Situation, string>>;
}

const CEASE = notice(6, 2);
const FSM_RFC = { OpenSent: "6608#4", OpenConfirm: "6608#4", Established: "6608#4" } as const;

/** An event that is a fault in Connect and Active, and an unexpected message or timer afterwards. */
function unexpected(type?: number): Partial<Record<Situation, string>> {
  const data = type === undefined ? "" : `:${type}`;
  return {
    Idle: "Idle",
    Connect: `Idle ++ ${FAULT}`,
    "Connect, DelayOpen": `Idle ++ ${FAULT}`,
    Active: `Idle ++ ${FAULT}`,
    "Active, DelayOpen": `Idle ++ ${FAULT}`,
    OpenSent: `Idle ++ N5/1${data} ${FAULT}`,
    OpenConfirm: `Idle ++ N5/2${data} ${FAULT}`,
    Established: `Idle ++ N5/3${data} down ${FAULT}`,
  };
}

const TABLE: readonly Row[] = [
  {
    no: "1",
    event: { t: "ManualStart" },
    want: { Idle: "Connect =0 -idleHold connectRetry@90 dial", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "3",
    event: { t: "AutomaticStart" },
    want: { Idle: "Connect =0 -idleHold connectRetry@90 dial", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "4",
    event: { t: "ManualStartPassive" },
    want: { Idle: "Active =0 -idleHold connectRetry@90", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "5",
    event: { t: "AutomaticStartPassive" },
    want: { Idle: "Active =0 -idleHold connectRetry@90", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "6",
    event: { t: "AutomaticStartDamped" },
    want: { Idle: "Connect -idleHold connectRetry@90 dial", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "7",
    event: { t: "AutomaticStartDampedPassive" },
    want: { Idle: "Active -idleHold connectRetry@90", ...stays(...SEVEN_BELOW) },
  },
  {
    no: "2",
    event: { t: "ManualStop", notice: CEASE },
    want: {
      Idle: "Idle release",
      Connect: `Idle =0 ${NOTHING}`,
      "Connect, DelayOpen": `Idle =0 ${NOTHING}`,
      Active: `Idle =0 ${NOTHING}`,
      "Active, DelayOpen": `Idle =0 N6/2 ${NOTHING}`,
      OpenSent: `Idle =0 N6/2 ${NOTHING}`,
      OpenConfirm: `Idle =0 N6/2 ${NOTHING}`,
      Established: `Idle =0 N6/2 down ${NOTHING}`,
    },
  },
  {
    no: "8",
    event: { t: "AutomaticStop", notice: notice(6, 4) },
    want: {
      Idle: "Idle",
      Connect: `Idle ++ ${SOON}`,
      "Connect, DelayOpen": `Idle ++ ${SOON}`,
      Active: `Idle ++ ${SOON}`,
      "Active, DelayOpen": `Idle ++ ${SOON}`,
      OpenSent: `Idle ++ N6/4 ${SOON}`,
      OpenConfirm: `Idle ++ N6/4 ${SOON}`,
      Established: `Idle ++ N6/4 down ${SOON}`,
    },
  },
  {
    no: "9",
    event: { t: "ConnectRetryTimerExpires" },
    want: {
      ...unexpected(),
      Connect: "Connect close connectRetry@90 dial",
      "Connect, DelayOpen": "Connect close -delayOpen connectRetry@90 dial",
      Active: "Connect connectRetry@90 dial",
      "Active, DelayOpen": "Connect close -delayOpen connectRetry@90 dial",
    },
    rfc: FSM_RFC,
  },
  {
    no: "10",
    event: { t: "HoldTimerExpires" },
    want: {
      ...unexpected(),
      OpenSent: `Idle ++ N4/0 ${FAULT}`,
      OpenConfirm: `Idle ++ N4/0 ${FAULT}`,
      Established: `Idle ++ N4/0 down ${FAULT}`,
    },
  },
  {
    no: "11",
    event: { t: "KeepaliveTimerExpires" },
    want: {
      ...unexpected(),
      OpenConfirm: "OpenConfirm KEEPALIVE keepalive@22.5",
      Established: "Established KEEPALIVE keepalive@22.5",
    },
    rfc: { OpenSent: "6608#4" },
  },
  {
    no: "12",
    event: { t: "DelayOpenTimerExpires" },
    want: {
      ...unexpected(),
      Connect: `OpenSent ${UP}`,
      "Connect, DelayOpen": `OpenSent ${UP}`,
      Active: `OpenSent ${UP}`,
      "Active, DelayOpen": `OpenSent ${UP}`,
    },
    rfc: FSM_RFC,
  },
  {
    no: "13",
    event: { t: "IdleHoldTimerExpires" },
    want: { ...unexpected(), Idle: "Connect -idleHold connectRetry@90 dial" },
    rfc: FSM_RFC,
  },
  {
    no: "14",
    event: { t: "TcpConnectionValid" },
    want: {
      Idle: "Idle refuse",
      ...stays("Connect", "Connect, DelayOpen", "Active", "Active, DelayOpen"),
      OpenSent: "OpenSent track",
      OpenConfirm: "OpenConfirm track",
      Established: "Established track",
    },
  },
  {
    no: "15",
    event: { t: "TcpCrInvalid" },
    want: {
      Idle: "Idle",
      Connect: "Connect refuse",
      "Connect, DelayOpen": "Connect refuse",
      Active: "Active refuse",
      "Active, DelayOpen": "Active refuse",
      ...stays("OpenSent", "OpenConfirm", "Established"),
    },
  },
  ...(["TcpCrAcked", "TcpConnectionConfirmed"] as const).map((t, i): Row => {
    return {
      no: `${16 + i}`,
      event: { t },
      want: {
        Idle: "Idle refuse",
        Connect: `OpenSent ${UP}`,
        "Connect, DelayOpen": `OpenSent ${UP}`,
        Active: `OpenSent ${UP}`,
        "Active, DelayOpen": `OpenSent ${UP}`,
        OpenSent: "OpenSent track",
        OpenConfirm: "OpenConfirm track",
        Established: "Established track",
      },
    };
  }),
  {
    no: "18",
    event: { t: "TcpConnectionFails" },
    want: {
      Idle: "Idle",
      Connect: "Active close release connectRetry@90",
      "Connect, DelayOpen": "Active close release connectRetry@90",
      Active: `Idle ++ ${SOON}`,
      "Active, DelayOpen": `Idle ++ ${SOON}`,
      OpenSent: "Active close release connectRetry@90",
      OpenConfirm: `Idle ++ ${SOON}`,
      Established: `Idle ++ down ${SOON}`,
    },
  },
  {
    no: "19",
    event: { t: "BgpOpen", holdTimeSec: 90 },
    want: {
      ...unexpected(1),
      OpenSent: "OpenConfirm -connectRetry -delayOpen KEEPALIVE keepalive@22.5 hold@90",
    },
    rfc: { OpenConfirm: "6608#4", Established: "6608#4" },
  },
  {
    no: "20",
    event: { t: "BgpOpenWithDelayOpen", holdTimeSec: 90 },
    want: {
      ...unexpected(1),
      "Connect, DelayOpen": "OpenConfirm -connectRetry -delayOpen OPEN KEEPALIVE keepalive@22.5 hold@90",
      "Active, DelayOpen": "OpenConfirm -connectRetry -delayOpen OPEN KEEPALIVE keepalive@22.5 hold@90",
    },
    rfc: FSM_RFC,
  },
  {
    no: "21",
    event: { t: "BgpHeaderErr", notice: notice(1, 2, 0, 18) },
    want: {
      ...unexpected(),
      "Connect, DelayOpen": `Idle ++ N1/2:0,18 ${FAULT}`,
      "Active, DelayOpen": `Idle ++ N1/2:0,18 ${FAULT}`,
      OpenSent: `Idle ++ N1/2:0,18 ${FAULT}`,
      OpenConfirm: `Idle ++ N1/2:0,18 ${FAULT}`,
      Established: `Idle ++ N1/2:0,18 down ${FAULT}`,
    },
    rfc: { Established: "4271#6.1" },
  },
  {
    no: "22",
    event: { t: "BgpOpenMsgErr", notice: notice(2, 2, 251, 240) },
    want: {
      ...unexpected(1),
      "Connect, DelayOpen": `Idle ++ N2/2:251,240 ${FAULT}`,
      "Active, DelayOpen": `Idle ++ N2/2:251,240 ${FAULT}`,
      OpenSent: `Idle ++ N2/2:251,240 ${FAULT}`,
      OpenConfirm: `Idle ++ N2/2:251,240 ${FAULT}`,
    },
    rfc: { Established: "6608#4" },
  },
  {
    no: "23",
    event: { t: "OpenCollisionDump" },
    want: {
      Idle: "Idle",
      Connect: `Idle ${NOTHING}`,
      "Connect, DelayOpen": `Idle N6/7 ${NOTHING}`,
      Active: `Idle ${NOTHING}`,
      "Active, DelayOpen": `Idle N6/7 ${NOTHING}`,
      OpenSent: `Idle N6/7 ${NOTHING}`,
      OpenConfirm: `Idle N6/7 ${NOTHING}`,
      Established: `Idle N6/7 down ${NOTHING}`,
    },
    rfc: { OpenSent: "4271#6.8", OpenConfirm: "4271#6.8", Established: "4271#6.8" },
  },
  {
    no: "24",
    event: { t: "NotifMsgVerErr" },
    want: {
      Idle: "Idle",
      Connect: `Idle ++ ${FAULT}`,
      "Connect, DelayOpen": `Idle ${FAULT}`,
      Active: `Idle ++ ${FAULT}`,
      "Active, DelayOpen": `Idle ${FAULT}`,
      OpenSent: `Idle ${FAULT}`,
      OpenConfirm: `Idle ${FAULT}`,
      Established: `Idle ++ down ${FAULT}`,
    },
  },
  {
    no: "25",
    event: { t: "NotifMsg", notice: notice(2, 2) },
    want: {
      Idle: "Idle",
      Connect: `Idle ++ ${FAULT}`,
      "Connect, DelayOpen": `Idle ++ ${FAULT}`,
      Active: `Idle ++ ${FAULT}`,
      "Active, DelayOpen": `Idle ++ ${FAULT}`,
      OpenSent: `Idle ++ ${FAULT}`,
      OpenConfirm: `Idle ++ ${FAULT}`,
      Established: `Idle ++ down ${FAULT}`,
    },
    rfc: { OpenSent: "4271#6.4" },
  },
  {
    no: "26",
    event: { t: "KeepAliveMsg" },
    want: {
      ...unexpected(4),
      OpenConfirm: "Established hold@90 sendHold@480 up",
      Established: "Established hold@90",
    },
    rfc: { OpenSent: "6608#4", OpenConfirm: "9687#4.3" },
  },
  {
    no: "27",
    event: { t: "UpdateMsg" },
    want: { ...unexpected(2), Established: "Established hold@90 deliver" },
    rfc: { OpenSent: "6608#4", OpenConfirm: "6608#4" },
  },
  {
    no: "28",
    event: { t: "UpdateMsgErr", notice: notice(3, 1) },
    want: { ...unexpected(2), Established: `Idle ++ N3/1 down ${FAULT}` },
    rfc: { OpenSent: "6608#4", OpenConfirm: "6608#4" },
  },
  {
    no: "9687",
    event: { t: "SendHoldTimerExpires" },
    want: { ...unexpected(), Established: `Idle ++ N8/0 down ${FAULT}` },
    rfc: { OpenSent: "6608#4", OpenConfirm: "6608#4", Established: "9687#4.3" },
  },
  {
    no: "2918",
    event: { t: "RouteRefreshMsg" },
    want: { ...unexpected(5), Established: "Established hold@90 deliver" },
    rfc: { OpenSent: "6608#4", OpenConfirm: "6608#4", Established: "2918#4" },
  },
  {
    no: "7313",
    event: { t: "RouteRefreshMsgErr", notice: notice(7, 1, 9) },
    want: { ...unexpected(5), Established: `Idle ++ N7/1:9 down ${FAULT}` },
    rfc: { OpenSent: "6608#4", OpenConfirm: "6608#4", Established: "7313#5" },
  },
];

const CELLS = TABLE.flatMap(({ no, event, want, rfc }) =>
  (Object.keys(SITUATIONS) as Situation[]).map((situation) => ({
    name: `${rfc?.[situation] ?? "4271#8.2.2"}: ${situation} x ${event.t} (${no})`,
    before: SITUATIONS[situation],
    event,
    want: want[situation],
  })),
);

describe("every state and every event", () => {
  test("has a row", () => {
    expect(CELLS.filter((cell) => cell.want === undefined).map((cell) => cell.name)).toEqual([]);
    expect(new Set(CELLS.map((cell) => cell.event.t)).size).toBe(31);
    expect(CELLS).toHaveLength(8 * 31);
  });

  test.each(CELLS)("$name", ({ before, event, want }) => {
    expect(outcome(before, event)).toBe(want);
  });
});

describe("with DelayOpen", () => {
  test.each(["Connect", "Active"] as const)("4271#8.2.2: %s waits with its OPEN", (state) => {
    const before = fsm({ state }, { delayOpenSec: 7 });
    expect(outcome(before, { t: "TcpConnectionConfirmed" })).toBe(`${state} -connectRetry delayOpen@7`);
    expect(step(before, { t: "TcpCrAcked" }, NOW).state.delayOpenRunning).toBe(true);
  });

  test("4271#8.1.1: nothing is said before OPEN unless SendNOTIFICATIONwithoutOPEN", () => {
    const before = fsm({ state: "Active", delayOpenRunning: true }, { notificationWithoutOpen: false });
    expect(outcome(before, { t: "ManualStop", notice: CEASE })).toBe(`Idle =0 ${NOTHING}`);
    expect(outcome(before, { t: "BgpHeaderErr", notice: notice(1, 1) })).toBe(`Idle ++ ${FAULT}`);
    expect(outcome(before, { t: "OpenCollisionDump" })).toBe(`Idle ${NOTHING}`);
  });
});

describe("with a KeepaliveTime of its own", () => {
  const asked = (keepaliveSec: number, holdTimeSec = 90): BgpFsm =>
    fsm({ state: "Established", holdTimeSec }, { keepaliveSec });

  test("it is kept, but not beyond a third of the hold time, nor without one", () => {
    expect(outcome(asked(8), { t: "KeepaliveTimerExpires" })).toBe("Established KEEPALIVE keepalive@6");
    expect(outcome(asked(60), { t: "KeepaliveTimerExpires" })).toBe("Established KEEPALIVE keepalive@22.5");
    expect(outcome(asked(8, 0), { t: "KeepaliveTimerExpires" })).toBe("Established");
    const sent = fsm({ state: "OpenSent" }, { keepaliveSec: 8 });
    expect(outcome(sent, { t: "BgpOpen", holdTimeSec: 90 })).toContain("keepalive@6 hold@90");
  });
});

describe("with a hold time of 0", () => {
  const confirm = fsm({ state: "OpenConfirm", holdTimeSec: 0 });
  const established = fsm({ state: "Established", holdTimeSec: 0 });

  test("4271#4.2: neither Hold nor Keepalive timer runs, in OpenConfirm or later", () => {
    expect(outcome(SITUATIONS.OpenSent, { t: "BgpOpen", holdTimeSec: 0 })).toBe(
      "OpenConfirm -connectRetry -delayOpen KEEPALIVE -hold -keepalive",
    );
    expect(outcome(confirm, { t: "KeepAliveMsg" })).toBe("Established up");
    expect(outcome(confirm, { t: "KeepaliveTimerExpires" })).toBe("OpenConfirm");
    expect(outcome(established, { t: "KeepaliveTimerExpires" })).toBe("Established");
    expect(outcome(established, { t: "KeepAliveMsg" })).toBe("Established");
    expect(outcome(established, { t: "UpdateMsg" })).toBe("Established deliver");
    expect(outcome(established, { t: "RouteRefreshMsg" })).toBe("Established deliver");
  });

  test("9687#4.3: nor the SendHold timer; it is off when set to 0, else 8 minutes or twice the hold time", () => {
    expect(sendHoldTimeSec(established)).toBe(0);
    expect(sendHoldTimeSec(fsm({ holdTimeSec: 90 }, { sendHoldSec: 0 }))).toBe(0);
    expect(sendHoldTimeSec(fsm({ holdTimeSec: 90 }))).toBe(480);
    expect(sendHoldTimeSec(fsm({ holdTimeSec: 300 }))).toBe(600);
    expect(sendHoldTimeSec(fsm({ holdTimeSec: 90 }, { sendHoldSec: 20 }))).toBe(20);
  });
});

describe("passive", () => {
  const passive = { passive: true };
  test("a passive neighbour never dials", () => {
    expect(outcome(fsm({}, passive), { t: "ManualStart" })).toBe("Active =0 -idleHold");
    expect(outcome(fsm({}, passive), { t: "IdleHoldTimerExpires" })).toBe("Active -idleHold");
    expect(outcome(fsm({ state: "Active" }, passive), { t: "ConnectRetryTimerExpires" })).toBe("Active");
    expect(outcome(fsm({ state: "OpenSent" }, passive), { t: "TcpConnectionFails" })).toBe(
      "Active close release",
    );
  });
});

describe("when to start again", () => {
  test("a delay before the first attempt is spent in Active, where the neighbour may call", () => {
    const before = idleFsm({ ...OPTIONS, connectDelaySec: 2 });
    const started = step(before, { t: "ManualStart", jitter: JITTER }, NOW);
    expect(started.state.state).toBe("Active");
    expect(started.actions.map(actionText)).toEqual(["-idleHold", "connectRetry@1.5"]);
  });

  test("after a refused connection that delay is spent again, if it is shorter than ConnectRetry", () => {
    const options = { ...OPTIONS, connectDelaySec: 2 };
    const dialling: BgpFsm = { ...idleFsm(options), state: "Connect" };
    expect(outcome(dialling, { t: "TcpConnectionFails" })).toBe("Active =0 close release connectRetry@1.5");
    const patient = { ...dialling, options: { ...options, connectDelaySec: 1000 } };
    expect(outcome(patient, { t: "TcpConnectionFails" })).toBe("Active =0 close release connectRetry@90");
  });

  test("after a session that ended without a fault the next dial comes soon, after a failed attempt at ConnectRetry", () => {
    const lost = step(SITUATIONS.Established, { t: "TcpConnectionFails" }, NOW).state;
    expect(outcome(lost, { t: "IdleHoldTimerExpires" })).toBe("Active -idleHold connectRetry@0.75");
    const refused = step(SITUATIONS.OpenConfirm, { t: "TcpConnectionFails" }, NOW).state;
    expect(outcome(refused, { t: "IdleHoldTimerExpires" })).toBe("Active -idleHold connectRetry@90");
  });

  test("each fault doubles the wait up to the maximum; a long time without one forgets it", () => {
    let state = SITUATIONS.Established;
    const waits: number[] = [];
    let now = NOW;
    for (let i = 0; i < 5; i++) {
      const fallen = step({ ...state, state: "Established" }, { t: "HoldTimerExpires" }, now);
      const arm = fallen.actions.find((action) => action.t === "arm");
      waits.push(((arm?.t === "arm" ? arm.at : 0) - now) / SEC_US);
      state = fallen.state;
      now += (state.idleHoldSec + 100) * SEC_US;
    }
    expect(waits).toEqual([60, 120, 240, 300, 300]);
    now += 301 * SEC_US;
    const later = step({ ...state, state: "Established" }, { t: "HoldTimerExpires" }, now);
    expect(later.state.idleHoldSec).toBe(60);
  });

  test("what a neighbour does on purpose is no fault", () => {
    const cases = [
      { said: notice(6, 2), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 4), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 6), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 7), want: `Idle down ${SOON}` },
      { said: notice(6, 10), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 9, 6, 2), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 9), want: `Idle ++ down ${SOON}` },
      { said: notice(6, 9, 6, 1), want: `Idle ++ down ${FAULT}` },
      { said: notice(6, 9, 3, 1), want: `Idle ++ down ${FAULT}` },
      { said: notice(6, 1), want: `Idle ++ down ${FAULT}` },
      { said: notice(6, 5), want: `Idle ++ down ${FAULT}` },
      { said: notice(4, 0), want: `Idle ++ down ${FAULT}` },
    ];
    for (const { said, want } of cases) {
      expect(outcome(SITUATIONS.Established, { t: "NotifMsg", notice: said })).toBe(want);
    }
  });

  test("a stop of ours may set the wait, or none for good", () => {
    const stop = (waitSec: number): FsmEvent => ({ t: "AutomaticStop", notice: notice(6, 1), waitSec });
    expect(outcome(SITUATIONS.Established, stop(30))).toBe("Idle ++ N6/1 down close release idleHold@30");
    expect(outcome(SITUATIONS.Established, stop(Number.POSITIVE_INFINITY))).toBe(
      "Idle ++ N6/1 down close release",
    );
    const parked = step(SITUATIONS.Established, stop(Number.POSITIVE_INFINITY), NOW).state;
    expect(outcome(parked, { t: "ManualStart" })).toBe("Connect =0 -idleHold connectRetry@90 dial");
  });

  test("4271#8.1.1: a damped start waits for the IdleHold timer, a manual one does not", () => {
    const waiting = step(SITUATIONS.OpenSent, { t: "HoldTimerExpires" }, NOW).state;
    expect(outcome(waiting, { t: "AutomaticStartDamped" })).toBe("Idle");
    expect(outcome(waiting, { t: "AutomaticStartDampedPassive" })).toBe("Idle");
    expect(outcome(waiting, { t: "ManualStart" })).toBe("Connect =0 -idleHold connectRetry@90 dial");
  });
});
