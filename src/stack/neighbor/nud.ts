// Neighbour unreachability detection: the state machine of one entry. Read RFC 4861 section 7.3 first, then
// net/core/neighbour.c of Linux, whose rules these are where the two differ (ARP has no router flag, and asks by broadcast).
//
//            send                 answer                  reachable time over
//   NONE ──────────▶ INCOMPLETE ────────────▶ REACHABLE ────────────────────▶ STALE
//                        │ no answer to            ▲  ▲                        │ send
//                        ▼ 3 broadcasts     answer │  │ confirmed              ▼
//                     FAILED ◀───────────────── PROBE ◀──────────────────── DELAY
//                              no answer to             5 s without
//                              3 unicasts               confirmation
//
// PERMANENT and NOARP never move by themselves. Not here: router flag, application probes, `managed` and `extern_learn`.
import type { MacAddr } from "../../base/mac-addr.ts";
import { type Instant, MS_US } from "../../base/time.ts";

/** The states of RFC 4861 section 7.3.2, and Linux's others, spelled as `ip neigh` spells them. */
export type NudState =
  | "NONE"
  | "INCOMPLETE"
  | "REACHABLE"
  | "STALE"
  | "DELAY"
  | "PROBE"
  | "FAILED"
  | "PERMANENT"
  | "NOARP";

/** The data of one entry. Immutable. */
export interface Nud {
  readonly state: NudState;
  /** The link-layer address; undefined in the states that have none (NONE, INCOMPLETE, FAILED). */
  readonly mac: MacAddr | undefined;
  /** Probes sent, counted as Linux does: unicast ones first, so that INCOMPLETE starts at `ucastSolicit`. */
  readonly probes: number;
  /** When the neighbour last proved that it is there. */
  readonly confirmed: Instant;
  /** When somebody last asked the machine for the address. */
  readonly used: Instant;
  /** When state or address last changed. */
  readonly updated: Instant;
}

/** Times and limits, as the sysctls of the same names; durations in microseconds. */
export interface NudParms {
  /** How long a confirmation holds: the rolled time, not its base. */
  readonly reachableUs: number;
  readonly baseReachableUs: number;
  readonly delayFirstProbeUs: number;
  readonly retransUs: number;
  readonly mcastSolicit: number;
  readonly ucastSolicit: number;
}

/** What an entry can be told to be. */
export type LearntState = "REACHABLE" | "STALE" | "PERMANENT" | "NOARP";

export type NudEvent =
  /** A packet is to be sent to the neighbour. */
  | { readonly t: "send" }
  /** The time set by `setTimer` has come. */
  | { readonly t: "timer" }
  /** Somebody says what is the neighbour's address: a frame of the neighbour, or (`admin`) a person. */
  | {
      readonly t: "update";
      readonly state: LearntState | "FAILED";
      readonly mac: MacAddr | undefined;
      /** May a known address be replaced by a different one? */
      readonly override: boolean;
      readonly admin: boolean;
    };

/** What the table does after a step, in this order. */
export type NudAction =
  | { readonly t: "setTimer"; readonly at: Instant }
  | { readonly t: "clearTimer" }
  /** Ask: the known address directly, or everybody. */
  | { readonly t: "solicit"; readonly mac: MacAddr | undefined }
  /** The address is known: send what waits. */
  | { readonly t: "sendQueue" }
  /** There will be no address: report what waits as undeliverable, and drop it. */
  | { readonly t: "failQueue" };

/** The outcome of a step. */
export interface NudStep {
  readonly state: Nud;
  readonly actions: readonly NudAction[];
}

/** Timers fire no sooner than this, whatever the sysctls say (Linux's HZ/100). */
const TIMER_MIN_US = 10 * MS_US;

const NOTHING: readonly NudAction[] = [];
const CLEAR: NudAction = { t: "clearTimer" };

/** A new entry. It was never confirmed, so its past confirmation is put far enough back. */
export function newNud(now: Instant, parms: NudParms): Nud {
  return {
    state: "NONE",
    mac: undefined,
    probes: 0,
    confirmed: now - 2 * parms.baseReachableUs,
    used: now,
    updated: now,
  };
}

/** Is the address usable, if perhaps out of date (Linux's NUD_VALID)? */
export function isValid(state: NudState): boolean {
  return state !== "NONE" && state !== "INCOMPLETE" && state !== "FAILED";
}

/** Is the address known to be right (NUD_CONNECTED)? */
function isConnected(state: NudState): boolean {
  return state === "REACHABLE" || state === "PERMANENT" || state === "NOARP";
}

/** Is something due at a certain time (NUD_IN_TIMER)? */
export function inTimer(state: NudState): boolean {
  return state === "INCOMPLETE" || state === "REACHABLE" || state === "DELAY" || state === "PROBE";
}

/** One transition. Pure: what it wants done, it returns. */
export function step(nud: Nud, event: NudEvent, now: Instant, parms: NudParms): NudStep {
  if (event.t === "send") return stepSend(nud, now, parms);
  if (event.t === "timer") return stepTimer(nud, now, parms);
  // Only a person changes what a person has set.
  const fixed = nud.state === "PERMANENT" || nud.state === "NOARP";
  if (fixed && !event.admin) return { state: nud, actions: NOTHING };
  if (event.state === "FAILED") return stepFail(nud, now);
  return stepUpdate(nud, event.state, event.mac, event.override, event.admin, now, parms);
}

/** `__neigh_event_send`. @rfc 4861#7.2.2 */
function stepSend(nud: Nud, now: Instant, parms: NudParms): NudStep {
  switch (nud.state) {
    case "NONE":
    case "FAILED": {
      if (parms.mcastSolicit === 0) return { state: failed(nud, now), actions: NOTHING };
      const asking: Nud = {
        ...nud,
        state: "INCOMPLETE",
        mac: undefined,
        probes: parms.ucastSolicit + 1,
        used: now,
        updated: now,
      };
      return {
        state: asking,
        actions: [setTimer(now, now + parms.retransUs), { t: "solicit", mac: undefined }],
      };
    }
    case "STALE": {
      const delayed: Nud = { ...nud, state: "DELAY", used: now, updated: now };
      return { state: delayed, actions: [setTimer(now, now + parms.delayFirstProbeUs)] };
    }
    case "INCOMPLETE":
    case "DELAY":
    case "PROBE":
      return { state: { ...nud, used: now }, actions: NOTHING };
    case "REACHABLE":
    case "PERMANENT":
    case "NOARP":
      break;
  }
  return { state: nud, actions: NOTHING };
}

/** `neigh_timer_handler`. */
function stepTimer(nud: Nud, now: Instant, parms: NudParms): NudStep {
  switch (nud.state) {
    case "REACHABLE": {
      const until = nud.confirmed + parms.reachableUs;
      if (now <= until) return { state: nud, actions: [setTimer(now, until)] };
      if (now > nud.used + parms.delayFirstProbeUs) {
        return { state: { ...nud, state: "STALE", updated: now }, actions: NOTHING };
      }
      const delayed: Nud = { ...nud, state: "DELAY", updated: now };
      return { state: delayed, actions: [setTimer(now, now + parms.delayFirstProbeUs)] };
    }
    case "DELAY": {
      if (now <= nud.confirmed + parms.delayFirstProbeUs) {
        const reachable: Nud = { ...nud, state: "REACHABLE", updated: now };
        return { state: reachable, actions: [setTimer(now, nud.confirmed + parms.reachableUs)] };
      }
      return probe({ ...nud, state: "PROBE", probes: 0, updated: now }, now, parms, parms.ucastSolicit);
    }
    case "PROBE":
      return probe(nud, now, parms, parms.ucastSolicit);
    case "INCOMPLETE":
      return probe(nud, now, parms, parms.ucastSolicit + parms.mcastSolicit);
    case "NONE":
    case "STALE":
    case "FAILED":
    case "PERMANENT":
    case "NOARP":
      break;
  }
  return { state: nud, actions: NOTHING };
}

/** Asks once more, or gives up when `max` probes have been sent. */
function probe(nud: Nud, now: Instant, parms: NudParms, max: number): NudStep {
  if (nud.probes >= max) return { state: failed(nud, now), actions: [{ t: "failQueue" }] };
  const mac = nud.probes < parms.ucastSolicit ? nud.mac : undefined;
  return {
    state: { ...nud, probes: nud.probes + 1 },
    actions: [setTimer(now, now + parms.retransUs), { t: "solicit", mac }],
  };
}

/** `__neigh_update` to FAILED: a person deletes the entry. */
function stepFail(nud: Nud, now: Instant): NudStep {
  const waiting = nud.state === "INCOMPLETE" || nud.state === "PROBE";
  return { state: failed(nud, now), actions: waiting ? [CLEAR, { t: "failQueue" }] : [CLEAR] };
}

/**
 * `__neigh_update`: what an entry learns. The address that is there wins over a different one unless `override`; being
 * STALE is no news for an entry whose address it confirms. @rfc 4861#7.2.5
 */
function stepUpdate(
  nud: Nud,
  to: LearntState,
  mac: MacAddr | undefined,
  override: boolean,
  admin: boolean,
  now: Instant,
  parms: NudParms,
): NudStep {
  const old = nud.state;
  const wasValid = isValid(old);
  const address = mac ?? nud.mac;
  if (address === undefined) return { state: nud, actions: NOTHING };
  const changed = address !== nud.mac;
  let confirmed = isConnected(to) ? now : nud.confirmed;
  let state: NudState = to;
  if (wasValid) {
    if (changed && !override) return { state: { ...nud, confirmed }, actions: NOTHING };
    if (!changed && to === "STALE" && !admin) state = old;
  }
  if (changed && !isConnected(state)) confirmed = now - 2 * parms.baseReachableUs;
  const updated = changed || state !== old ? now : nud.updated;
  const next: Nud = { ...nud, state, mac: address, confirmed, updated };
  if (state === old) return { state: next, actions: NOTHING };
  const actions: NudAction[] = [CLEAR];
  if (state === "REACHABLE") actions.push(setTimer(now, now + parms.reachableUs));
  if (!wasValid) actions.push({ t: "sendQueue" });
  return { state: next, actions };
}

function failed(nud: Nud, now: Instant): Nud {
  return { ...nud, state: "FAILED", mac: undefined, updated: now };
}

function setTimer(now: Instant, at: Instant): NudAction {
  return { t: "setTimer", at: Math.max(at, now + TIMER_MIN_US) };
}
