import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import type { BfdTimers } from "./bfd-messages.ts";

/** The shortest interval that is asked for while a session is not Up. @rfc 5880#6.8.3 */
const SLOW_TX_US = SEC_US;

/**
 * What this side of a session asks for: what packets tell, what is in force already, what has to wait, and the poll sequences between
 * them. A change that could let one side expect more than the other sends takes effect when the neighbour is known to have heard of it.
 * @rfc 5880#6.5 @rfc 5880#6.8.3
 */
export class LocalTimers {
  /** As configured. Becomes {@link told} when no poll sequence is in the way. */
  #wanted: BfdTimers;
  #told: BfdTimers;
  #up = false;
  #desiredMinTxUs: number;
  #requiredMinRxUs: number;
  #polling = false;
  /** When the poll sequence's first and last packet went out. */
  #firstPollAt: Instant = NEVER;
  #lastPollAt: Instant = NEVER;
  /** When no answer to a finished poll sequence can be under way any more: then another may begin. */
  #settledAt: Instant = 0;

  constructor(timers: BfdTimers) {
    this.#wanted = timers;
    this.#told = this.#askedFor();
    this.#desiredMinTxUs = this.#told.desiredMinTxUs;
    this.#requiredMinRxUs = this.#told.requiredMinRxUs;
  }

  /** What packets carry. */
  get told(): BfdTimers {
    return this.#told;
  }

  /** In force: no packets faster than this, in microseconds. */
  get desiredMinTxUs(): number {
    return this.#desiredMinTxUs;
  }

  /** In force: what the detection time is reckoned with. */
  get requiredMinRxUs(): number {
    return this.#requiredMinRxUs;
  }

  /** Must packets carry the poll bit? */
  get polling(): boolean {
    return this.#polling;
  }

  /** New values from the configuration; {@link advance} takes them up. */
  configure(timers: BfdTimers): void {
    this.#wanted = timers;
  }

  /** When {@link advance} is worth calling; NEVER when nothing waits, or what it waits for is the neighbour. */
  nextDeadline(): Instant {
    return this.#polling || same(this.#askedFor(), this.#told) ? NEVER : this.#settledAt;
  }

  /**
   * The session has come Up, or is not Up any more. @param remoteKnown is there a neighbour that could have heard other values?
   */
  stateChanged(up: boolean, remoteKnown: boolean): void {
    this.#up = up;
    this.#tell(remoteKnown);
    if (!up) this.#desiredMinTxUs = this.#told.desiredMinTxUs;
  }

  /** Tells the values that were configured, unless a poll sequence is in the way. True: packets have something new to say. */
  advance(remoteKnown: boolean, now: Instant): boolean {
    if (this.#up && (this.#polling || now < this.#settledAt)) return false;
    return this.#tell(remoteKnown);
  }

  /** A packet with the poll bit has gone out. */
  pollSent(now: Instant): void {
    if (this.#firstPollAt === NEVER) this.#firstPollAt = now;
    this.#lastPollAt = now;
  }

  /**
   * A packet with the final bit has come. A round trip cannot have been longer than since the first poll: more than that time after the
   * last poll, no further answer to this sequence can come, and be taken for one to the next. @rfc 5880#6.8.3
   */
  final(now: Instant): void {
    if (!this.#polling || this.#firstPollAt === NEVER) return;
    this.#settledAt = this.#lastPollAt + (now - this.#firstPollAt) + 1;
    this.#endPoll();
  }

  /** The neighbour is gone, and with it all that it was told. */
  forget(): void {
    this.#settledAt = 0;
    this.#endPoll();
  }

  #endPoll(): void {
    this.#polling = false;
    this.#firstPollAt = NEVER;
    this.#desiredMinTxUs = this.#told.desiredMinTxUs;
    this.#requiredMinRxUs = this.#told.requiredMinRxUs;
  }

  #tell(remoteKnown: boolean): boolean {
    const next = this.#askedFor();
    if (same(next, this.#told)) return false;
    this.#told = next;
    // Up, packets must not become rarer before the neighbour knows it; and before it does, it may send as rarely as it was told.
    this.#desiredMinTxUs = this.#up
      ? Math.min(this.#desiredMinTxUs, next.desiredMinTxUs)
      : next.desiredMinTxUs;
    this.#requiredMinRxUs = remoteKnown
      ? Math.max(this.#requiredMinRxUs, next.requiredMinRxUs)
      : next.requiredMinRxUs;
    this.#polling ||= remoteKnown;
    return true;
  }

  #askedFor(): BfdTimers {
    const { desiredMinTxUs } = this.#wanted;
    return this.#up || desiredMinTxUs >= SLOW_TX_US
      ? this.#wanted
      : { ...this.#wanted, desiredMinTxUs: SLOW_TX_US };
  }
}

function same(a: BfdTimers, b: BfdTimers): boolean {
  return (
    a.desiredMinTxUs === b.desiredMinTxUs &&
    a.requiredMinRxUs === b.requiredMinRxUs &&
    a.detectMult === b.detectMult
  );
}
