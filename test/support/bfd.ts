import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../src/base/time.ts";
import type { BfdStateChange, BfdTimers } from "../../src/routing/bfd/bfd-messages.ts";
import { BfdSession } from "../../src/routing/bfd/bfd-session.ts";
import { type BfdState, type ControlPacket, check, PACKET_LEN, parse } from "../../src/wire/bfd.ts";

/** 300 ms, three times: what our packets ask for unless a test says otherwise. */
export const TIMERS: BfdTimers = {
  desiredMinTxUs: 300 * MS_US,
  requiredMinRxUs: 300 * MS_US,
  detectMult: 3,
};

export const LOCAL = 0x1111_1111;
export const REMOTE = 0x2222_2222;

/** A packet that went out, and when. */
export interface Sent extends ControlPacket {
  readonly at: Instant;
}

/** A packet of ours as a value; dies when our own check would refuse it. */
export function packetOf(bytes: Uint8Array<ArrayBuffer>): ControlPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fault = check(view, 0, bytes.length);
  if (fault !== undefined || bytes.length !== PACKET_LEN) throw new Error(`unsound: ${fault}`);
  return parse(view, 0);
}

/** One session and a neighbour that says what the test wants, on a virtual clock. */
export class BfdBench {
  readonly session: BfdSession;
  readonly sent: Sent[] = [];
  readonly changes: BfdStateChange[] = [];
  now: Instant = 100 * SEC_US;

  constructor(timers: Partial<BfdTimers> = {}, seed = 1) {
    this.session = new BfdSession({
      localDiscriminator: LOCAL,
      timers: { ...TIMERS, ...timers },
      rng: new SeededRng(seed),
    });
  }

  get state(): BfdState {
    return this.session.status().state;
  }

  /** The last packet that went out. */
  get last(): Sent {
    return this.sent.at(-1) as Sent;
  }

  start(): this {
    this.session.start(this.now);
    return this.drain();
  }

  stop(): this {
    this.session.stop(this.now);
    return this.drain();
  }

  configure(timers: Partial<BfdTimers>): this {
    this.session.configure({ ...TIMERS, ...timers }, this.now);
    return this.drain();
  }

  /** The neighbour says `state`, and what it says of the rest. */
  hear(state: BfdState, rest: Partial<ControlPacket> = {}): this {
    const packet: ControlPacket = {
      state,
      diag: 0,
      poll: false,
      final: false,
      controlPlaneIndependent: false,
      demand: false,
      detectMult: 3,
      myDiscriminator: REMOTE,
      yourDiscriminator: LOCAL,
      desiredMinTxUs: state === "Up" ? 300 * MS_US : SEC_US,
      requiredMinRxUs: 300 * MS_US,
      ...rest,
    };
    this.session.handle({ t: "received", packet }, this.now);
    return this.drain();
  }

  /** Ticks whenever one is due until `us` have passed. */
  pass(us: number): this {
    const until = this.now + us;
    for (let steps = 0; this.session.nextDeadline() <= until; steps++) {
      if (steps > 100_000) throw new Error("the session never rests");
      this.now = Math.max(this.now, this.session.nextDeadline());
      this.session.handle({ t: "tick" }, this.now);
      this.drain();
    }
    this.now = until;
    return this;
  }

  /** Started, and led to `state` by what the neighbour says. */
  in(state: BfdState): this {
    this.start();
    if (state === "AdminDown") return this.stop();
    if (state === "Init") return this.hear("Down");
    if (state === "Up") return this.hear("Down").hear("Up");
    return this;
  }

  /** As {@link in} Up, with the poll sequence over and the counters of this bench empty. */
  settled(rest: Partial<ControlPacket> = {}): this {
    this.in("Up").hear("Up", { final: true, ...rest });
    // So that another poll sequence may begin.
    this.pass(1).hear("Up", rest);
    this.sent.length = 0;
    this.changes.length = 0;
    return this;
  }

  /** Intervals between the packets that went out. */
  gaps(): number[] {
    return this.sent.slice(1).map((packet, i) => packet.at - (this.sent[i] as Sent).at);
  }

  drain(): this {
    for (let out = this.session.poll(); out !== undefined; out = this.session.poll()) {
      if (out.t === "send") this.sent.push({ ...packetOf(out.bytes), at: this.now });
      else this.changes.push(out);
    }
    return this;
  }
}
