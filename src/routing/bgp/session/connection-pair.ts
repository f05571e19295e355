// The one or two connections of a neighbour, and which of them stays. Read RFC 4271 sections 6.8 and 8 first.
//
// `main` is the neighbour's machine (fsm.ts): it dials, waits, backs off. A call of the neighbour becomes main's connection when main
// has none; else it gets a machine of its own, the `rival`, until one of the two is given up (collision.ts) or lost. The survivor is
// main. A call while a session is Established is a second session, or a neighbour that has restarted: the rival then waits for the
// neighbour's OPEN before it sends its own (DelayOpen), so that the neighbour cannot take it for a collision and prefer it.
import { type Rng, unit } from "../../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import { ErrorCode, type Notice } from "../../../wire/bgp/errors.ts";
import { emitKeepalive, messageLength, messageType } from "../../../wire/bgp/header.ts";
import { keepaliveTimeSec, type Negotiated } from "../../../wire/bgp/negotiated.ts";
import { notificationBytes } from "../../../wire/bgp/notification.ts";
import { NO_OCTETS, OctetWriter } from "../../../wire/bgp/octets.ts";
import { emitOpen, type OpenMessage } from "../../../wire/bgp/open.ts";
import { resolveCollision } from "./collision.ts";
import { BgpConnection } from "./connection.ts";
import { TIMER_EVENTS } from "./deadlines.ts";
import { downReason } from "./down-reason.ts";
import { idleFsm, step } from "./fsm.ts";
import type { BgpFsm, FsmAction, FsmEvent } from "./fsm-types.ts";
import { judgeOpen } from "./open-judge.ts";
import type { PeerConfig } from "./peer-config.ts";
import type { ConnId, ConnIds, DownReason, PeerOutput } from "./peer-messages.ts";
import type { PeerCounters } from "./peer-status.ts";

/** A call that has been silent for so long gives way to the neighbour's next. */
const SILENT_CALL_US = 5 * SEC_US;
/** How long a second session waits for the neighbour's OPEN, in seconds. */
const SECOND_OPEN_WAIT_SEC = 5;
/** A neighbour that calls anew sooner than this has not restarted: its call has crossed ours. */
const RESTART_AFTER_US = 5 * SEC_US;

/** @rfc 4271#10 */
const JITTER_MIN = 0.75;
/** KEEPALIVEs are not sent more often. @rfc 4271#4.4 */
const KEEPALIVE_GAP_US = SEC_US;

const KEEPALIVE = keepaliveBytes();

function keepaliveBytes(): Uint8Array {
  const out = new OctetWriter();
  emitKeepalive(out);
  return out.take();
}

/** What the pair needs of the neighbour's engine. */
export interface PairHost {
  readonly config: PeerConfig;
  readonly counters: PeerCounters;
  emit(output: PeerOutput): void;
  /** The OPEN to send now. */
  localOpen(): OpenMessage;
  /** The neighbour's OPEN on this connection is good, and the connection stays. */
  opened(c: BgpConnection): void;
  /** Established. */
  up(c: BgpConnection): void;
  /** No longer Established; `c` still has what was negotiated. */
  down(c: BgpConnection, reason: DownReason): void;
}

export class ConnectionPair {
  readonly #host: PairHost;
  readonly #ids: ConnIds;
  readonly #rng: Rng;
  #main: BgpConnection;
  #rival: BgpConnection | undefined;

  constructor(host: PairHost, ids: ConnIds, rng: Rng) {
    this.#host = host;
    this.#ids = ids;
    this.#rng = rng;
    this.#main = new BgpConnection(idleFsm(host.config.fsm));
  }

  get main(): BgpConnection {
    return this.#main;
  }

  get rival(): BgpConnection | undefined {
    return this.#rival;
  }

  /** The Established one. */
  get session(): BgpConnection | undefined {
    if (this.#main.established) return this.#main;
    return this.#rival?.established ? this.#rival : undefined;
  }

  find(conn: ConnId): BgpConnection | undefined {
    if (this.#main.conn === conn) return this.#main;
    return this.#rival?.conn === conn ? this.#rival : undefined;
  }

  nextDeadline(): Instant {
    const main = this.#main.deadlines.wakeAt;
    return this.#rival === undefined ? main : Math.min(main, this.#rival.deadlines.wakeAt);
  }

  /** Feeds the same event to both machines, that of the session last: stops. */
  stepBoth(event: FsmEvent, now: Instant): void {
    const last = this.session ?? this.#main;
    const first = last === this.#main ? this.#rival : this.#main;
    if (first !== undefined) this.step(first, event, now);
    this.step(last, event, now);
  }

  /** Feeds an event to a machine, performs what it says, and sees who is left. */
  step(c: BgpConnection, event: FsmEvent, now: Instant): void {
    this.#step(c, event, now);
    this.#sift(now);
  }

  /** Fires what is due. */
  tick(now: Instant): void {
    for (const c of [this.#main, this.#rival]) {
      if (c === undefined) continue;
      for (let timer = c.deadlines.due(now); timer !== undefined; timer = c.deadlines.due(now)) {
        this.step(c, TIMER_EVENTS[timer], now);
      }
    }
  }

  /** The connection that we dialled is there; one that nobody waits for any more is closed. */
  connected(conn: ConnId, now: Instant): void {
    const c = this.find(conn);
    if (c === undefined) {
      this.#host.emit({ t: "close", conn, afterFlush: false });
      return;
    }
    if (c.up) return;
    c.up = true;
    this.step(c, { t: "TcpCrAcked" }, now);
  }

  /** TCP is gone, or was never there. */
  lost(conn: ConnId, message: string, now: Instant): void {
    const c = this.find(conn);
    if (c === undefined) return;
    c.lostBy = message;
    // There is nothing left to close.
    c.conn = undefined;
    this.step(c, { t: "TcpConnectionFails" }, now);
  }

  /** The neighbour calls. */
  accept(conn: ConnId, now: Instant): void {
    this.#dropSilentCall(now);
    const why = this.#refusal();
    if (why !== undefined) {
      this.#host.emit({ t: "close", conn, afterFlush: false });
      this.#host.emit({ t: "trace", trace: { t: "refused", conn, why } });
      return;
    }
    let c = this.#main;
    if (c.conn !== undefined) {
      c = new BgpConnection(idleFsm(this.#rivalOptions()));
      this.#rival = c;
      this.#step(c, { t: "AutomaticStartPassive" }, now);
    }
    c.attach(conn, true, this.#host.config.extendedMessage, now);
    this.step(c, { t: "TcpConnectionConfirmed" }, now);
  }

  /** An OPEN, header included. */
  open(c: BgpConnection, message: Uint8Array, now: Instant): void {
    const { state, delayOpenRunning } = c.fsm;
    if (state !== "OpenSent" && !delayOpenRunning) {
      this.step(c, { t: "BgpOpen", holdTimeSec: 0 }, now);
      return;
    }
    c.sent ??= this.#host.localOpen();
    const judged = judgeOpen(this.#host.config, c.sent, message);
    if (!judged.ok) {
      this.#host.emit({ t: "trace", trace: { t: "error", error: judged.error } });
      this.step(c, { t: "BgpOpenMsgErr", notice: judged.error }, now);
      return;
    }
    const { open, negotiated, warnings } = judged.value;
    this.#host.emit({ t: "trace", trace: { t: "open", open } });
    for (const text of warnings) this.#host.emit({ t: "trace", trace: { t: "warning", message: text } });
    c.settle(open, negotiated);
    if (!this.#survives(c, now)) return;
    this.#host.opened(c);
    const t = delayOpenRunning ? "BgpOpenWithDelayOpen" : "BgpOpen";
    this.step(c, { t, holdTimeSec: negotiated.holdTimeSec }, now);
  }

  /**
   * A KEEPALIVE. One that answers our OPEN beside an Established session says that the neighbour has made its choice between
   * connections that came up together: see {@link resolveCollision}.
   */
  keepalive(c: BgpConnection, now: Instant): void {
    const other = c === this.#main ? this.#rival : this.#main;
    if (c.fsm.state === "OpenConfirm" && other?.established) {
      this.#host.emit({ t: "trace", trace: { t: "collision", keptIncoming: c.incoming } });
      this.step(other, { t: "OpenCollisionDump" }, now);
    }
    this.step(c, { t: "KeepAliveMsg" }, now);
    // Ours answers the neighbour's: so one side of a session wakes the other, and not each the other in its turn.
    if (c.established) this.keepaliveEarly(now);
  }

  /** When {@link keepaliveEarly} has something to do; NEVER without a session that has KEEPALIVEs. */
  get keepaliveFrom(): Instant {
    return this.session?.keepaliveFrom ?? NEVER;
  }

  /**
   * Sends the session's KEEPALIVE now, if its timer's jitter would allow it: somebody is awake anyway, and an idle process that wakes once
   * for all its neighbours takes a fraction of what one takes that wakes for each. All may have the same jitter. @rfc 4271#10
   */
  keepaliveEarly(now: Instant): void {
    const c = this.session;
    if (c !== undefined && now >= c.keepaliveFrom) this.step(c, TIMER_EVENTS.keepalive, now);
  }

  /** What a connection has to write next, if it can. */
  write(now: Instant): PeerOutput | undefined {
    return this.#write(this.#main, now) ?? (this.#rival && this.#write(this.#rival, now));
  }

  #write(c: BgpConnection, now: Instant): PeerOutput | undefined {
    const bytes = c.queue.take();
    if (bytes === undefined || c.conn === undefined) return undefined;
    c.progressed(now);
    if (bytes !== KEEPALIVE && c.established && c.fsm.holdTimeSec > 0) {
      const intervalUs = keepaliveTimeSec(c.fsm.holdTimeSec, c.fsm.options.keepaliveSec) * SEC_US;
      this.#armKeepalive(c, now + Math.round(intervalUs * this.#jitter()), now);
    }
    this.#sent(bytes);
    return { t: "send", conn: c.conn, bytes };
  }

  /** Counts, and traces if asked to, the messages of a write. */
  #sent(bytes: Uint8Array): void {
    this.#host.counters.sent(bytes);
    if (!this.#host.config.traceMessages) return;
    for (let at = 0; at < bytes.length; at += messageLength(bytes, at)) {
      const octets = messageLength(bytes, at);
      const type = messageType(bytes, at);
      this.#host.emit({ t: "trace", trace: { t: "message", direction: "out", type, octets } });
    }
  }

  /** Decides between `c`, whose OPEN was just found good, and the other connection. Answers whether `c` stays. */
  #survives(c: BgpConnection, now: Instant): boolean {
    const other = c === this.#main ? this.#rival : this.#main;
    if (other === undefined || c.negotiated === undefined || c.received === undefined) return true;
    const { config } = this.#host;
    const speakers = {
      localBgpId: config.routerId,
      localAs: c.negotiated.localAs,
      peerBgpId: c.received.bgpId,
      peerAs: c.negotiated.peerAs,
    };
    const verdict = resolveCollision(c.incoming, speakers, {
      state: other.fsm.state,
      contemporary: c.contemporary,
      replaceable: keepsRoutes(other.negotiated) && now - other.establishedAt >= RESTART_AFTER_US,
    });
    if (verdict === "both") return true;
    const loser = verdict === "dropThis" ? c : other;
    const keptIncoming = loser === c ? other.incoming : c.incoming;
    if (loser.up) this.#host.emit({ t: "trace", trace: { t: "collision", keptIncoming } });
    if (verdict === "replaceOther") {
      this.step(loser, { t: "TcpConnectionFails" }, now);
    } else {
      this.step(loser, { t: "OpenCollisionDump" }, now);
    }
    return loser !== c;
  }

  #refusal(): string | undefined {
    if (this.#main.fsm.state === "Idle") return "the neighbour is down, or waits after a fault";
    if (this.#main.conn === undefined) return undefined;
    if (this.#rival !== undefined) return "there are two connections already";
    if (this.#main.incoming && !this.#main.established) return "another call is being answered";
    return undefined;
  }

  /** A call on which the neighbour never said a word gives way: it may have forgotten it. */
  #dropSilentCall(now: Instant): void {
    for (const c of [this.#rival, this.#main]) {
      if (c === undefined || !c.incoming || !c.up || c.heard) continue;
      if (now - c.attachedAt >= SILENT_CALL_US) this.step(c, { t: "TcpConnectionFails" }, now);
    }
  }

  #rivalOptions(): BgpFsm["options"] {
    const options = this.#host.config.fsm;
    const delayOpenSec = this.session === undefined ? options.delayOpenSec : SECOND_OPEN_WAIT_SEC;
    return { ...options, passive: true, delayOpenSec };
  }

  #step(c: BgpConnection, event: FsmEvent, now: Instant): void {
    const from = c.fsm.state;
    const { state, actions } = step(c.fsm, { ...event, jitter: this.#jitter() }, now);
    c.fsm = state;
    const { incoming, conn } = c;
    for (const action of actions) this.#perform(c, action, event, now);
    if (state.state === from) return;
    const trace = { t: "state", from, to: state.state, event: event.t, incoming, conn } as const;
    this.#host.emit({ t: "trace", trace });
    if (state.state === "Idle" && state.idleHoldRunning) {
      const until = c.deadlines.at("idleHold");
      if (until > now) this.#host.emit({ t: "trace", trace: { t: "backOff", until, now } });
    }
  }

  /** Uniform in 0.75..1. @rfc 4271#10 */
  #jitter(): number {
    return JITTER_MIN + unit(this.#rng) * (1 - JITTER_MIN);
  }

  #perform(c: BgpConnection, action: FsmAction, event: FsmEvent, now: Instant): void {
    switch (action.t) {
      case "dial": {
        const conn = this.#ids.next();
        c.attach(conn, false, this.#host.config.extendedMessage, now);
        this.#host.emit({ t: "dial", conn });
        return;
      }
      case "sendOpen":
        this.#sendOpen(c);
        return;
      case "sendKeepalive":
        c.queue.pushOnce(KEEPALIVE);
        return;
      case "sendNotification":
        this.#notify(c, action.notice);
        return;
      case "close":
        this.#close(c);
        return;
      case "release":
        c.deadlines.cancelAll();
        return;
      case "arm":
        if (action.timer === "keepalive") this.#armKeepalive(c, action.at, now);
        else c.deadlines.arm(action.timer, action.at);
        return;
      case "cancel":
        c.deadlines.cancel(action.timer);
        return;
      case "up":
        this.#up(c, now);
        return;
      case "down":
        this.#host.down(c, downReason(c, event));
        return;
      case "refuse":
      case "track":
      case "deliver":
        return;
    }
  }

  #armKeepalive(c: BgpConnection, at: Instant, now: Instant): void {
    c.deadlines.arm("keepalive", at);
    const intervalSec = keepaliveTimeSec(c.fsm.holdTimeSec, c.fsm.options.keepaliveSec);
    const soonestUs = JITTER_MIN * intervalSec * SEC_US;
    c.keepaliveFrom = now + Math.max(soonestUs, KEEPALIVE_GAP_US);
  }

  #sendOpen(c: BgpConnection): void {
    c.sent ??= this.#host.localOpen();
    const out = new OctetWriter();
    emitOpen(out, c.sent);
    c.queue.push(out.take());
  }

  /** The last word on a connection: what a blocked socket has not taken yet is left unsaid. */
  #notify(c: BgpConnection, notice: Notice): void {
    if (c.conn === undefined || !c.up) return;
    if (c.queue.blocked) c.queue.clear();
    c.queue.push(notificationBytes(notice));
    const bytes = c.queue.takeAll();
    if (bytes === undefined) return;
    c.notice = notice;
    this.#sent(bytes);
    this.#host.emit({ t: "send", conn: c.conn, bytes });
    this.#host.emit({ t: "trace", trace: { t: "notification", direction: "out", notice } });
  }

  #close(c: BgpConnection): void {
    if (c.conn !== undefined) {
      this.#host.emit({ t: "close", conn: c.conn, afterFlush: c.notice !== undefined });
    }
    c.detach();
  }

  #up(c: BgpConnection, now: Instant): void {
    c.establishedAt = now;
    const other = c === this.#main ? this.#rival : this.#main;
    if (other?.up) other.contemporary = true;
    this.#host.up(c);
  }

  /** Puts the connections in order after a step: a machine without a connection is not kept beside one that has one. */
  #sift(now: Instant): void {
    const rival = this.#rival;
    if (rival !== undefined && rival.conn === undefined) {
      this.#rival = undefined;
      this.#bury(rival, now);
    } else if (rival !== undefined && this.#main.conn === undefined) {
      this.#promote(rival);
    }
    // Not after a fault: then there is a wait. Whoever was merely lost is ready for a call at once.
    const main = this.#main;
    if (main.fsm.idleHoldRunning && main.deadlines.at("idleHold") <= now) {
      main.deadlines.cancel("idleHold");
      this.#step(main, { t: "IdleHoldTimerExpires" }, now);
    }
  }

  /** The rival becomes main, with main's memory. */
  #promote(rival: BgpConnection): void {
    const { connectRetryCounter, idleHoldSec, faultAt } = this.#main.fsm;
    this.#main.deadlines.cancelAll();
    const options = this.#host.config.fsm;
    rival.fsm = { ...rival.fsm, options, connectRetryCounter, idleHoldSec, faultAt };
    this.#main = rival;
    this.#rival = undefined;
  }

  /**
   * The rival has fallen. If it was at fault, so is the neighbour: with main's own connection up, the next wait is the longer; else
   * main stops trying and waits as well.
   */
  #bury(rival: BgpConnection, now: Instant): void {
    const main = this.#main;
    const atFault = rival.fsm.idleHoldRunning && rival.deadlines.at("idleHold") > now;
    rival.deadlines.cancelAll();
    if (!atFault || main.fsm.state === "Idle") return;
    if (main.up) {
      main.fsm = {
        ...main.fsm,
        faultAt: now,
        idleHoldSec: Math.max(main.fsm.idleHoldSec, rival.fsm.idleHoldSec),
      };
      return;
    }
    this.#step(main, { t: "BgpOpenMsgErr", notice: UNSPOKEN }, now);
  }
}

/** What is wrong was told on the other connection. */
const UNSPOKEN: Notice = { code: ErrorCode.FSM, subcode: 0, data: NO_OCTETS };

/** Has the neighbour said that it may come back with its routes in place? @rfc 4724#5 */
function keepsRoutes(negotiated: Negotiated | undefined): boolean {
  return (negotiated?.gracefulRestart?.families.length ?? 0) > 0;
}
