// The machine's way back to Idle, and when it starts again.
import { type Instant, SEC_US } from "../../../base/time.ts";
import { CeaseError, ErrorCode, type Notice } from "../../../wire/bgp/errors.ts";
import { hardResetReason } from "../../../wire/bgp/notification.ts";
import { armExactly, armJittered, CLOSE, DOWN, RELEASE } from "./fsm-actions.ts";
import type { BgpFsm, FsmAction, FsmEvent, FsmStep } from "./fsm-types.ts";

/** How a machine falls. */
export interface Fall {
  /** What the peer is told. */
  readonly notice?: Notice | undefined;
  /** What becomes of the ConnectRetryCounter. */
  readonly count: "zero" | "keep" | "up";
  /** When to start again: not by itself, after the back-off, soon, or in so many seconds (Infinity: not by itself). */
  readonly wait: "none" | "fault" | "soon" | number;
}

/** To Idle: tell the peer, drop what there is, arm the IdleHoldTimer. @rfc 4271#8.2.2 */
export function fall(fsm: BgpFsm, event: FsmEvent, now: Instant, how: Fall): FsmStep {
  const { options } = fsm;
  const established = fsm.state === "Established";
  const actions: FsmAction[] = [];
  if (how.notice !== undefined) actions.push({ t: "sendNotification", notice: how.notice });
  if (established) actions.push(DOWN);
  actions.push(CLOSE, RELEASE);
  let { idleHoldSec, faultAt } = fsm;
  let startDelaySec = options.connectDelaySec;
  let idleHoldRunning = true;
  if (how.wait === "fault") {
    idleHoldSec = nextIdleHoldSec(fsm, now);
    faultAt = now;
    actions.push(armJittered("idleHold", idleHoldSec, event, now));
  } else if (how.wait === "soon") {
    startDelaySec = Math.max(startDelaySec, established ? options.restartDelaySec : options.connectRetrySec);
    actions.push(armExactly("idleHold", 0, now));
  } else if (typeof how.wait === "number" && how.wait < Number.POSITIVE_INFINITY) {
    actions.push(armExactly("idleHold", how.wait, now));
  } else {
    idleHoldRunning = false;
  }
  const counter = fsm.connectRetryCounter;
  const state: BgpFsm = {
    state: "Idle",
    options,
    connectRetryCounter: how.count === "zero" ? 0 : how.count === "up" ? counter + 1 : counter,
    delayOpenRunning: false,
    idleHoldRunning,
    holdTimeSec: 0,
    idleHoldSec,
    faultAt,
    startDelaySec,
  };
  return { state, actions };
}

/** Twice the last wait, unless its end is long ago. */
function nextIdleHoldSec(fsm: BgpFsm, now: Instant): number {
  const { idleHoldMinSec, idleHoldMaxSec, idleHoldForgetSec } = fsm.options;
  const forgotten = now - fsm.faultAt > (fsm.idleHoldSec + idleHoldForgetSec) * SEC_US;
  if (fsm.idleHoldSec === 0 || forgotten) return idleHoldMinSec;
  return Math.min(2 * fsm.idleHoldSec, idleHoldMaxSec);
}

/** Does a received NOTIFICATION tell of a fault, rather than of an intention? */
export function isFault(notice: Notice): boolean {
  if (notice.code !== ErrorCode.CEASE) return true;
  const inner = hardResetReason(notice);
  if (inner !== undefined) return inner.code !== ErrorCode.CEASE || !INTENDED.includes(inner.subcode);
  return !INTENDED.includes(notice.subcode);
}

const INTENDED: readonly number[] = [
  CeaseError.ADMIN_SHUTDOWN,
  CeaseError.ADMIN_RESET,
  CeaseError.CONFIG_CHANGE,
  CeaseError.CONNECTION_COLLISION,
  CeaseError.HARD_RESET,
  CeaseError.BFD_DOWN,
];
