// The vocabulary of the finite state machine: states, timers, events and actions under the names of RFC 4271 section 8. The
// machine itself is in fsm.ts.
import type { Instant } from "../../../base/time.ts";
import type { Notice } from "../../../wire/bgp/errors.ts";

/** @rfc 4271#8.2.2 */
export type BgpState = "Idle" | "Connect" | "Active" | "OpenSent" | "OpenConfirm" | "Established";

/** ConnectRetryTimer, HoldTimer, KeepaliveTimer, DelayOpenTimer, IdleHoldTimer, SendHoldTimer. @rfc 4271#8 @rfc 9687#4.1 */
export type BgpTimer = "connectRetry" | "hold" | "keepalive" | "delayOpen" | "idleHold" | "sendHold";

/** What may be set about one neighbour's machine. Times in seconds. @rfc 4271#8.1.1 */
export interface FsmOptions {
  /** ConnectRetryTime: between one attempt to connect and the next. */
  readonly connectRetrySec: number;
  /** Before the first attempt to connect, and after one that was refused; 0 dials at once. Meanwhile the neighbour may call. */
  readonly connectDelaySec: number;
  /** Before dialling again when an Established session ended without a fault. */
  readonly restartDelaySec: number;
  /** DelayOpenTime; 0: DelayOpen is off. */
  readonly delayOpenSec: number;
  /** The "large value" of the HoldTimer while the peer's OPEN is awaited. */
  readonly openHoldSec: number;
  /** SendHoldTime; 0: off; undefined: eight minutes or twice the hold time, whichever is longer. @rfc 9687#4.1 */
  readonly sendHoldSec: number | undefined;
  /** KeepaliveTime; undefined: a third of the hold time, which is also the most. */
  readonly keepaliveSec: number | undefined;
  /** IdleHoldTime after a first fault. It doubles with each further one ... */
  readonly idleHoldMinSec: number;
  /** ... up to this ... */
  readonly idleHoldMaxSec: number;
  /** ... and begins anew after so long without any. */
  readonly idleHoldForgetSec: number;
  /** PassiveTcpEstablishment, taken literally: never dial. */
  readonly passive: boolean;
  /** SendNOTIFICATIONwithoutOPEN. */
  readonly notificationWithoutOpen: boolean;
}

/** The RFC's times, and no delay but a second after a session that ended well. */
export const DEFAULT_FSM_OPTIONS: FsmOptions = {
  connectRetrySec: 120,
  connectDelaySec: 0,
  restartDelaySec: 1,
  delayOpenSec: 0,
  openHoldSec: 240,
  sendHoldSec: undefined,
  keepaliveSec: undefined,
  idleHoldMinSec: 60,
  idleHoldMaxSec: 300,
  idleHoldForgetSec: 300,
  passive: false,
  notificationWithoutOpen: true,
};

/** Session attributes of one machine. Immutable. @rfc 4271#8 */
export interface BgpFsm {
  readonly state: BgpState;
  readonly options: FsmOptions;
  readonly connectRetryCounter: number;
  /** Is the DelayOpenTimer running? Then there is a TCP connection, and no OPEN was sent. */
  readonly delayOpenRunning: boolean;
  /** Is the IdleHoldTimer running? */
  readonly idleHoldRunning: boolean;
  /** HoldTime as negotiated; 0 before, and where both sides want no timer. */
  readonly holdTimeSec: number;
  /** IdleHoldTime: what the last fault cost before jitter; 0 before the first. */
  readonly idleHoldSec: number;
  /** When the last fault was. */
  readonly faultAt: Instant;
  /** How long the next start waits before it dials. */
  readonly startDelaySec: number;
}

/** Events that say no more than their name. */
type PlainEvent =
  | "ManualStart"
  | "AutomaticStart"
  | "ManualStartPassive"
  | "AutomaticStartPassive"
  | "AutomaticStartDamped"
  | "AutomaticStartDampedPassive"
  | "ConnectRetryTimerExpires"
  | "HoldTimerExpires"
  | "KeepaliveTimerExpires"
  | "DelayOpenTimerExpires"
  | "IdleHoldTimerExpires"
  | "SendHoldTimerExpires"
  | "TcpConnectionValid"
  | "TcpCrInvalid"
  | "TcpCrAcked"
  | "TcpConnectionConfirmed"
  | "TcpConnectionFails"
  | "OpenCollisionDump"
  | "NotifMsgVerErr"
  | "KeepAliveMsg"
  | "UpdateMsg"
  | "RouteRefreshMsg";

/**
 * The RFC's events 1 to 28 by name (`Passive` is "with_PassiveTcpEstablishment", `Damped` "with_DampPeerOscillations"), and
 * those of later RFCs. Messages are events of their own; an event that stands for a faulty one carries the NOTIFICATION.
 * `jitter` is a random number in 0.75..1 drawn for this event; timers that are jittered are shortened by it. Absent, it is 1.
 *
 * @rfc 4271#8.1 @rfc 4271#8.1.2 @rfc 4271#8.1.3 @rfc 4271#8.1.4 @rfc 4271#8.1.5 @rfc 9687#4.2 @rfc 2918#4 @rfc 7313#5
 */
export type FsmEvent = { readonly jitter?: number } & (
  | { readonly t: PlainEvent }
  /** An administrator's stop, and what the peer is told. */
  | { readonly t: "ManualStop"; readonly notice: Notice }
  /**
   * Our own stop, and what the peer is told. `waitSec`: before starting again, Infinity for never; undefined: as after a session
   * that ended well.
   */
  | { readonly t: "AutomaticStop"; readonly notice: Notice; readonly waitSec?: number | undefined }
  /** An acceptable OPEN; the second with a running DelayOpenTimer. `holdTimeSec` as negotiated. */
  | { readonly t: "BgpOpen" | "BgpOpenWithDelayOpen"; readonly holdTimeSec: number }
  | {
      readonly t: "BgpHeaderErr" | "BgpOpenMsgErr" | "UpdateMsgErr" | "RouteRefreshMsgErr";
      readonly notice: Notice;
    }
  | { readonly t: "NotifMsg"; readonly notice: Notice }
);

/** What the driver of a machine does after a step, in this order. */
export type FsmAction =
  /** Initiate a TCP connection. */
  | { readonly t: "dial" }
  /** Refuse the connection that the event is about; it is none of the machine's. */
  | { readonly t: "refuse" }
  /** Another connection of the neighbour came up: the collision procedure watches it. @rfc 4271#6.8 */
  | { readonly t: "track" }
  | { readonly t: "sendOpen" }
  | { readonly t: "sendKeepalive" }
  | { readonly t: "sendNotification"; readonly notice: Notice }
  /** Drop the TCP connection, or the attempt, if there is one. */
  | { readonly t: "close" }
  /** Stop all timers and free what belongs to the session. */
  | { readonly t: "release" }
  | { readonly t: "arm"; readonly timer: BgpTimer; readonly at: Instant }
  | { readonly t: "cancel"; readonly timer: BgpTimer }
  /** The session is Established. */
  | { readonly t: "up" }
  /** The session is no more: its routes go. */
  | { readonly t: "down" }
  /** Process the message that the event stands for. */
  | { readonly t: "deliver" };

export interface FsmStep {
  readonly state: BgpFsm;
  readonly actions: readonly FsmAction[];
}
