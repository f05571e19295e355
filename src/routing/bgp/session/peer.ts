// One neighbour, as an engine: handle() one input, drain poll() to undefined, then wait until nextDeadline(). What goes in and out
// is in peer-messages.ts; which connection is the session, in connection-pair.ts; how it comes and goes, in fsm.ts; what the messages
// mean, in session-intake.ts. Not here: sockets, routes, BFD, and TCP's authentication.
import type { Rng } from "../../../base/rng.ts";
import { type Instant, NEVER } from "../../../base/time.ts";
import { CeaseError, ErrorCode, type Notice } from "../../../wire/bgp/errors.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import { hardResetNotice, maxPrefixNotice, shutdownNotice } from "../../../wire/bgp/notification.ts";
import { NO_OCTETS, OctetWriter } from "../../../wire/bgp/octets.ts";
import type { OpenMessage } from "../../../wire/bgp/open.ts";
import { emitRouteRefresh, RefreshSubtype } from "../../../wire/bgp/route-refresh.ts";
import type { BgpTrace } from "./bgp-trace.ts";
import type { BgpConnection } from "./connection.ts";
import { ConnectionPair, type PairHost } from "./connection-pair.ts";
import type { BgpState } from "./fsm-types.ts";
import { localOpen, type PeerConfig } from "./peer-config.ts";
import type { ConnId, ConnIds, DownReason, PeerInput, PeerOutput } from "./peer-messages.ts";
import { PeerCounters, type PeerStatus } from "./peer-status.ts";
import { PrefixLimits } from "./prefix-limits.ts";
import { SessionIntake } from "./session-intake.ts";

export interface PeerOptions {
  readonly config: PeerConfig;
  readonly ids: ConnIds;
  /** For jitter. */
  readonly rng: Rng;
}

/** The engine of one neighbour. @rfc 4271#8.2.1 */
export class BgpPeer {
  readonly config: PeerConfig;
  readonly counters = new PeerCounters();
  readonly #outputs: PeerOutput[] = [];
  readonly #pair: ConnectionPair;
  readonly #intake: SessionIntake;
  readonly #limits: PrefixLimits;
  #now: Instant = 0;
  #enabled = false;
  #restarting = false;
  /** Has there been a session in this life? */
  #continued = false;
  /** Was transmit() refused since the last `writable`? */
  #wantsToWrite = false;
  /** Has a dynamic neighbour called? */
  #called = false;
  #expired = false;
  #since: Instant = 0;
  #lastDown: PeerStatus["lastDown"];
  #fault: PeerStatus["fault"];

  constructor({ config, ids, rng }: PeerOptions) {
    this.config = config;
    this.#limits = new PrefixLimits(config.families);
    const host: PairHost = {
      config,
      counters: this.counters,
      emit: (output) => this.#emit(output),
      localOpen: () => this.#localOpen(),
      opened: (c) => this.#intake.opened(c),
      up: (c) => this.#up(c),
      down: (c, reason) => this.#down(c, reason),
    };
    this.#pair = new ConnectionPair(host, ids, rng);
    this.#intake = new SessionIntake(host, this.#pair);
  }

  /** Takes one input. What was received, and not polled out yet, comes before the next event of TCP or time. */
  handle(input: PeerInput, now: Instant): void {
    if (input.t === "received" || input.t === "closed" || input.t === "tick") this.#catchUp();
    this.#now = now;
    switch (input.t) {
      case "start":
        this.#restarting = input.restarting ?? this.#restarting;
        this.#enabled = true;
        this.#pair.step(this.#pair.main, { t: "ManualStart" }, now);
        break;
      case "stop":
      case "cease":
        this.#stop(input);
        break;
      case "reset":
        this.#reset(input);
        break;
      case "bfdDown":
        this.#bfdDown();
        break;
      case "restartComplete":
        this.#restarting = false;
        break;
      case "connected":
        this.#pair.connected(input.conn, now);
        break;
      case "connectFailed":
        this.#connectFailed(input.conn, input.message);
        break;
      case "accepted":
        this.#called = this.config.dynamic;
        this.#pair.accept(input.conn, now);
        break;
      case "received":
        this.#received(input.conn, input.bytes);
        break;
      case "closed":
        this.#lost(input.conn, input.message ?? "the neighbour closed the connection");
        break;
      case "blocked":
      case "progress":
      case "drained":
        this.#flow(input.conn, input.t);
        break;
      case "prefixCount":
        this.#countPrefixes(input.family, input.count);
        break;
      case "keepalive":
        this.#pair.keepaliveEarly(now);
        break;
      case "tick":
        this.#pair.tick(now);
        this.#intake.tick(now);
        break;
    }
    this.#expireIfSpent();
  }

  /** The next output. Messages that were received are read one at a time, each when what came of the one before is taken. */
  poll(): PeerOutput | undefined {
    for (;;) {
      const output = this.#outputs.shift();
      if (output !== undefined) return output;
      if (!this.#readOne()) break;
      this.#expireIfSpent();
    }
    const written = this.#pair.write(this.#now);
    if (written !== undefined) this.#offerRoom();
    return written;
  }

  /** No later than the first timer, possibly earlier; NEVER when none runs. */
  nextDeadline(): Instant {
    return Math.min(this.#pair.nextDeadline(), this.#intake.nextDeadline());
  }

  /** When an input `keepalive` makes it send one; NEVER while it has none to send. */
  get keepaliveFrom(): Instant {
    return this.#pair.keepaliveFrom;
  }

  /** Is it Established, and does transmit() take octets? */
  get writable(): boolean {
    const queue = this.#pair.session?.queue;
    return queue !== undefined && !queue.blocked && !queue.full;
  }

  /**
   * Sends whole messages, UPDATEs that were emitted for what `peerUp` negotiated. False: not taken; if there is a session, `writable`
   * will say when to try again. May be called amid a drain.
   *
   * @param bytes borrowed until it was sent, and may be shared with other neighbours: nobody writes to it
   */
  transmit(bytes: Uint8Array, now: Instant): boolean {
    this.#now = now;
    if (!this.writable) {
      this.#wantsToWrite = this.#pair.session !== undefined;
      return false;
    }
    this.#pair.session?.queue.push(bytes);
    return true;
  }

  /**
   * Sends a ROUTE-REFRESH, as {@link transmit} does: a request, or the beginning or end of our answer to one. True, and nothing sent, when
   * the neighbour has not announced that it understands it: then a request is to be answered from what it sent before.
   *
   * @param subtype one of `RefreshSubtype`
   */
  refresh(family: Family, subtype: number, now: Instant): boolean {
    const negotiated = this.#pair.session?.negotiated;
    if (negotiated === undefined) return false;
    const known = subtype === RefreshSubtype.REQUEST ? negotiated.refresh : negotiated.enhancedRefresh;
    if (!known || !negotiated.families.includes(family)) return true;
    const out = new OctetWriter(32);
    emitRouteRefresh(out, { family, subtype });
    return this.transmit(out.take(), now);
  }

  status(): PeerStatus {
    const { main, rival } = this.#pair;
    const c = rival !== undefined && rank(rival.fsm.state) > rank(main.fsm.state) ? rival : main;
    const { session } = this.#pair;
    const { sent, received } = session ?? {};
    return {
      state: c.fsm.state,
      enabled: this.#enabled,
      incoming: c.incoming,
      since: this.#since,
      connectRetryCounter: main.fsm.connectRetryCounter,
      negotiated: session?.negotiated,
      bgpId: received?.bgpId,
      opens: sent === undefined || received === undefined ? undefined : { sent, received },
      holdUntil: session?.deadlines.at("hold") ?? NEVER,
      keepaliveAt: session?.deadlines.at("keepalive") ?? NEVER,
      backOffUntil: main.fsm.idleHoldRunning ? main.deadlines.at("idleHold") : NEVER,
      lastDown: this.#lastDown,
      fault: session === undefined ? this.#fault : undefined,
      stale: this.#intake.stale,
      queuedBytes: main.queue.bytes + (rival?.queue.bytes ?? 0),
      counters: this.counters,
    };
  }

  #stop(input: PeerInput & { readonly t: "stop" | "cease" }): void {
    const { shutdownTextMaxBytes } = this.config;
    this.#enabled = false;
    const notice =
      input.t === "stop"
        ? shutdownNotice(CeaseError.ADMIN_SHUTDOWN, input.text, shutdownTextMaxBytes)
        : cease(input.subcode);
    this.#pair.stepBoth({ t: "ManualStop", notice: this.#ceasing(notice, true) }, this.#now);
    this.#intake.forget();
  }

  #reset(input: PeerInput & { readonly t: "reset" }): void {
    const text = shutdownNotice(CeaseError.ADMIN_RESET, input.text, this.config.shutdownTextMaxBytes);
    const notice = this.#ceasing(text, input.hard === true);
    if (this.#pair.session !== undefined) {
      this.#pair.stepBoth({ t: "AutomaticStop", notice }, this.#now);
    } else if (this.#enabled) {
      // Whatever it waits for, the wait is over.
      this.#pair.stepBoth({ t: "ManualStop", notice }, this.#now);
      this.#pair.step(this.#pair.main, { t: "ManualStart" }, this.#now);
    }
  }

  #bfdDown(): void {
    if (this.#pair.session === undefined) return;
    this.#pair.stepBoth({ t: "AutomaticStop", notice: cease(CeaseError.BFD_DOWN) }, this.#now);
  }

  /** A Cease after which the neighbour is to keep nothing must say so where NOTIFICATIONs do not. @rfc 8538#4 */
  #ceasing(notice: Notice, hard: boolean): Notice {
    const peer = this.#pair.session?.negotiated?.gracefulRestart;
    const both = peer?.notification === true && this.config.gracefulRestart?.notification === true;
    return hard && both ? hardResetNotice(notice) : notice;
  }

  #connectFailed(conn: ConnId, message: string): void {
    if (this.#pair.find(conn) === undefined) return;
    this.#trace({ t: "connectFailed", message });
    this.#fault = { reason: { t: "lost", message }, at: this.#now };
    this.#pair.lost(conn, message, this.#now);
  }

  #lost(conn: ConnId, message: string): void {
    // One that closes without a word is often one that waits after what it has said before: that tells more.
    const said = this.#fault?.reason.t === "local" || this.#fault?.reason.t === "remote";
    if (!said && this.#pair.find(conn) !== undefined) {
      this.#fault = { reason: { t: "lost", message }, at: this.#now };
    }
    this.#pair.lost(conn, message, this.#now);
  }

  #received(conn: ConnId, bytes: Uint8Array): void {
    const c = this.#pair.find(conn);
    if (c === undefined || !c.up) return;
    c.heard = true;
    c.reader.push(bytes);
  }

  #flow(conn: ConnId, what: "blocked" | "progress" | "drained"): void {
    const c = this.#pair.find(conn);
    if (c === undefined) return;
    if (what !== "progress") c.queue.blocked = what === "blocked";
    if (what !== "blocked") c.progressed(this.#now);
    this.#offerRoom();
  }

  #offerRoom(): void {
    if (!this.#wantsToWrite || !this.writable) return;
    this.#wantsToWrite = false;
    this.#outputs.push({ t: "writable" });
  }

  #countPrefixes(family: Family, count: number): void {
    const limit = this.#limits.limitOf(family);
    const judgement = this.#limits.judge(family, count);
    if (limit === undefined || judgement === "fine" || this.#pair.session === undefined) return;
    const exceeded = judgement === "exceeded";
    this.#trace({ t: "prefixLimit", family, count, limit: limit.limit, exceeded });
    if (!exceeded) return;
    const notice = this.#ceasing(maxPrefixNotice(family, limit.limit), true);
    this.#pair.stepBoth({ t: "AutomaticStop", notice, waitSec: limit.restartSec ?? NEVER }, this.#now);
  }

  #localOpen(): OpenMessage {
    const situation = {
      restarting: this.#restarting,
      continued: this.#continued,
      without: this.#intake.without,
    };
    return localOpen(this.config, situation);
  }

  #up(c: BgpConnection): void {
    this.#continued = true;
    this.#since = this.#now;
    this.counters.established++;
    this.#intake.up(c, this.#now);
  }

  #down(c: BgpConnection, reason: DownReason): void {
    this.#since = this.#now;
    this.counters.dropped++;
    this.#lastDown = { reason, at: this.#now };
    this.#fault = this.#lastDown;
    this.#limits.reset();
    this.#wantsToWrite = false;
    this.#intake.down(c, reason, this.#enabled, this.#now);
  }

  /** Reads one message of one connection; false when there is none. */
  #readOne(keep = false): boolean {
    for (const c of [this.#pair.main, this.#pair.rival]) {
      const read = c?.read();
      if (c === undefined || read === undefined) continue;
      if (!(read instanceof Uint8Array)) this.#intake.headerError(c, read, this.#now);
      else this.#intake.message(c, keep ? read.slice() : read, this.#now);
      return true;
    }
    return false;
  }

  /** Reads what a driver with little time has left, into copies, for the next chunk may overwrite it. */
  #catchUp(): void {
    while (this.#readOne(true));
  }

  /** A dynamic neighbour that has nothing left: no connection, no stale route, no fault to wait for. */
  #expireIfSpent(): void {
    if (!this.#called || this.#expired || this.#intake.stale.length > 0) return;
    const { main, rival } = this.#pair;
    if (main.conn !== undefined || rival !== undefined || main.fsm.idleHoldRunning) return;
    this.#expired = true;
    this.#outputs.push({ t: "expired" });
  }

  #emit(output: PeerOutput): void {
    if (output.t === "trace" && output.trace.t === "notification") {
      const { direction, notice } = output.trace;
      this.#fault = { reason: { t: direction === "in" ? "remote" : "local", notice }, at: this.#now };
    }
    this.#outputs.push(output);
  }

  #trace(trace: BgpTrace): void {
    this.#outputs.push({ t: "trace", trace });
  }
}

const STATES: readonly BgpState[] = ["Idle", "Active", "Connect", "OpenSent", "OpenConfirm", "Established"];

/** How far a connection is. */
function rank(state: BgpState): number {
  return STATES.indexOf(state);
}

function cease(subcode: number): Notice {
  return { code: ErrorCode.CEASE, subcode, data: NO_OCTETS };
}
