// Is the store that a watch goes on in the one that the watch began in? An etcd that was emptied and started again with the same
// flags has the same cluster id, and it may have outgrown the revision that we knew; its watch would go on as if nothing had been. But
// it never had the newest key that we know at the revision up to which we know it: a store that is the same says what we know, whatever
// has become of the key since.
import type { Instant } from "../../base/time.ts";
import type { KeyValue, StoreEvent, StoreOp } from "./messages.ts";
import { type OpIds, PendingOps } from "./pending-ops.ts";

/** `forgotten`: the store has no such revision, or has it no more. `silent`: nothing is known. */
export type Verdict = "same" | "other" | "forgotten" | "silent";

export class StoreWitness {
  readonly #ops: PendingOps<KeyValue>;

  constructor(ids: OpIds) {
    this.#ops = new PendingOps(ids);
  }

  /** What to ask the store. @param items all that is known, and not empty @param revision up to which it is known */
  ask(items: Iterable<KeyValue>, revision: number, now: Instant): StoreOp {
    const newest = [...items].reduce((a, b) => (b.modRevision > a.modRevision ? b : a));
    const range = { key: newest.key, rangeEnd: undefined };
    return { t: "range", id: this.#ops.issue(newest, now), range, revision };
  }

  /** Undefined: the event is no answer to what was asked. */
  hear(event: Extract<StoreEvent, { readonly t: "rangeDone" | "opFailed" }>): Verdict | undefined {
    const known = this.#ops.settle(event.id)?.what;
    if (known === undefined) return undefined;
    if (event.t === "opFailed") {
      return event.code === "unavailable" || event.code === "timeout" ? "silent" : "forgotten";
    }
    const [found] = event.kvs;
    return found !== undefined && isSame(known, found) ? "same" : "other";
  }

  /** Has the time for an answer run out? */
  expire(now: Instant): boolean {
    return this.#ops.expire(now) !== undefined;
  }

  nextDeadline(): Instant {
    return this.#ops.nextDeadline();
  }

  /** An answer that still comes is nobody's. */
  clear(): void {
    this.#ops.clear();
  }
}

/** The same version of a key. */
export function isSame(a: KeyValue, b: KeyValue): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.value.length === b.value.length &&
    a.value.every((byte, i) => byte === b.value[i])
  );
}
