// What the messages of a neighbour mean, once it is known which connection they came on: routes, refreshes, and what becomes of the
// routes when the session comes and goes. Read RFC 7606, RFC 7313 and RFC 4724 sections 4 and 5 first.
import type { Instant } from "../../../base/time.ts";
import { type BgpError, ErrorCode, type Notice, OpenError, worstOf } from "../../../wire/bgp/errors.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import { MessageType, messageType } from "../../../wire/bgp/header.ts";
import { parseNotification } from "../../../wire/bgp/notification.ts";
import { NO_OCTETS } from "../../../wire/bgp/octets.ts";
import { parseRouteRefresh, RefreshSubtype } from "../../../wire/bgp/route-refresh.ts";
import { parseUpdate } from "../../../wire/bgp/update.ts";
import type { BgpTrace } from "./bgp-trace.ts";
import type { BgpConnection } from "./connection.ts";
import type { ConnectionPair } from "./connection-pair.ts";
import type { OpenSituation, PeerConfig } from "./peer-config.ts";
import type { DownReason, FlushReason, PeerOutput } from "./peer-messages.ts";
import type { PeerCounters } from "./peer-status.ts";
import { RefreshWindows } from "./refresh-windows.ts";
import { StaleRoutes, survivingFamilies } from "./stale-routes.ts";

/** What the intake needs of the neighbour's engine. */
export interface IntakeHost {
  readonly config: PeerConfig;
  readonly counters: PeerCounters;
  emit(output: PeerOutput): void;
}

export class SessionIntake {
  readonly #host: IntakeHost;
  readonly #pair: ConnectionPair;
  readonly #stale = new StaleRoutes();
  readonly #refreshes: RefreshWindows;
  #without: OpenSituation["without"] = "nothing";

  constructor(host: IntakeHost, pair: ConnectionPair) {
    this.#host = host;
    this.#pair = pair;
    this.#refreshes = new RefreshWindows(host.config.refreshTimeSec);
  }

  /** What the next OPEN should leave out. */
  get without(): OpenSituation["without"] {
    return this.#without;
  }

  /** Families with stale routes. */
  get stale(): readonly Family[] {
    return this.#host.config.families.map((one) => one.family).filter((family) => this.#stale.has(family));
  }

  nextDeadline(): Instant {
    return Math.min(this.#stale.nextDeadline(), this.#refreshes.nextDeadline());
  }

  tick(now: Instant): void {
    const why = this.#stale.awaitsReturn ? "restartTime" : "staleTime";
    this.#flush(this.#stale.expire(now), why);
    for (const family of this.#refreshes.expire(now)) {
      this.#host.emit({ t: "refreshEnded", family, timedOut: true });
    }
  }

  /** Established. */
  up(c: BgpConnection, now: Instant): void {
    if (c.negotiated === undefined || c.received === undefined) return;
    const { gracefulRestart } = this.#host.config;
    if (gracefulRestart !== undefined) this.#stale.returned(gracefulRestart.staleTimeSec, now);
    const restarting = c.negotiated.gracefulRestart?.restarting === true;
    this.#host.emit({ t: "peerUp", negotiated: c.negotiated, bgpId: c.received.bgpId, restarting });
  }

  /** A good OPEN: the neighbour is back, or was never away. */
  opened(c: BgpConnection): void {
    if (c.negotiated !== undefined) this.#flush(this.#stale.reopened(c.negotiated), "notPreserved");
  }

  /** No longer Established. @param mayKeep false when it is to stay down */
  down(c: BgpConnection, reason: DownReason, mayKeep: boolean, now: Instant): void {
    this.#refreshes.clear();
    const { gracefulRestart } = this.#host.config;
    const keep =
      mayKeep && c.negotiated !== undefined ? survivingFamilies(c.negotiated, gracefulRestart, reason) : [];
    this.#flush(
      this.#stale.takeAll().filter((family) => keep.includes(family)),
      "lostAgain",
    );
    const timeSec = Math.min(
      c.negotiated?.gracefulRestart?.restartTimeSec ?? 0,
      gracefulRestart?.peerRestartMaxSec ?? 0,
    );
    this.#stale.keep(keep, timeSec, now);
    this.#host.emit({ t: "peerDown", reason, keepStale: keep });
    if (keep.length > 0) this.#trace({ t: "stale", families: keep, restartTimeSec: timeSec });
  }

  /** The neighbour is stopped: nothing is kept for it. */
  forget(): void {
    this.#flush(this.#stale.takeAll(), "stopped");
  }

  /** A header that cannot be: the stream has no more messages. */
  headerError(c: BgpConnection, error: BgpError, now: Instant): void {
    this.#trace({ t: "error", error });
    this.#pair.step(c, { t: "BgpHeaderErr", notice: error }, now);
  }

  /** A whole message, header included. Borrowed. */
  message(c: BgpConnection, message: Uint8Array, now: Instant): void {
    this.#host.counters.received(message);
    const type = messageType(message);
    if (this.#host.config.traceMessages)
      this.#trace({ t: "message", direction: "in", type, octets: message.length });
    switch (type) {
      case MessageType.OPEN:
        this.#pair.open(c, message, now);
        return;
      case MessageType.UPDATE:
        this.#update(c, message, now);
        return;
      case MessageType.NOTIFICATION:
        this.#notification(c, parseNotification(message), now);
        return;
      case MessageType.ROUTE_REFRESH:
        this.#routeRefresh(c, message, now);
        return;
      default:
        this.#pair.keepalive(c, now);
    }
  }

  #update(c: BgpConnection, message: Uint8Array, now: Instant): void {
    if (!c.established || c.negotiated === undefined) {
      this.#pair.step(c, { t: "UpdateMsg" }, now);
      return;
    }
    const update = parseUpdate(message, c.negotiated, c.cache);
    for (const error of update.errors) this.#trace({ t: "error", error });
    if (update.rung === "session-reset") {
      const notice = worstOf(update.errors) ?? MALFORMED;
      this.#pair.step(c, { t: "UpdateMsgErr", notice }, now);
      return;
    }
    if (update.rung === "treat-as-withdraw") this.#host.counters.treatedAsWithdraw++;
    if (update.rung === "attribute-discard") this.#host.counters.attributesDiscarded++;
    this.#pair.step(c, { t: "UpdateMsg" }, now);
    const family = update.endOfRib;
    if (family === undefined) {
      this.#host.emit({ t: "update", update });
      return;
    }
    this.#host.emit({ t: "endOfRib", family });
    if (this.#stale.end(family)) this.#flush([family], "endOfRib");
  }

  /** It is never answered, whatever it says. @rfc 4271#6.4 */
  #notification(c: BgpConnection, notice: Notice, now: Instant): void {
    this.#trace({ t: "notification", direction: "in", notice });
    if (notice.code === ErrorCode.OPEN) this.#fallBack(notice.subcode);
    const version = notice.code === ErrorCode.OPEN && notice.subcode === OpenError.UNSUPPORTED_VERSION;
    this.#pair.step(c, version ? { t: "NotifMsgVerErr" } : { t: "NotifMsg", notice }, now);
  }

  /** The next OPEN leaves out what the neighbour may have stumbled over; if it stumbles again, it was not that. @rfc 5492#3 */
  #fallBack(subcode: number): void {
    const parameter = subcode === OpenError.UNSUPPORTED_PARAMETER;
    const useful = parameter || subcode === OpenError.UNSUPPORTED_CAPABILITY;
    if (!this.#host.config.capabilityFallback || !useful || this.#without !== "nothing") {
      this.#without = "nothing";
      return;
    }
    this.#without = parameter ? "all" : "optional";
  }

  #routeRefresh(c: BgpConnection, message: Uint8Array, now: Instant): void {
    const parsed = parseRouteRefresh(message);
    if (!parsed.ok && c.established) {
      this.#trace({ t: "error", error: parsed.error });
      const header = parsed.error.code === ErrorCode.MESSAGE_HEADER;
      const t = header ? "BgpHeaderErr" : "RouteRefreshMsgErr";
      this.#pair.step(c, { t, notice: parsed.error }, now);
      return;
    }
    this.#pair.step(c, { t: "RouteRefreshMsg" }, now);
    if (!c.established || c.negotiated === undefined || !parsed.ok) return;
    const { family, subtype } = parsed.value;
    const { refresh, enhancedRefresh, families } = c.negotiated;
    if (!families.includes(family)) return;
    if (subtype === RefreshSubtype.REQUEST && refresh) {
      this.#host.emit({ t: "refreshRequested", family });
    } else if (subtype === RefreshSubtype.BORR && enhancedRefresh) {
      this.#refreshes.begin(family, now);
      this.#host.emit({ t: "refreshBegun", family });
    } else if (subtype === RefreshSubtype.EORR && enhancedRefresh && this.#refreshes.end(family)) {
      this.#host.emit({ t: "refreshEnded", family, timedOut: false });
    }
  }

  #flush(families: readonly Family[], why: FlushReason): void {
    for (const family of families) {
      this.#host.emit({ t: "flushStale", family, why });
      this.#trace({ t: "flushed", family, why });
    }
  }

  #trace(trace: BgpTrace): void {
    this.#host.emit({ t: "trace", trace });
  }
}

/** Every reset has an error; this one would be a fault of the reader. */
const MALFORMED: Notice = { code: ErrorCode.UPDATE, subcode: 1, data: NO_OCTETS };
