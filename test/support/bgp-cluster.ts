import type { Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../src/base/time.ts";
import { ConnIds } from "../../src/routing/bgp/session/peer-messages.ts";
import { formatRibPrefix } from "../../src/routing/bgp/speaker/inspect.ts";
import { BgpSpeaker } from "../../src/routing/bgp/speaker/speaker.ts";
import type { SpeakerConfig } from "../../src/routing/bgp/speaker/speaker-config.ts";
import type { SpeakerInput, SpeakerOutput } from "../../src/routing/bgp/speaker/speaker-messages.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";

// Speakers in one process on a virtual clock, and a network of TCP connections between them: ordered inside a connection, in any
// order between connections, and lost when the test says so.

/** One end of a connection, and what travels towards it. */
interface End {
  readonly node: SimSpeaker;
  readonly conn: number;
  /** Does the speaker still hold it? */
  open: boolean;
  /** Nothing that travels overtakes what left before it. */
  last: Instant;
}

interface Connection {
  readonly ends: readonly [End, End];
  /** Nothing is delivered any more, and nobody has been told: a pulled cable. */
  cut: boolean;
}

interface Delivery {
  readonly at: Instant;
  readonly order: number;
  readonly run: () => void;
}

/** A speaker with its address. */
export class SimSpeaker {
  readonly addr: Ipv4Addr;
  readonly ids: ConnIds;
  readonly speaker: BgpSpeaker;
  readonly outputs: SpeakerOutput[] = [];
  /** What forwarding has been told: next hops by prefix. */
  readonly forwarding = new Map<string, readonly NextHop[]>();
  readonly conns = new Map<number, { readonly connection: Connection; readonly side: 0 | 1 }>();
  /** Killed: nothing more comes of it. */
  dead = false;
  /** Suspended: what arrives meanwhile, in order. */
  held: SpeakerInput[] | undefined;
  /** When the speaker wants to be asked again. */
  deadline: Instant = NEVER;

  /** Hears what is not about TCP. */
  readonly hear: ((output: SpeakerOutput) => void) | undefined;

  /** @param make a speaker of one's own, and who hears it @param ids of a speaker that exists already */
  constructor(
    addr: Ipv4Addr,
    make: (ids: ConnIds) => BgpSpeaker,
    hear?: (output: SpeakerOutput) => void,
    ids: ConnIds = new ConnIds(),
  ) {
    this.addr = addr;
    this.ids = ids;
    this.speaker = make(this.ids);
    this.hear = hear;
  }
}

export class BgpCluster {
  now: Instant = 100 * SEC_US;
  readonly nodes = new Map<Ipv4Addr, SimSpeaker>();
  /** The last thing that was sent, dialled or closed: after that the cluster was quiet. */
  lastActivity: Instant = 0;
  messages = 0;
  readonly #rng: SeededRng;
  readonly #latencyMaxUs: number;
  readonly #deliveries = new DeliveryHeap();
  #orders = 0;

  /** @param seed of the network: another one is another order of events */
  constructor(seed: number, latencyMaxUs: number = 20 * MS_US) {
    this.#rng = new SeededRng(seed);
    this.#latencyMaxUs = latencyMaxUs;
  }

  add(addr: Ipv4Addr, config: SpeakerConfig, seed: number): SimSpeaker {
    const rng = new SeededRng(seed);
    return this.adopt(new SimSpeaker(addr, (ids) => new BgpSpeaker(config, { rng, ids, routes: true })));
  }

  /** From now on it can be called. */
  adopt(node: SimSpeaker): SimSpeaker {
    this.nodes.set(node.addr, node);
    return node;
  }

  give(node: SimSpeaker, input: SpeakerInput): void {
    if (node.dead) return;
    if (node.held !== undefined) {
      if (input.t !== "tick") node.held.push(input);
      return;
    }
    node.speaker.handle(input, this.now);
    this.drain(node);
  }

  /** Goes on where it was suspended. */
  resume(node: SimSpeaker): void {
    const missed = node.held ?? [];
    node.held = undefined;
    for (const input of missed) this.give(node, input);
  }

  /** Carries out what a speaker says, also after it was changed by hand. */
  drain(node: SimSpeaker): void {
    for (let out = node.speaker.poll(); out !== undefined; out = node.speaker.poll()) {
      this.#perform(node, out);
    }
    node.deadline = node.speaker.nextDeadline();
  }

  /** Runs until nothing but keepalives has happened for `quietSec`, or fails after `limitSec`. */
  settle(quietSec: number, limitSec: number): void {
    const limit = this.now + limitSec * SEC_US;
    this.lastActivity = this.now;
    while (this.now - this.lastActivity < quietSec * SEC_US) {
      if (this.now > limit) throw new Error(`the cluster is not quiet after ${limitSec} s`);
      this.#next(this.now + SEC_US);
    }
  }

  /** Runs for so long. */
  run(us: number): void {
    const until = this.now + us;
    while (this.now < until) this.#next(until);
  }

  /** Both ends of a random live connection learn that it is gone, each at its own time; what travelled is lost. */
  breakOne(): void {
    const live = [...new Set([...this.nodes.values()].flatMap((node) => [...node.conns.values()]))]
      .map(({ connection }) => connection)
      .filter((connection) => !connection.cut);
    const connection = live[below(this.#rng, Math.max(1, live.length))];
    if (connection !== undefined) this.break(connection);
  }

  break(connection: Connection): void {
    connection.cut = true;
    for (const end of connection.ends) {
      this.#later(end, () => {
        if (!end.open) return;
        end.open = false;
        end.node.conns.delete(end.conn);
        this.give(end.node, { t: "closed", conn: end.conn, message: "ECONNRESET" });
      });
    }
  }

  /** kill -9: the others see their connections closed. */
  kill(node: SimSpeaker): void {
    node.dead = true;
    this.nodes.delete(node.addr);
    for (const { connection } of [...node.conns.values()]) this.break(connection);
  }

  /** Where another clock drives: the next event. */
  nextDeadline(): Instant {
    let at = this.#deliveries.peek()?.at ?? NEVER;
    for (const node of this.nodes.values())
      if (node.held === undefined && node.deadline < at) at = node.deadline;
    return at;
  }

  /** Carries out all that is due by `now`. */
  advance(now: Instant): void {
    this.now = now;
    this.#carryOut();
  }

  /** Moves to the next event, but not beyond `until`, and carries out all that is due. */
  #next(until: Instant): void {
    this.now = Math.max(this.now, Math.min(until, this.nextDeadline()));
    this.#carryOut();
  }

  #carryOut(): void {
    for (let one = this.#deliveries.peek(); one !== undefined && one.at <= this.now; ) {
      this.#deliveries.pop()?.run();
      one = this.#deliveries.peek();
    }
    for (const node of this.nodes.values()) {
      if (node.deadline <= this.now) this.give(node, { t: "tick" });
    }
  }

  #perform(node: SimSpeaker, out: SpeakerOutput): void {
    switch (out.t) {
      case "dial":
        this.lastActivity = this.now;
        this.#dial(node, out.conn, out.remote);
        return;
      case "send": {
        const held = node.conns.get(out.conn);
        if (held === undefined) return;
        this.messages++;
        if (out.bytes.length !== 19) this.lastActivity = this.now;
        const { connection, side } = held;
        const other = connection.ends[side === 0 ? 1 : 0];
        // Of the sender's own: it may be shared with other receivers.
        for (const bytes of this.#pieces(out.bytes)) this.#deliver(connection, other, bytes);
        return;
      }
      case "close": {
        const held = node.conns.get(out.conn);
        if (held === undefined) return;
        this.lastActivity = this.now;
        this.#close(node, out.conn, held.connection, held.side);
        return;
      }
      case "route": {
        node.hear?.(out);
        const prefix = formatRibPrefix(out.change.prefix);
        if (out.change.nextHops.length > 0) node.forwarding.set(prefix, out.change.nextHops);
        else node.forwarding.delete(prefix);
        return;
      }
      default:
        node.hear?.(out);
        if (out.t !== "trace") node.outputs.push(out);
    }
  }

  /** TCP knows no messages. */
  #pieces(bytes: Uint8Array): Uint8Array[] {
    if (bytes.length < 2 || below(this.#rng, 4) > 0) return [bytes];
    const at = 1 + below(this.#rng, bytes.length - 1);
    return [bytes.slice(0, at), bytes.slice(at)];
  }

  #deliver(connection: Connection, to: End, bytes: Uint8Array): void {
    this.#later(to, () => {
      if (connection.cut || !to.open) return;
      this.give(to.node, { t: "received", conn: to.conn, bytes });
    });
  }

  #close(node: SimSpeaker, conn: number, connection: Connection, side: 0 | 1): void {
    const mine = connection.ends[side];
    const other = connection.ends[side === 0 ? 1 : 0];
    mine.open = false;
    node.conns.delete(conn);
    this.#later(other, () => {
      if (!other.open) return;
      other.open = false;
      other.node.conns.delete(other.conn);
      this.give(other.node, { t: "closed", conn: other.conn });
    });
  }

  #dial(node: SimSpeaker, conn: number, remote: Ipv4Addr): void {
    const target = this.nodes.get(remote);
    if (target === undefined) {
      const mine: End = { node, conn, open: true, last: 0 };
      this.#later(mine, () => this.give(node, { t: "connectFailed", conn, message: "ECONNREFUSED" }));
      return;
    }
    const dialled: End = { node, conn, open: true, last: 0 };
    const called: End = { node: target, conn: target.ids.next(), open: true, last: 0 };
    const connection: Connection = { ends: [dialled, called], cut: false };
    node.conns.set(conn, { connection, side: 0 });
    target.conns.set(called.conn, { connection, side: 1 });
    this.#later(dialled, () => {
      if (dialled.open && !connection.cut) this.give(node, { t: "connected", conn });
    });
    this.#later(called, () => {
      if (called.open && !connection.cut)
        this.give(target, { t: "incoming", conn: called.conn, remote: node.addr });
    });
  }

  /** In order with whatever else travels to this end. */
  #later(end: End, run: () => void): void {
    const at = Math.max(end.last, this.now + 1 + below(this.#rng, this.#latencyMaxUs));
    end.last = at;
    this.#deliveries.push({ at, order: this.#orders++, run });
  }
}

/** By time, and then by the order of their making. */
class DeliveryHeap {
  readonly #items: Delivery[] = [];

  peek(): Delivery | undefined {
    return this.#items[0];
  }

  push(item: Delivery): void {
    const items = this.#items;
    let i = items.push(item) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!before(item, items[up] as Delivery)) break;
      items[i] = items[up] as Delivery;
      i = up;
    }
    items[i] = item;
  }

  pop(): Delivery | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= items.length) break;
      if (down + 1 < items.length && before(items[down + 1] as Delivery, items[down] as Delivery)) down++;
      if (!before(items[down] as Delivery, last)) break;
      items[i] = items[down] as Delivery;
      i = down;
    }
    items[i] = last;
    return first;
  }
}

function before(x: Delivery, y: Delivery): boolean {
  return x.at < y.at || (x.at === y.at && x.order < y.order);
}
