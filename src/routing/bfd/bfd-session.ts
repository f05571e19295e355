// One session over one hop, as an engine, asynchronous and without authentication. Read RFC 5880 section 6.8 first. Both sides are
// active here; there is no demand mode of ours (the neighbour's is honoured), and no echo. How packets change the state is in bfd-fsm.ts,
// when new timers take effect in local-timers.ts. Where this is not the RFC's letter:
//   - the diagnostic goes back to "none" when the session comes Up, as in BIRD and FRR;
//   - when the neighbour has been silent for a detection time, all that it said is forgotten, not its discriminator alone;
//   - a required interval that was reduced is in force when the neighbour is known to have heard of it in all states, not in Up alone.
import { assert } from "../../base/assert.ts";
import { below, type Rng } from "../../base/rng.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import { type BfdState, type ControlPacket, Diag, emit, PACKET_LEN } from "../../wire/bfd.ts";
import { afterPacket } from "./bfd-fsm.ts";
import {
  type BfdCounters,
  type BfdSessionInput,
  type BfdSessionOutput,
  type BfdStatus,
  type BfdTimers,
  timersFault,
} from "./bfd-messages.ts";
import { LocalTimers } from "./local-timers.ts";

export interface BfdSessionOptions {
  /** Unique on this system, not 0, and better not guessable. */
  readonly localDiscriminator: number;
  readonly timers: BfdTimers;
  /** For jitter. */
  readonly rng: Rng;
}

/** The engine of one session. It is AdminDown, and silent, until it is started. @rfc 5880#6.8 @rfc 5882#3.2 */
export class BfdSession {
  readonly localDiscriminator: number;
  readonly #rng: Rng;
  readonly #local: LocalTimers;
  readonly #outputs: BfdSessionOutput[] = [];
  readonly #counters: BfdCounters = { received: 0, sent: 0, up: 0, failed: 0 };
  #state: BfdState = "AdminDown";
  #diag: number = Diag.NONE;
  #since: Instant = 0;
  /** The neighbour's last packet; undefined when there was none for a detection time. */
  #remote: ControlPacket | undefined;
  #heardAt: Instant = NEVER;
  #sentAt: Instant = Number.NEGATIVE_INFINITY;
  #txAt: Instant = NEVER;
  /** What {@link #txAt} was reckoned with; 0: there are no periodic packets. */
  #txIntervalUs = 0;
  /** Until when AdminDown is told; NEVER: it is not told. */
  #tellUntil: Instant = NEVER;
  /** Is there a state that no packet has told yet? */
  #news = false;

  constructor({ localDiscriminator, timers, rng }: BfdSessionOptions) {
    assert(localDiscriminator > 0 && localDiscriminator <= 0xffff_ffff, "a discriminator has 32 bits");
    assertSound(timers);
    this.localDiscriminator = localDiscriminator;
    this.#rng = rng;
    this.#local = new LocalTimers(timers);
  }

  /** Administratively up: looks for the neighbour. @rfc 5880#6.8.16 */
  start(now: Instant): void {
    if (this.#state !== "AdminDown") return;
    this.#tellUntil = NEVER;
    this.#become("Down", Diag.NONE, now);
    this.#settle(false, now);
  }

  /** Administratively down: tells it for as long as the neighbour takes to detect silence, and is {@link idle} then. @rfc 5880#6.8.16 */
  stop(now: Instant): void {
    if (this.#state === "AdminDown") return;
    this.#become("AdminDown", Diag.ADMINISTRATIVELY_DOWN, now);
    if (this.#remote === undefined) {
      this.#news = false;
    } else {
      const interval = Math.max(this.#local.desiredMinTxUs, this.#remote.requiredMinRxUs);
      this.#tellUntil = now + this.#local.told.detectMult * interval;
    }
    this.#settle(false, now);
  }

  /** Other timers, without touching the state: the neighbour is told in a poll sequence. @rfc 5880#6.8.3 */
  configure(timers: BfdTimers, now: Instant): void {
    assertSound(timers);
    this.#local.configure(timers);
    this.#settle(false, now);
  }

  handle(input: BfdSessionInput, now: Instant): void {
    if (input.t === "received") this.#received(input.packet, now);
    else this.#tick(now);
  }

  poll(): BfdSessionOutput | undefined {
    return this.#outputs.shift();
  }

  /** When the next `tick` is due; NEVER when none is. */
  nextDeadline(): Instant {
    return Math.min(this.#txAt, this.#detectAt(), this.#tellUntil, this.#local.nextDeadline());
  }

  /** Administratively down, and nothing left to tell. */
  get idle(): boolean {
    return this.#state === "AdminDown" && this.#tellUntil === NEVER;
  }

  status(): BfdStatus {
    const remote = this.#remote;
    return {
      state: this.#state,
      since: this.#since,
      diag: this.#diag,
      remoteState: remote?.state ?? "Down",
      remoteDiag: remote?.diag ?? Diag.NONE,
      localDiscriminator: this.localDiscriminator,
      remoteDiscriminator: remote?.myDiscriminator ?? 0,
      told: this.#local.told,
      remote,
      txIntervalUs: this.#txIntervalUs,
      detectionTimeUs: this.#detectionTimeUs(),
      polling: this.#local.polling,
      heardAt: this.#heardAt,
      counters: this.#counters,
    };
  }

  /** @rfc 5880#6.8.6 */
  #received(packet: ControlPacket, now: Instant): void {
    this.#counters.received++;
    this.#remote = packet;
    this.#heardAt = now;
    if (packet.final) this.#local.final(now);
    const next = afterPacket(this.#state, packet.state);
    if (next !== this.#state) {
      if (next === "Down") this.#become(next, Diag.NEIGHBOR_SIGNALED_DOWN, now);
      else this.#become(next, next === "Up" ? Diag.NONE : this.#diag, now);
    }
    this.#settle(packet.poll && this.#state !== "AdminDown", now);
  }

  #tick(now: Instant): void {
    if (now >= this.#detectAt()) this.#expired(now);
    if (now >= this.#tellUntil) this.#tellUntil = NEVER;
    this.#settle(false, now);
  }

  /** The neighbour was silent for the detection time. @rfc 5880#6.8.4 */
  #expired(now: Instant): void {
    const independent = this.#remote?.controlPlaneIndependent ?? false;
    this.#remote = undefined;
    this.#heardAt = NEVER;
    this.#local.forget();
    if (this.#state === "Init" || this.#state === "Up") {
      this.#become("Down", Diag.DETECTION_TIME_EXPIRED, now, independent);
    }
  }

  #become(to: BfdState, diag: number, now: Instant, independent?: boolean): void {
    const from = this.#state;
    const remoteState = this.#remote?.state ?? "Down";
    const failed = from === "Up" && to === "Down" && remoteState !== "AdminDown";
    const remoteIndependent = independent ?? this.#remote?.controlPlaneIndependent ?? false;
    this.#state = to;
    this.#diag = diag;
    this.#since = now;
    this.#news = true;
    if (to === "Up") this.#counters.up++;
    if (failed) this.#counters.failed++;
    this.#local.stateChanged(to === "Up", this.#remote !== undefined);
    this.#outputs.push({ t: "state", from, to, diag, remoteState, failed, remoteIndependent });
  }

  /**
   * Sends what is due after whatever has happened, and reckons when the next packet is. A poll is answered at once, beside the periodic
   * packets. A new state goes out at once too, in place of the next of them. @rfc 5880#6.8.7
   */
  #settle(answer: boolean, now: Instant): void {
    const changed = this.#local.advance(this.#remote !== undefined, now);
    const intervalUs = this.#periodUs();
    if (intervalUs !== this.#txIntervalUs) {
      this.#txIntervalUs = intervalUs;
      this.#txAt = intervalUs === 0 ? NEVER : this.#sentAt + this.#jittered();
    }
    // A neighbour that takes no periodic packets is told of new timers by a single one.
    const aside = changed && intervalUs === 0 && this.#remote !== undefined && !this.idle;
    if (answer) this.#send(true, now);
    if (this.#news || aside || now >= this.#txAt) {
      this.#send(false, now);
      this.#sentAt = now;
      this.#txAt = intervalUs === 0 ? NEVER : now + this.#jittered();
    }
  }

  #send(final: boolean, now: Instant): void {
    const poll = this.#local.polling && !final;
    if (poll) this.#local.pollSent(now);
    const bytes = new Uint8Array(PACKET_LEN);
    emit(new DataView(bytes.buffer), 0, {
      ...this.#local.told,
      state: this.#state,
      diag: this.#diag,
      poll,
      final,
      controlPlaneIndependent: false,
      demand: false,
      myDiscriminator: this.localDiscriminator,
      yourDiscriminator: this.#remote?.myDiscriminator ?? 0,
    });
    this.#news = false;
    this.#counters.sent++;
    this.#outputs.push({ t: "send", bytes });
  }

  /** The interval between periodic packets before jitter; 0 when there are to be none. @rfc 5880#6.8.7 */
  #periodUs(): number {
    if (this.idle) return 0;
    const remote = this.#remote;
    if (remote === undefined) return this.#local.desiredMinTxUs;
    if (remote.requiredMinRxUs === 0) return 0;
    const demanded = remote.demand && this.#state === "Up" && remote.state === "Up";
    if (demanded && !this.#local.polling) return 0;
    return Math.max(this.#local.desiredMinTxUs, remote.requiredMinRxUs);
  }

  /** Reduced by up to a quarter; with a multiplier of 1 by a tenth at least, or the neighbour would wait in vain. @rfc 5880#6.8.7 */
  #jittered(): number {
    const period = this.#txIntervalUs;
    const least = Math.ceil(period * 0.75);
    const most = Math.floor(this.#local.told.detectMult === 1 ? period * 0.9 : period);
    return least + below(this.#rng, Math.max(1, most - least));
  }

  /** 0 while the neighbour is unknown. @rfc 5880#6.8.4 */
  #detectionTimeUs(): number {
    const remote = this.#remote;
    if (remote === undefined) return 0;
    return remote.detectMult * Math.max(this.#local.requiredMinRxUs, remote.desiredMinTxUs);
  }

  #detectAt(): Instant {
    return this.#remote === undefined ? NEVER : this.#heardAt + this.#detectionTimeUs();
  }
}

function assertSound(timers: BfdTimers): void {
  const fault = timersFault(timers);
  assert(fault === undefined, fault ?? "");
}
