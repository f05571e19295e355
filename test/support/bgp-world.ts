import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../src/base/time.ts";
import { BgpPeer } from "../../src/routing/bgp/session/peer.ts";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import {
  type ConnId,
  ConnIds,
  type PeerInput,
  type PeerOutput,
} from "../../src/routing/bgp/session/peer-messages.ts";
import { messageTexts, outputText } from "./bgp-bench.ts";

/** What travels towards one end of a connection. */
type Item =
  /** The call reaches the one who is called. It can be later than anything the caller learns: the kernel answers by itself. */
  | { readonly t: "accept" }
  /** TCP is up, says the kernel to the caller. */
  | { readonly t: "connected" }
  | { readonly t: "bytes"; readonly bytes: Uint8Array }
  | { readonly t: "fin" };

interface End {
  readonly node: number;
  conn: ConnId | undefined;
  open: boolean;
  /** In order, and nothing is lost until the connection is. */
  readonly queue: Item[];
}

interface Link {
  /** Stable over interleavings: who dialled, and the how many-th time. */
  readonly name: string;
  readonly ends: readonly [End, End];
}

interface Node {
  readonly peer: BgpPeer;
  readonly ids: ConnIds;
  dials: number;
  /** What the engine was given, in order: equal logs, equal engines. */
  readonly inputs: string[];
  readonly lines: string[];
}

/**
 * Two engines that are each other's neighbour, and ordered channels between them. What is delivered next is the caller's choice:
 * {@link choices} and {@link deliver}.
 */
export class BgpWorld {
  readonly nodes: readonly [Node, Node];
  readonly links: Link[] = [];
  now: Instant = 100 * SEC_US;
  #starts: number[] = [];

  constructor(configs: readonly [PeerConfig, PeerConfig], seed = 1) {
    const make = (config: PeerConfig, i: number): Node => {
      const ids = new ConnIds();
      const peer = new BgpPeer({ config, ids, rng: new SeededRng(2 * seed + i) });
      return { peer, ids, dials: 0, inputs: [], lines: [] };
    };
    this.nodes = [make(configs[0], 0), make(configs[1], 1)];
  }

  start(node: number): void {
    this.give(node, { t: "start" }, "start");
  }

  /** Makes the start of a node one of the choices. */
  startLater(node: number): void {
    this.#starts.push(node);
  }

  /** All that can happen next without time passing. */
  choices(): string[] {
    const found = this.#starts.map((node) => `start ${node}`);
    for (const link of this.links) {
      for (const end of link.ends) if (end.queue.length > 0) found.push(`${link.name} ${end.node}`);
    }
    return found;
  }

  deliver(choice: string): void {
    const [name, where] = choice.split(" ");
    const node = Number(where);
    if (name === "start") {
      this.#starts = this.#starts.filter((one) => one !== node);
      this.start(node);
      return;
    }
    const link = this.links.find((one) => one.name === name) as Link;
    const end = link.ends.find((one) => one.node === node) as End;
    const item = end.queue.shift() as Item;
    if (!end.open) {
      (this.nodes[node] as Node).inputs.push(`${name} too late`);
      return;
    }
    if (item.t === "accept") end.conn = (this.nodes[node] as Node).ids.next();
    const conn = end.conn as ConnId;
    const what = `${name} ${item.t === "bytes" ? messageTexts(item.bytes).join("+") : item.t}`;
    if (item.t === "accept") this.give(node, { t: "accepted", conn }, what);
    else if (item.t === "connected") this.give(node, { t: "connected", conn }, what);
    else if (item.t === "bytes") this.give(node, { t: "received", conn, bytes: item.bytes }, what);
    else {
      end.open = false;
      this.give(node, { t: "closed", conn }, what);
    }
  }

  /** The connection dies: what is under way is lost, and both ends learn of it when their turn comes. */
  cut(link: Link): void {
    for (const end of link.ends) {
      if (!end.open) continue;
      const accept = end.queue.some((item) => item.t === "accept");
      end.queue.length = 0;
      // Nobody calls any more.
      if (accept) end.open = false;
      else end.queue.push({ t: "fin" });
    }
  }

  give(node: number, input: PeerInput, what: string): void {
    const { peer, inputs, lines } = this.nodes[node] as Node;
    inputs.push(what);
    peer.handle(input, this.now);
    for (let out = peer.poll(); out !== undefined; out = peer.poll()) {
      const line = outputText(out);
      if (line !== undefined) lines.push(line);
      this.#perform(node, out);
    }
  }

  /** Fires what is due at `now`. */
  tick(): void {
    for (const node of [0, 1]) {
      const { peer } = this.nodes[node] as Node;
      if (peer.nextDeadline() <= this.now) this.give(node, { t: "tick" }, `tick ${this.now}`);
    }
  }

  nextDeadline(): Instant {
    return Math.min(NEVER, ...this.nodes.map(({ peer }) => peer.nextDeadline()));
  }

  /** Names of the connections that are open at both ends. */
  open(): string[] {
    return this.links.filter(({ ends }) => ends[0].open && ends[1].open).map((link) => link.name);
  }

  #perform(node: number, out: PeerOutput): void {
    if (out.t === "dial") this.#dial(node, out.conn);
    if (out.t !== "send" && out.t !== "close") return;
    for (const { ends } of this.links) {
      const mine = ends.find((end) => end.node === node) as End;
      const theirs = ends.find((end) => end.node !== node) as End;
      if (mine.conn !== out.conn || !mine.open) continue;
      if (out.t === "send") {
        theirs.queue.push({ t: "bytes", bytes: out.bytes });
        continue;
      }
      mine.open = false;
      mine.queue.length = 0;
      theirs.queue.push({ t: "fin" });
    }
  }

  #dial(node: number, conn: ConnId): void {
    const name = `${"ab"[node]}${++(this.nodes[node] as Node).dials}`;
    this.links.push({
      name,
      ends: [
        { node, conn, open: true, queue: [{ t: "connected" }] },
        { node: 1 - node, conn: undefined, open: true, queue: [{ t: "accept" }] },
      ],
    });
  }
}
