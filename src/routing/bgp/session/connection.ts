import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";

import type { BgpError, Notice } from "../../../wire/bgp/errors.ts";
import { EXTENDED_MESSAGE_MAX, MESSAGE_MAX } from "../../../wire/bgp/header.ts";
import { MessageReader } from "../../../wire/bgp/message-reader.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { OpenMessage } from "../../../wire/bgp/open.ts";
import { Deadlines } from "./deadlines.ts";
import { sendHoldTimeSec } from "./fsm.ts";
import type { BgpFsm } from "./fsm-types.ts";
import type { ConnId } from "./peer-messages.ts";
import { RecentAttributes } from "./recent-attributes.ts";
import { SendQueue } from "./send-queue.ts";

/** One machine, and the TCP connection that it drives while it has one. */
export class BgpConnection {
  fsm: BgpFsm;
  readonly deadlines = new Deadlines();
  readonly queue = new SendQueue();
  reader = new MessageReader();
  /** Undefined while there is no connection, and none is being dialled. */
  conn: ConnId | undefined;
  /** Did the neighbour call? */
  incoming = false;
  /** Is TCP up? */
  up = false;
  /** When the connection was begun. */
  attachedAt: Instant = 0;
  /** Has the neighbour sent anything? */
  heard = false;
  /** Was TCP up before the neighbour's other connection was Established? */
  contemporary = false;
  establishedAt: Instant = 0;
  /** From here on a KEEPALIVE may be sent: the jitter of its timer would allow it. NEVER while none is due at all. @rfc 4271#10 */
  keepaliveFrom: Instant = NEVER;
  sent: OpenMessage | undefined;
  received: OpenMessage | undefined;
  negotiated: Negotiated | undefined;
  /** Attribute blocks that were read before, in the context of this session. */
  cache: RecentAttributes | undefined;
  /** What TCP died of; undefined while it lives, or when we gave it up. */
  lostBy: string | undefined;
  /** The NOTIFICATION that was sent on it: nothing may follow it. */
  notice: Notice | undefined;

  constructor(fsm: BgpFsm) {
    this.fsm = fsm;
  }

  get established(): boolean {
    return this.fsm.state === "Established";
  }

  /** From now on the machine drives this connection. @param extended may the neighbour's messages exceed 4,096 octets? */
  attach(conn: ConnId, incoming: boolean, extended: boolean, now: Instant): void {
    this.detach();
    this.conn = conn;
    this.incoming = incoming;
    this.up = incoming;
    this.attachedAt = now;
    this.reader = new MessageReader(extended ? EXTENDED_MESSAGE_MAX : MESSAGE_MAX);
  }

  /** The connection is gone; what was queued for it, and what has not been read, goes too. */
  detach(): void {
    this.conn = undefined;
    this.up = false;
    this.heard = false;
    this.contemporary = false;
    this.sent = undefined;
    this.received = undefined;
    this.negotiated = undefined;
    this.cache = undefined;
    this.lostBy = undefined;
    this.notice = undefined;
    this.keepaliveFrom = NEVER;
    this.queue.clear();
    this.queue.blocked = false;
    this.reader = new MessageReader();
  }

  /** The two OPENs have settled the session. */
  settle(received: OpenMessage, negotiated: Negotiated): void {
    this.received = received;
    this.negotiated = negotiated;
    this.cache = new RecentAttributes();
  }

  /** The next whole message, or what is wrong with its header; undefined when more octets are needed. */
  read(): Uint8Array | BgpError | undefined {
    if (!this.up) return undefined;
    return this.reader.next() ?? this.reader.error;
  }

  /** TCP has taken something of what we send. @rfc 9687#4.3 */
  progressed(now: Instant): void {
    const sec = this.established ? sendHoldTimeSec(this.fsm) : 0;
    if (sec > 0) this.deadlines.arm("sendHold", now + sec * SEC_US);
  }
}
