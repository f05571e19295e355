// The actions of the machine as values: those that carry nothing are shared.
import { type Instant, SEC_US } from "../../../base/time.ts";
import type { BgpTimer, FsmAction, FsmEvent } from "./fsm-types.ts";

export const DIAL: FsmAction = { t: "dial" };
export const REFUSE: FsmAction = { t: "refuse" };
export const TRACK: FsmAction = { t: "track" };
export const SEND_OPEN: FsmAction = { t: "sendOpen" };
export const SEND_KEEPALIVE: FsmAction = { t: "sendKeepalive" };
export const CLOSE: FsmAction = { t: "close" };
export const RELEASE: FsmAction = { t: "release" };
export const UP: FsmAction = { t: "up" };
export const DOWN: FsmAction = { t: "down" };
export const DELIVER: FsmAction = { t: "deliver" };
export const DELIVERED: readonly FsmAction[] = [DELIVER];
export const NOTHING: readonly FsmAction[] = [];

/** Arms a timer whose time is jittered by the random number that the event carries. @rfc 4271#10 */
export function armJittered(timer: BgpTimer, sec: number, event: FsmEvent, now: Instant): FsmAction {
  return { t: "arm", timer, at: now + Math.round(sec * SEC_US * (event.jitter ?? 1)) };
}

/** Arms a timer that is not jittered. */
export function armExactly(timer: BgpTimer, sec: number, now: Instant): FsmAction {
  return { t: "arm", timer, at: now + Math.round(sec * SEC_US) };
}

/** Stops a timer. */
export function cancel(timer: BgpTimer): FsmAction {
  return { t: "cancel", timer };
}
