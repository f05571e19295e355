// The sessions of all neighbours: whose connection is whose, who has something to say, and when they want to be asked again.
import { type Instant, NEVER } from "../../../base/time.ts";
import type { ConnId, PeerInput, PeerOutput } from "../session/peer-messages.ts";
import type { Neighbor } from "./neighbor.ts";
import type { SpeakerInput, SpeakerOutput } from "./speaker-messages.ts";

/** What a session says that is more than sockets and traces. */
export type SessionOutput = Exclude<PeerOutput, { readonly t: "dial" | "send" | "close" | "trace" }>;

/** What the sockets say of a connection. */
export type ConnInput = Extract<
  SpeakerInput,
  { readonly t: "connected" | "connectFailed" | "received" | "closed" | "blocked" | "progress" | "drained" }
>;

export class SessionSet {
  readonly #emit: (output: SpeakerOutput) => void;
  readonly #onOutput: (neighbor: Neighbor, output: SessionOutput) => void;
  readonly #all = new Set<Neighbor>();
  readonly #byConn = new Map<ConnId, Neighbor>();
  /** Who may have something to say. */
  readonly #toDrain = new Set<Neighbor>();
  /** No later than the first deadline of a neighbour. */
  #earliest: Instant = NEVER;
  /** The first one has moved: is `#earliest` only a bound? */
  #moved = false;

  constructor(
    emit: (output: SpeakerOutput) => void,
    onOutput: (neighbor: Neighbor, output: SessionOutput) => void,
  ) {
    this.#emit = emit;
    this.#onOutput = onOutput;
  }

  add(neighbor: Neighbor): void {
    this.#all.add(neighbor);
  }

  /** Forgets a neighbour whose last words have been heard. */
  del(neighbor: Neighbor): void {
    this.#all.delete(neighbor);
    this.#toDrain.delete(neighbor);
    this.#moved = true;
  }

  [Symbol.iterator](): Iterator<Neighbor> {
    return this.#all.values();
  }

  nextDeadline(): Instant {
    if (this.#moved) {
      this.#moved = false;
      this.#earliest = NEVER;
      for (const neighbor of this.#all) this.#earliest = Math.min(this.#earliest, neighbor.deadline);
    }
    return this.#earliest;
  }

  tell(neighbor: Neighbor, input: PeerInput, now: Instant): void {
    neighbor.peer.handle(input, now);
    this.#toDrain.add(neighbor);
    // What was received is borrowed: it is read before anything else happens.
    if (input.t === "received") this.drainOne(neighbor);
  }

  /** Something was given to the session: it may have something to write. */
  touch(neighbor: Neighbor): void {
    this.#toDrain.add(neighbor);
  }

  /** The neighbour calls. */
  accept(neighbor: Neighbor, conn: ConnId, now: Instant): void {
    this.#byConn.set(conn, neighbor);
    this.tell(neighbor, { t: "accepted", conn }, now);
  }

  handle(input: ConnInput, now: Instant): void {
    const neighbor = this.#byConn.get(input.conn);
    if (neighbor === undefined) {
      // Given up meanwhile: a late success is closed, all else is of no consequence.
      if (input.t === "connected") this.#emit({ t: "close", conn: input.conn, afterFlush: false });
      return;
    }
    this.tell(neighbor, input, now);
    if (input.t === "closed" || input.t === "connectFailed") this.#byConn.delete(input.conn);
  }

  /** Fires what is due. A KEEPALIVE takes along those of the other sessions that their jitter would allow by now. */
  tick(now: Instant): void {
    if (now < this.#earliest) return;
    let keepalive = false;
    for (const neighbor of this.#all) {
      if (neighbor.deadline > now) continue;
      keepalive ||= neighbor.peer.keepaliveFrom <= now;
      this.tell(neighbor, { t: "tick" }, now);
    }
    // Not behind every timer: where a mesh dials, each neighbour has one of its own, and there would be a look at all for each.
    if (keepalive) {
      for (const neighbor of this.#all) {
        if (neighbor.peer.keepaliveFrom <= now) this.tell(neighbor, { t: "keepalive" }, now);
      }
    }
  }

  /** Hears everybody who may have something to say. */
  drain(): void {
    for (const neighbor of this.#toDrain) this.drainOne(neighbor);
  }

  drainOne(neighbor: Neighbor): void {
    const { peer } = neighbor;
    for (let output = peer.poll(); output !== undefined; output = peer.poll())
      this.#perform(neighbor, output);
    this.#toDrain.delete(neighbor);
    const before = neighbor.deadline;
    neighbor.deadline = peer.nextDeadline();
    if (neighbor.deadline < this.#earliest) this.#earliest = neighbor.deadline;
    else if (before === this.#earliest && neighbor.deadline > before) this.#moved = true;
  }

  /** Closes every connection without a word: to the neighbours this speaker has crashed. */
  abandon(): void {
    for (const conn of this.#byConn.keys()) this.#emit({ t: "close", conn, afterFlush: false });
    this.#byConn.clear();
  }

  #perform(neighbor: Neighbor, output: PeerOutput): void {
    switch (output.t) {
      case "dial":
        this.#dial(neighbor, output.conn);
        return;
      case "send":
        this.#emit(output);
        return;
      case "close":
        this.#byConn.delete(output.conn);
        this.#emit(output);
        return;
      case "trace":
        this.#emit({ t: "trace", neighbor: neighbor.name, addr: neighbor.addr, trace: output.trace });
        return;
      default:
        this.#onOutput(neighbor, output);
    }
  }

  #dial(neighbor: Neighbor, conn: ConnId): void {
    const { localAddr: local, addr: remote, port, password, config } = neighbor;
    if (port === undefined) return;
    this.#byConn.set(conn, neighbor);
    const ttlSecurityHops = config?.ttlSecurityHops;
    this.#emit({ t: "dial", conn, local, remote, port, password, ttlSecurityHops });
  }
}
