import { type Instant, NEVER, SEC_US } from "../../base/time.ts";

/**
 * How long an engine waits for an answer before it treats the operation as lost, in microseconds. The driver puts a shorter
 * deadline on every call and answers opFailed; this one holds even if the driver never answers.
 */
export const OP_DEADLINE_US = 5 * SEC_US;

/** Hands out the numbers of operations and watches. Engines that share one connection share one of these. */
export class OpIds {
  #next = 1;

  take(): number {
    return this.#next++;
  }
}

/** An operation that is on its way. `sentAt` is when the engine asked: what the validity of a lease counts from. */
export interface PendingOp<W> {
  readonly what: W;
  readonly sentAt: Instant;
  readonly deadline: Instant;
}

/** The operations of one engine that are not answered yet, each with what it was for. */
export class PendingOps<W> {
  readonly #ids: OpIds;
  readonly #ops = new Map<number, PendingOp<W>>();

  constructor(ids: OpIds) {
    this.#ids = ids;
  }

  get size(): number {
    return this.#ops.size;
  }

  /** Registers an operation that is sent now. Returns its id. */
  issue(what: W, now: Instant, deadlineUs: number = OP_DEADLINE_US): number {
    const id = this.#ids.take();
    this.#ops.set(id, { what, sentAt: now, deadline: now + deadlineUs });
    return id;
  }

  /** Takes the operation out, when it is answered; undefined when it is not (or no longer) ours. */
  settle(id: number): PendingOp<W> | undefined {
    const op = this.#ops.get(id);
    if (op !== undefined) this.#ops.delete(id);
    return op;
  }

  /** Takes out one operation whose deadline has passed. */
  expire(now: Instant): PendingOp<W> | undefined {
    for (const [id, op] of this.#ops) {
      if (op.deadline <= now) {
        this.#ops.delete(id);
        return op;
      }
    }
    return undefined;
  }

  /** All were sent so much earlier than it seemed: the clock has stood still since. */
  backdate(byUs: number): void {
    for (const [id, op] of this.#ops) this.#ops.set(id, { ...op, sentAt: op.sentAt - byUs });
  }

  /** Forgets all: answers that still come are nobody's. */
  clear(): void {
    this.#ops.clear();
  }

  nextDeadline(): Instant {
    let at = NEVER;
    for (const op of this.#ops.values()) if (op.deadline < at) at = op.deadline;
    return at;
  }
}
