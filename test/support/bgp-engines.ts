// Small engines for the driver's tests: one that says what it is told to say, and one that joins real sessions.
import type { Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import { formatIpv4 } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { SpeakerEngine } from "../../src/io/bgp/speaker-loop.ts";
import { hostAddress } from "../../src/io/host-address.ts";
import { BgpPeer } from "../../src/routing/bgp/session/peer.ts";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { type ConnId, ConnIds, type PeerOutput } from "../../src/routing/bgp/session/peer-messages.ts";
import type { SpeakerInput, SpeakerOutput } from "../../src/routing/bgp/speaker/speaker-messages.ts";

/** A node's address on the loopback interface. */
export function carry(addr: Ipv4Addr): string {
  return formatIpv4(hostAddress(addr, "loopback", "linux"));
}

/** Waits until `state` is there; says what is there instead when it does not come. */
export async function until(what: string, state: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!state()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Says what it is told to say, and remembers what it was told. */
export class ScriptedSpeaker implements SpeakerEngine {
  readonly ids = new ConnIds();
  readonly inputs: SpeakerInput[] = [];
  readonly outputs: SpeakerOutput[] = [];
  deadline: Instant = NEVER;
  /** After each input. */
  react: (input: SpeakerInput, now: Instant) => void = () => {};
  /** Does it say that it has stopped, when it is told to? */
  stops = true;
  /** When there is nothing else to say. */
  more: () => SpeakerOutput | undefined = () => undefined;

  handle(input: SpeakerInput, now: Instant): void {
    this.inputs.push(input);
    if (input.t === "stop" && this.stops) this.outputs.push({ t: "stopped" });
    this.react(input, now);
  }

  poll(): SpeakerOutput | undefined {
    return this.outputs.shift() ?? this.more();
  }

  nextDeadline(): Instant {
    return this.deadline;
  }

  count(t: SpeakerInput["t"]): number {
    return this.inputs.filter((input) => input.t === t).length;
  }

  /** What came by a connection. */
  text(conn: ConnId): string {
    const parts = this.inputs.filter((input) => input.t === "received" && input.conn === conn);
    return Buffer.concat(
      parts.map((input) => (input.t === "received" ? input.bytes : Buffer.alloc(0))),
    ).toString("latin1");
  }
}

/** One neighbour of {@link PeersSpeaker}. */
export interface SpeakerPeer {
  readonly addr: Ipv4Addr;
  readonly port: number;
  readonly password?: string;
  /** TTL security. */
  readonly hops?: number | undefined;
  readonly peer: BgpPeer;
  readonly outputs: PeerOutput[];
}

/** Real sessions, and no routes. */
export class PeersSpeaker implements SpeakerEngine {
  readonly ids = new ConnIds();
  readonly peers: SpeakerPeer[] = [];
  readonly #local: Ipv4Addr;
  readonly #outputs: SpeakerOutput[] = [];
  readonly #byConn = new Map<ConnId, SpeakerPeer>();
  #stopping = false;

  constructor(local: Ipv4Addr) {
    this.#local = local;
  }

  add(addr: Ipv4Addr, port: number, config: PeerConfig, password?: string, hops?: number): SpeakerPeer {
    const peer = new BgpPeer({ config, ids: this.ids, rng: new SeededRng(addr) });
    const added = { addr, port, peer, outputs: [], ...(password === undefined ? {} : { password }), hops };
    this.peers.push(added);
    if (hops !== undefined) this.#outputs.push({ t: "ttlSecurity", remote: addr, hops });
    if (password !== undefined) this.#outputs.push({ t: "password", remote: addr, password });
    return added;
  }

  handle(input: SpeakerInput, now: Instant): void {
    switch (input.t) {
      case "start":
      case "tick":
        for (const { peer } of this.peers) peer.handle({ t: input.t }, now);
        return;
      case "stop":
        this.#stopping = true;
        for (const { peer } of this.peers) {
          peer.handle({ t: "stop", ...(input.text === undefined ? {} : { text: input.text }) }, now);
        }
        return;
      case "incoming": {
        const caller = this.peers.find((one) => one.addr === input.remote);
        if (caller === undefined) this.#outputs.push({ t: "close", conn: input.conn, afterFlush: false });
        else {
          this.#byConn.set(input.conn, caller);
          caller.peer.handle({ t: "accepted", conn: input.conn }, now);
        }
        return;
      }
      case "bfdReceived":
        return;
      default:
        this.#byConn.get(input.conn)?.peer.handle(input, now);
    }
  }

  poll(): SpeakerOutput | undefined {
    const own = this.#outputs.shift();
    if (own !== undefined) return own;
    for (const one of this.peers) {
      for (let output = one.peer.poll(); output !== undefined; output = one.peer.poll()) {
        one.outputs.push(output);
        const translated = this.#translate(one, output);
        if (translated !== undefined) return translated;
      }
    }
    if (!this.#stopping) return undefined;
    this.#stopping = false;
    return { t: "stopped" };
  }

  nextDeadline(): Instant {
    return Math.min(...this.peers.map(({ peer }) => peer.nextDeadline()), NEVER);
  }

  #translate(one: SpeakerPeer, output: PeerOutput): SpeakerOutput | undefined {
    if (output.t === "dial") {
      this.#byConn.set(output.conn, one);
      const { addr: remote, port, password, hops: ttlSecurityHops } = one;
      return { t: "dial", conn: output.conn, local: this.#local, remote, port, password, ttlSecurityHops };
    }
    return output.t === "send" || output.t === "close" ? output : undefined;
  }
}
