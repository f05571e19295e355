// All sessions of one node: finds out whose a packet is, and gives each session a discriminator, a port and a timer. One session a
// neighbour's address, over one hop.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { below, type Rng } from "../../base/rng.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import { Timer, TimerQueue } from "../../base/timer-queue.ts";
import { authenticated, check, parse, TTL, yourDiscriminator } from "../../wire/bfd.ts";
import type {
  BfdDiscard,
  BfdNeighbor,
  BfdStatus,
  BfdTableInput,
  BfdTableOutput,
  BfdTimers,
} from "./bfd-messages.ts";
import { BfdSession } from "./bfd-session.ts";

/**
 * The ports that packets may come from, each session from one of its own. The first of the range, 49152, is left out: tcpdump takes what
 * comes from it for another protocol. @rfc 5881#4
 */
const SOURCE_PORT_MIN = 49153;
const SOURCE_PORT_MAX = 65535;

interface Entry {
  readonly neighbor: BfdNeighbor;
  readonly session: BfdSession;
  readonly sourcePort: number;
  readonly timer: Timer;
  /** Deleted, and telling the neighbour so. */
  leaving: boolean;
}

/** One session, for whoever lists them. */
export interface BfdRow {
  readonly remote: Ipv4Addr;
  readonly local: Ipv4Addr;
  readonly sourcePort: number;
  readonly status: BfdStatus;
}

/** Plain numbers; read them at any time. */
export interface BfdTableStats {
  received: number;
  sent: number;
  /** Packets that were thrown away, by reason; reasons that did not happen are missing. */
  readonly discarded: { [reason in BfdDiscard]?: number };
}

/** The engine of all sessions: handle() or another call, drain poll(), wait until nextDeadline(). @rfc 5880#6.3 @rfc 5881#3 */
export class BfdTable {
  readonly stats: BfdTableStats = { received: 0, sent: 0, discarded: {} };
  readonly #rng: Rng;
  readonly #byRemote = new Map<Ipv4Addr, Entry>();
  readonly #byDiscriminator = new Map<number, Entry>();
  readonly #ports = new Set<number>();
  readonly #timers = new TimerQueue();
  readonly #outputs: BfdTableOutput[] = [];

  /** @param rng for discriminators and jitter */
  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** Starts a session. A deleted one with the same neighbour that is still saying so is cut short. */
  add(neighbor: BfdNeighbor, now: Instant): Result<void, "exists"> {
    const old = this.#byRemote.get(neighbor.remote);
    if (old !== undefined && !old.leaving) return err("exists");
    if (old !== undefined) this.#remove(old);
    const localDiscriminator = this.#freeDiscriminator();
    const session = new BfdSession({ localDiscriminator, timers: neighbor.timers, rng: this.#rng });
    const sourcePort = this.#freePort();
    const timer = new Timer((now) => {
      session.handle({ t: "tick" }, now);
      this.#follow(entry);
    });
    const entry: Entry = { neighbor, session, sourcePort, timer, leaving: false };
    this.#byRemote.set(neighbor.remote, entry);
    this.#byDiscriminator.set(localDiscriminator, entry);
    this.#ports.add(sourcePort);
    session.start(now);
    this.#follow(entry);
    return ok(undefined);
  }

  /** Other timers for a session; its state stays. False: there is none with this neighbour. */
  configure(remote: Ipv4Addr, timers: BfdTimers, now: Instant): boolean {
    const entry = this.#lookup(remote);
    if (entry === undefined) return false;
    entry.session.configure(timers, now);
    this.#follow(entry);
    return true;
  }

  /**
   * Ends a session: it is AdminDown at once, and goes on telling so until the neighbour must have heard of it. False: there is none with
   * this neighbour.
   */
  del(remote: Ipv4Addr, now: Instant): boolean {
    const entry = this.#lookup(remote);
    if (entry === undefined) return false;
    entry.leaving = true;
    entry.session.stop(now);
    this.#follow(entry);
    return true;
  }

  handle(input: BfdTableInput, now: Instant): void {
    if (input.t === "tick") {
      this.#timers.run(now);
      return;
    }
    const discard = this.#received(input, now);
    if (discard === undefined) this.stats.received++;
    else this.stats.discarded[discard] = (this.stats.discarded[discard] ?? 0) + 1;
  }

  poll(): BfdTableOutput | undefined {
    return this.#outputs.shift();
  }

  /** No later than the first timer of a session, possibly earlier; NEVER when none runs. */
  nextDeadline(): Instant {
    return this.#timers.nextDeadline();
  }

  /** Is there nothing left to send: no session, nor a deleted one that is still saying so? */
  get idle(): boolean {
    return this.#byRemote.size === 0;
  }

  status(remote: Ipv4Addr): BfdStatus | undefined {
    return this.#lookup(remote)?.session.status();
  }

  /** By address, without those that were deleted. */
  dump(): BfdRow[] {
    return [...this.#byRemote.values()]
      .filter((entry) => !entry.leaving)
      .map(({ neighbor: { remote, local }, sourcePort, session }) => {
        return { remote, local, sourcePort, status: session.status() };
      })
      .sort((a, b) => a.remote - b.remote);
  }

  /**
   * A packet that names one of our discriminators belongs to that session, wherever it has come from; one that names none, to the session
   * with its sender. @rfc 5880#6.3 @rfc 5880#6.8.6 @rfc 5881#5
   */
  #received(input: BfdTableInput & { readonly t: "received" }, now: Instant): BfdDiscard | undefined {
    const { bytes, from, ttl } = input;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const fault = check(view, 0, bytes.length);
    if (fault !== undefined) return fault;
    const discriminator = yourDiscriminator(view, 0);
    const entry = discriminator === 0 ? this.#byRemote.get(from) : this.#byDiscriminator.get(discriminator);
    if (entry === undefined) return discriminator === 0 ? "unknownSource" : "unknownDiscriminator";
    if (authenticated(view, 0)) return "authentication";
    if (ttl !== undefined && ttl !== TTL) return "ttl";
    entry.session.handle({ t: "received", packet: parse(view, 0) }, now);
    this.#follow(entry);
    return undefined;
  }

  /** After whatever happened to a session: takes what it says, and sees to its timer. */
  #follow(entry: Entry): void {
    const { session, neighbor, sourcePort, timer } = entry;
    const { remote, local } = neighbor;
    for (let output = session.poll(); output !== undefined; output = session.poll()) {
      if (output.t === "state") {
        this.#outputs.push({ ...output, remote });
        continue;
      }
      this.stats.sent++;
      this.#outputs.push({ t: "send", local, to: remote, sourcePort, bytes: output.bytes });
    }
    if (entry.leaving && session.idle) {
      this.#remove(entry);
      return;
    }
    // Every packet puts off the detection time. A timer that is early for it costs less than moving it each time.
    const deadline = session.nextDeadline();
    if (timer.at === NEVER || deadline < timer.at) this.#timers.set(timer, deadline);
  }

  #remove(entry: Entry): void {
    this.#timers.cancel(entry.timer);
    this.#byRemote.delete(entry.neighbor.remote);
    this.#byDiscriminator.delete(entry.session.localDiscriminator);
    this.#ports.delete(entry.sourcePort);
  }

  #lookup(remote: Ipv4Addr): Entry | undefined {
    const entry = this.#byRemote.get(remote);
    return entry?.leaving === false ? entry : undefined;
  }

  /** Random, so that nobody can guess it who has not seen a packet. @rfc 5880#6.8.1 */
  #freeDiscriminator(): number {
    for (;;) {
      const discriminator = this.#rng.u32();
      if (discriminator !== 0 && !this.#byDiscriminator.has(discriminator)) return discriminator;
    }
  }

  /** The lowest free one, so that ports come back; any, when all are taken. @rfc 5881#4 */
  #freePort(): number {
    for (let port = SOURCE_PORT_MIN; port <= SOURCE_PORT_MAX; port++) {
      if (!this.#ports.has(port)) return port;
    }
    return SOURCE_PORT_MIN + below(this.#rng, SOURCE_PORT_MAX - SOURCE_PORT_MIN + 1);
  }
}
