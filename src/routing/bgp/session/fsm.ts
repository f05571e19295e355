// The finite state machine of one BGP connection. Read RFC 4271 section 8 first, then RFC 6608 (subcodes of the FSM error) and
// RFC 9687 (send hold timer). One machine stands for the neighbour; each further connection has one of its own until the
// collision procedure has chosen (peer.ts). Where this machine is not the RFC's letter:
//   - TcpConnectionFails in Connect leads to Active with a running ConnectRetryTimer, DelayOpen or not: a refused connection is
//     no reason to become deaf; with a connect delay, the timer runs as long as that and no longer;
//   - a NOTIFICATION is never answered, not in OpenSent either (section 6.4 over the table of 8.2.2);
//   - a second OPEN on a connection is an FSM error: OPENs of other connections come as OpenCollisionDump;
//   - losing a collision counts for nothing: no ConnectRetryCounter, no IdleHoldTimer;
//   - every fall to Idle but ManualStop's and a lost collision's arms the IdleHoldTimer, which starts the machine again; after a
//     fault it waits, twice as long each time; otherwise it is due at once, and the next dial waits instead, so that the
//     neighbour can call meanwhile;
//   - a passive neighbour never dials, so it has no ConnectRetryTimer either.
import type { Instant } from "../../../base/time.ts";
import { CeaseError, ErrorCode, FsmError, type Notice } from "../../../wire/bgp/errors.ts";
import { MessageType } from "../../../wire/bgp/header.ts";
import { keepaliveTimeSec } from "../../../wire/bgp/negotiated.ts";
import { NO_OCTETS } from "../../../wire/bgp/octets.ts";
import {
  armExactly,
  armJittered,
  CLOSE,
  cancel,
  DELIVER,
  DELIVERED,
  DIAL,
  NOTHING,
  REFUSE,
  RELEASE,
  SEND_KEEPALIVE,
  SEND_OPEN,
  TRACK,
  UP,
} from "./fsm-actions.ts";
import { fall, isFault } from "./fsm-fall.ts";
import type { BgpFsm, BgpState, FsmAction, FsmEvent, FsmOptions, FsmStep } from "./fsm-types.ts";

/** The shortest SendHoldTime that is proposed. @rfc 9687#6 */
const SEND_HOLD_MIN_SEC = 480;

/** A machine in Idle that was never started. */
export function idleFsm(options: FsmOptions): BgpFsm {
  return {
    state: "Idle",
    options,
    connectRetryCounter: 0,
    delayOpenRunning: false,
    idleHoldRunning: false,
    holdTimeSec: 0,
    idleHoldSec: 0,
    faultAt: 0,
    startDelaySec: options.connectDelaySec,
  };
}

/**
 * One event. Pure: equal arguments, equal results. The caller performs the actions in their order and then has the new state.
 * @rfc 4271#8.2.2
 */
export function step(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  switch (fsm.state) {
    case "Idle":
      return stepIdle(fsm, event, now);
    case "Connect":
    case "Active":
      return stepConnecting(fsm, event, now);
    case "OpenSent":
      return stepOpenSent(fsm, event, now) ?? stepOpened(fsm, event, now);
    case "OpenConfirm":
      return stepOpenConfirm(fsm, event, now) ?? stepOpened(fsm, event, now);
    case "Established":
      return stepEstablished(fsm, event, now) ?? stepOpened(fsm, event, now);
  }
}

function stepIdle(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  switch (event.t) {
    case "ManualStart":
    case "AutomaticStart":
      return start({ ...fsm, connectRetryCounter: 0 }, fsm.options.passive, event, now);
    case "ManualStartPassive":
    case "AutomaticStartPassive":
      return start({ ...fsm, connectRetryCounter: 0 }, true, event, now);
    case "AutomaticStartDamped":
      return fsm.idleHoldRunning ? stay(fsm) : start(fsm, fsm.options.passive, event, now);
    case "AutomaticStartDampedPassive":
      return fsm.idleHoldRunning ? stay(fsm) : start(fsm, true, event, now);
    case "IdleHoldTimerExpires":
      return start(fsm, fsm.options.passive, event, now);
    case "ManualStop":
      // Nothing is left to stop but the wait for a better time.
      return { state: { ...fsm, idleHoldRunning: false }, actions: [RELEASE] };
    case "TcpConnectionValid":
    case "TcpCrAcked":
    case "TcpConnectionConfirmed":
      return { state: fsm, actions: [REFUSE] };
    default:
      return stay(fsm);
  }
}

function start(fsm: BgpFsm, passive: boolean, event: FsmEvent, now: Instant): FsmStep {
  const { options, startDelaySec } = fsm;
  const next = { ...fsm, idleHoldRunning: false, startDelaySec: options.connectDelaySec };
  const actions: FsmAction[] = [cancel("idleHold")];
  if (passive || startDelaySec > 0) {
    const waitSec = passive ? options.connectRetrySec : startDelaySec;
    if (!options.passive) actions.push(armJittered("connectRetry", waitSec, event, now));
    return { state: { ...next, state: "Active" }, actions };
  }
  actions.push(armJittered("connectRetry", options.connectRetrySec, event, now), DIAL);
  return { state: { ...next, state: "Connect" }, actions };
}

/** Connect and Active: no OPEN was sent. They differ in who is expected to make the connection. */
function stepConnecting(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  const { options, delayOpenRunning } = fsm;
  const unsent = delayOpenRunning && options.notificationWithoutOpen;
  switch (event.t) {
    case "ManualStart":
    case "AutomaticStart":
    case "ManualStartPassive":
    case "AutomaticStartPassive":
    case "AutomaticStartDamped":
    case "AutomaticStartDampedPassive":
    case "TcpConnectionValid":
      return stay(fsm);
    case "TcpCrInvalid":
      return { state: fsm, actions: [REFUSE] };
    case "ManualStop": {
      const notice = unsent && fsm.state === "Active" ? event.notice : undefined;
      return fall(fsm, event, now, { notice, count: "zero", wait: "none" });
    }
    case "AutomaticStop":
      return fall(fsm, event, now, { count: "up", wait: event.waitSec ?? "soon" });
    case "ConnectRetryTimerExpires":
      return dialAgain(fsm, event, now);
    case "DelayOpenTimerExpires":
      return sendOpen(fsm, now);
    case "TcpCrAcked":
    case "TcpConnectionConfirmed":
      return options.delayOpenSec > 0 ? delayOpen(fsm, now) : sendOpen(fsm, now);
    case "TcpConnectionFails":
      return fsm.state === "Connect"
        ? retryLater(fsm, event, now)
        : fall(fsm, event, now, { count: "up", wait: "soon" });
    case "BgpOpenWithDelayOpen":
      if (!delayOpenRunning) return fall(fsm, event, now, { count: "up", wait: "fault" });
      return openConfirm(fsm, event.holdTimeSec, [SEND_OPEN, SEND_KEEPALIVE], event, now);
    case "BgpHeaderErr":
    case "BgpOpenMsgErr":
      return fall(fsm, event, now, {
        notice: unsent ? event.notice : undefined,
        count: "up",
        wait: "fault",
      });
    case "OpenCollisionDump":
      return fall(fsm, event, now, { notice: unsent ? COLLISION : undefined, count: "keep", wait: "none" });
    case "NotifMsgVerErr":
      return fall(fsm, event, now, { count: delayOpenRunning ? "keep" : "up", wait: "fault" });
    case "NotifMsg":
      return notified(fsm, event.notice, event, now);
    default:
      return fall(fsm, event, now, { count: "up", wait: "fault" });
  }
}

/** ConnectRetryTimer_Expires before there is a session. */
function dialAgain(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  const { passive, connectRetrySec } = fsm.options;
  if (passive) return stay(fsm);
  const actions: FsmAction[] = fsm.state === "Connect" || fsm.delayOpenRunning ? [CLOSE] : [];
  if (fsm.delayOpenRunning) actions.push(cancel("delayOpen"));
  actions.push(armJittered("connectRetry", connectRetrySec, event, now), DIAL);
  return { state: { ...fsm, state: "Connect", delayOpenRunning: false }, actions };
}

/**
 * To Active, deaf to nobody, until the ConnectRetryTimer says to dial again: after the delay before a first attempt, where there is one, as
 * BIRD does. Its retry time is for attempts that nobody answers, and a neighbour that refuses is about to listen as often as not.
 */
function retryLater(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  const { passive, connectDelaySec, connectRetrySec } = fsm.options;
  const actions: FsmAction[] = [CLOSE, RELEASE];
  if (!passive) {
    const waitSec = connectDelaySec > 0 ? Math.min(connectDelaySec, connectRetrySec) : connectRetrySec;
    actions.push(armJittered("connectRetry", waitSec, event, now));
  }
  return { state: { ...fsm, state: "Active", delayOpenRunning: false }, actions };
}

function delayOpen(fsm: BgpFsm, now: Instant): FsmStep {
  const actions = [cancel("connectRetry"), armExactly("delayOpen", fsm.options.delayOpenSec, now)];
  return { state: { ...fsm, delayOpenRunning: true }, actions };
}

function sendOpen(fsm: BgpFsm, now: Instant): FsmStep {
  const actions = [
    cancel("connectRetry"),
    cancel("delayOpen"),
    SEND_OPEN,
    armExactly("hold", fsm.options.openHoldSec, now),
  ];
  return { state: { ...fsm, state: "OpenSent", delayOpenRunning: false }, actions };
}

/** The peer's OPEN is good. The KEEPALIVE that says so goes out at once; with a hold time of 0 no other will follow. */
function openConfirm(
  fsm: BgpFsm,
  holdTimeSec: number,
  messages: readonly FsmAction[],
  event: FsmEvent,
  now: Instant,
): FsmStep {
  const actions: FsmAction[] = [cancel("connectRetry"), cancel("delayOpen"), ...messages];
  if (holdTimeSec === 0) {
    actions.push(cancel("hold"), cancel("keepalive"));
  } else {
    const keepaliveSec = keepaliveTimeSec(holdTimeSec, fsm.options.keepaliveSec);
    actions.push(armJittered("keepalive", keepaliveSec, event, now));
    actions.push(armExactly("hold", holdTimeSec, now));
  }
  return { state: { ...fsm, state: "OpenConfirm", delayOpenRunning: false, holdTimeSec }, actions };
}

function stepOpenSent(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep | undefined {
  switch (event.t) {
    case "BgpOpen":
      return openConfirm(fsm, event.holdTimeSec, [SEND_KEEPALIVE], event, now);
    case "TcpConnectionFails":
      return retryLater(fsm, event, now);
    default:
      return undefined;
  }
}

function stepOpenConfirm(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep | undefined {
  switch (event.t) {
    case "KeepaliveTimerExpires":
      return keepalive(fsm, event, now);
    case "KeepAliveMsg": {
      const actions: FsmAction[] = fsm.holdTimeSec === 0 ? [] : [armExactly("hold", fsm.holdTimeSec, now)];
      const sendHold = sendHoldTimeSec(fsm);
      if (sendHold > 0) actions.push(armExactly("sendHold", sendHold, now));
      actions.push(UP);
      return { state: { ...fsm, state: "Established" }, actions };
    }
    default:
      return undefined;
  }
}

function stepEstablished(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep | undefined {
  const { holdTimeSec } = fsm;
  switch (event.t) {
    case "UpdateMsg":
    case "RouteRefreshMsg":
      return {
        state: fsm,
        actions: holdTimeSec === 0 ? DELIVERED : [armExactly("hold", holdTimeSec, now), DELIVER],
      };
    case "KeepAliveMsg":
      return { state: fsm, actions: holdTimeSec === 0 ? NOTHING : [armExactly("hold", holdTimeSec, now)] };
    case "KeepaliveTimerExpires":
      return keepalive(fsm, event, now);
    case "UpdateMsgErr":
    case "RouteRefreshMsgErr":
      return fall(fsm, event, now, { notice: event.notice, count: "up", wait: "fault" });
    case "SendHoldTimerExpires":
      return fall(fsm, event, now, { notice: SEND_HOLD_EXPIRED, count: "up", wait: "fault" });
    case "BgpOpenMsgErr":
      return unexpected(fsm, event, now);
    case "NotifMsgVerErr":
      return fall(fsm, event, now, { count: "up", wait: "fault" });
    default:
      return undefined;
  }
}

function keepalive(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  if (fsm.holdTimeSec === 0) return stay(fsm);
  const keepaliveSec = keepaliveTimeSec(fsm.holdTimeSec, fsm.options.keepaliveSec);
  const actions = [SEND_KEEPALIVE, armJittered("keepalive", keepaliveSec, event, now)];
  return { state: fsm, actions };
}

/** What OpenSent, OpenConfirm and Established have in common. @rfc 4271#6.5 */
function stepOpened(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  switch (event.t) {
    case "ManualStart":
    case "AutomaticStart":
    case "ManualStartPassive":
    case "AutomaticStartPassive":
    case "AutomaticStartDamped":
    case "AutomaticStartDampedPassive":
    case "TcpCrInvalid":
      return stay(fsm);
    case "TcpConnectionValid":
    case "TcpCrAcked":
    case "TcpConnectionConfirmed":
      return { state: fsm, actions: [TRACK] };
    case "ManualStop":
      return fall(fsm, event, now, { notice: event.notice, count: "zero", wait: "none" });
    case "AutomaticStop":
      return fall(fsm, event, now, { notice: event.notice, count: "up", wait: event.waitSec ?? "soon" });
    case "HoldTimerExpires":
      return fall(fsm, event, now, { notice: HOLD_EXPIRED, count: "up", wait: "fault" });
    case "BgpHeaderErr":
    case "BgpOpenMsgErr":
      return fall(fsm, event, now, { notice: event.notice, count: "up", wait: "fault" });
    case "OpenCollisionDump":
      return fall(fsm, event, now, { notice: COLLISION, count: "keep", wait: "none" });
    case "TcpConnectionFails":
      return fall(fsm, event, now, { count: "up", wait: "soon" });
    case "NotifMsgVerErr":
      return fall(fsm, event, now, { count: "keep", wait: "fault" });
    case "NotifMsg":
      return notified(fsm, event.notice, event, now);
    default:
      return unexpected(fsm, event, now);
  }
}

/** The peer's NOTIFICATION ends the session; it is never answered. @rfc 4271#6.4 */
function notified(fsm: BgpFsm, notice: Notice, event: FsmEvent, now: Instant): FsmStep {
  const collision = notice.code === ErrorCode.CEASE && notice.subcode === CeaseError.CONNECTION_COLLISION;
  return fall(fsm, event, now, {
    count: collision ? "keep" : "up",
    wait: isFault(notice) ? "fault" : "soon",
  });
}

/** An event that has no business in this state. @rfc 4271#6.6 @rfc 6608#4 */
function unexpected(fsm: BgpFsm, event: FsmEvent, now: Instant): FsmStep {
  const type = MESSAGE_TYPES[event.t];
  const data = type === undefined ? NO_OCTETS : Uint8Array.of(type);
  const notice = { code: ErrorCode.FSM, subcode: FSM_SUBCODES[fsm.state], data };
  return fall(fsm, event, now, { notice, count: "up", wait: "fault" });
}

const FSM_SUBCODES: Readonly<Record<BgpState, number>> = {
  Idle: FsmError.UNSPECIFIED,
  Connect: FsmError.UNSPECIFIED,
  Active: FsmError.UNSPECIFIED,
  OpenSent: FsmError.IN_OPEN_SENT,
  OpenConfirm: FsmError.IN_OPEN_CONFIRM,
  Established: FsmError.IN_ESTABLISHED,
};

/** The messages that events stand for. */
const MESSAGE_TYPES: { readonly [t in FsmEvent["t"]]?: number } = {
  BgpOpen: MessageType.OPEN,
  BgpOpenWithDelayOpen: MessageType.OPEN,
  BgpOpenMsgErr: MessageType.OPEN,
  KeepAliveMsg: MessageType.KEEPALIVE,
  UpdateMsg: MessageType.UPDATE,
  UpdateMsgErr: MessageType.UPDATE,
  RouteRefreshMsg: MessageType.ROUTE_REFRESH,
  RouteRefreshMsgErr: MessageType.ROUTE_REFRESH,
};

/** How long TCP may take nothing of what we send, in seconds; 0: for ever. @rfc 9687#4.3 @rfc 9687#6 */
export function sendHoldTimeSec(fsm: BgpFsm): number {
  if (fsm.holdTimeSec === 0) return 0;
  return fsm.options.sendHoldSec ?? Math.max(SEND_HOLD_MIN_SEC, 2 * fsm.holdTimeSec);
}

function stay(fsm: BgpFsm): FsmStep {
  return { state: fsm, actions: NOTHING };
}

const COLLISION: Notice = {
  code: ErrorCode.CEASE,
  subcode: CeaseError.CONNECTION_COLLISION,
  data: NO_OCTETS,
};
const HOLD_EXPIRED: Notice = { code: ErrorCode.HOLD_TIMER_EXPIRED, subcode: 0, data: NO_OCTETS };
const SEND_HOLD_EXPIRED: Notice = { code: ErrorCode.SEND_HOLD_TIMER_EXPIRED, subcode: 0, data: NO_OCTETS };
