// When a speaker is asked and told: at the end of the turn of the event loop in which something arrived, and when its deadline has
// come. Not how its outputs are carried out.
import { type Instant, NEVER } from "../../base/time.ts";
import type { SpeakerInput, SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import type { Clock } from "../clock.ts";

/** Outputs that one turn may carry out. */
const TURN_OUTPUTS_MAX = 1024;
/** Octets that are received before the speaker must read them; less waits for the other sockets of the turn. */
const UNREAD_BYTES_MAX = 64 * 1024;
const TIMER_MS_MAX = 2 ** 31 - 1;
/** How much too early a turn may come: to be awake for nothing costs an idle process more than to move its timer. */
const EARLY_US_MAX = 100_000;

/** What is driven: an engine. Inputs may come between two calls of `poll()`; `blocked` does. */
export interface SpeakerEngine {
  handle(input: SpeakerInput, now: Instant): void;
  poll(): SpeakerOutput | undefined;
  /** Not later than now: work is left, a `tick` goes on with it. */
  nextDeadline(): Instant;
}

export interface SpeakerLoopOptions {
  readonly speaker: SpeakerEngine;
  readonly clock: Clock;
  readonly perform: (output: SpeakerOutput) => void;
  /** After the outputs of a turn. */
  readonly turned: () => void;
}

/** Turns one engine. */
export class SpeakerLoop {
  readonly #speaker: SpeakerEngine;
  readonly #clock: Clock;
  readonly #perform: (output: SpeakerOutput) => void;
  readonly #turned: () => void;
  readonly #turnNow = (): void => this.turn();
  #running = false;
  #armed = false;
  #unreadBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: Instant = NEVER;

  constructor({ speaker, clock, perform, turned }: SpeakerLoopOptions) {
    this.#speaker = speaker;
    this.#clock = clock;
    this.#perform = perform;
    this.#turned = turned;
  }

  /** From now on there are turns. */
  run(): void {
    this.#running = true;
    this.arm();
  }

  /** No more turns. */
  halt(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** Gives an input; what comes of it is carried out at the end of this turn of the event loop. */
  give(input: SpeakerInput): void {
    this.#speaker.handle(input, this.#clock.now());
    this.arm();
    if (input.t !== "received") return;
    // Small messages of many neighbours are worked on together; a table that is transferred, as it comes.
    this.#unreadBytes += input.bytes.length;
    if (this.#unreadBytes >= UNREAD_BYTES_MAX) this.turn();
  }

  /** Gives an input amid {@link SpeakerLoopOptions.perform}. */
  tell(input: SpeakerInput): void {
    this.#speaker.handle(input, this.#clock.now());
  }

  /** Asks for a turn. */
  arm(): void {
    if (this.#armed || !this.#running) return;
    this.#armed = true;
    setImmediate(this.#turnNow);
  }

  /** Carries out all that the speaker has said, however much. */
  drainAll(): void {
    while (!this.#drain());
  }

  /**
   * One turn. One that a timer asked for comes after the sockets of the same turn of the event loop have been read: what a neighbour
   * said before its time ran out counts, even if this process was asleep.
   */
  turn(): void {
    this.#armed = false;
    if (!this.#running) return;
    let drained = this.#drain();
    if (drained && this.#speaker.nextDeadline() <= this.#clock.now()) {
      this.tell({ t: "tick" });
      drained = this.#drain();
    }
    this.#turned();
    const deadline = this.#speaker.nextDeadline();
    if (!drained || deadline <= this.#clock.now()) this.arm();
    else this.#armTimer(deadline);
  }

  /** A timer that is armed for a moment a little earlier stays: it is not moved for every message. */
  #armTimer(deadline: Instant): void {
    if (deadline === NEVER || !this.#running) return;
    if (this.#timerAt <= deadline && deadline < this.#timerAt + EARLY_US_MAX) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const waitMs = Math.min(Math.ceil((deadline - this.#clock.now()) / 1000), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#timerAt = NEVER;
      this.arm();
    }, waitMs);
  }

  /** False: there is more. */
  #drain(): boolean {
    for (let i = 0; i < TURN_OUTPUTS_MAX; i++) {
      const output = this.#speaker.poll();
      if (output === undefined) {
        this.#unreadBytes = 0;
        return true;
      }
      this.#perform(output);
    }
    return false;
  }
}
