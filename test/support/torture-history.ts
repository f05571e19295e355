// All that has happened below a prefix, as the store itself tells it to a client that nothing is in the way of and that shares
// no code with ours; and whether what others were told agrees.
import { setTimeout as sleep } from "node:timers/promises";
import { prefixEnd } from "../../src/control/datastore/messages.ts";
import { type Message, RawEtcd } from "./etcd-raw.ts";

/** mvccpb.Event.DELETE; a put is 0, which is left out. */
const DELETE = 1;

/** One change of one key. `value` is undefined for a deletion. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  readonly value: string | undefined;
}

/** Every change, in the store's order. */
export class History {
  readonly changes: Change[] = [];

  /** The revision of the last change, 0 before the first. */
  get revision(): number {
    return this.changes.at(-1)?.revision ?? 0;
  }

  /** The index of the first change after `revision`. */
  after(revision: number): number {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.changes[middle] as Change).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The changes of one revision. */
  at(revision: number): readonly Change[] {
    return this.changes.slice(this.after(revision - 1), this.after(revision));
  }

  /** What there was after `revision`: of each key its value and the revision that gave it. */
  state(revision: number): Map<string, Change> {
    const state = new Map<string, Change>();
    for (const change of this.changes.slice(0, this.after(revision))) {
      if (change.value === undefined) state.delete(change.key);
      else state.set(change.key, change);
    }
    return state;
  }
}

/** Writes the history down while it happens. Nothing may be compacted that it has not seen. */
export class Recorder {
  readonly history = new History();
  readonly #endpoint: string;
  readonly #prefix: string;
  /** What the server refused, if it did: then the history has a hole. */
  refused: string | undefined;
  #closed = false;
  #wake: () => void = () => {};
  readonly #done: Promise<void>;

  /** @param endpoint `host:port` */
  constructor(endpoint: string, prefix: string) {
    this.#endpoint = endpoint;
    this.#prefix = prefix;
    this.#done = this.#record();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#done;
  }

  async #record(): Promise<void> {
    while (!this.#closed) {
      // A new client each time: one that has lost its server waits longer and longer.
      const etcd = new RawEtcd(this.#endpoint);
      const stream = etcd.stream("Watch", "Watch");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        stream.on("error", () => resolve());
        stream.on("end", () => resolve());
        stream.on("data", (message: Message) => this.#take(message));
        stream.write({
          create_request: {
            key: Buffer.from(this.#prefix),
            range_end: Buffer.from(prefixEnd(this.#prefix)),
            start_revision: this.history.revision + 1,
          },
        });
      });
      stream.cancel();
      etcd.close();
      if (!this.#closed) await sleep(50);
    }
  }

  #take(message: Message): void {
    if (message.canceled === true) this.refused ??= JSON.stringify(message);
    for (const { type, kv } of message.events as readonly {
      readonly type?: number;
      readonly kv: Message;
    }[]) {
      this.history.changes.push({
        revision: Number(kv.mod_revision),
        key: String(kv.key),
        value: type === DELETE ? undefined : String(kv.value),
      });
    }
  }
}

/** What a writer was told: the store has done this, all of it in this revision. */
export interface Acknowledged {
  readonly revision: number;
  /** In the order of the request. */
  readonly changes: readonly Omit<Change, "revision">[];
}

/** The first that is wrong with the history, by what the writers know; at most ten lines. */
export function checkHistory(
  history: History,
  acknowledged: readonly Acknowledged[],
  wasSent: (key: string, value: string) => boolean,
): string[] {
  const wrong: string[] = [];
  const seen = new Map<string, number>();
  let before: Change | undefined;
  for (const change of history.changes) {
    const { revision, key, value } = change;
    if (before !== undefined && revision < before.revision) {
      wrong.push(`revision ${revision} came after ${before.revision}`);
    }
    before = change;
    if (value === undefined) continue;
    const name = `${key}=${value}`;
    if (!wasSent(key, value)) wrong.push(`nobody wrote ${name}, revision ${revision}`);
    const first = seen.get(name);
    if (first !== undefined)
      wrong.push(`${name} was written once and is in revisions ${first} and ${revision}`);
    seen.set(name, revision);
  }
  const revisions = new Set<number>();
  for (const { revision, changes } of acknowledged) {
    if (revisions.has(revision)) wrong.push(`two writes were acknowledged as revision ${revision}`);
    revisions.add(revision);
    const found = JSON.stringify(history.at(revision).map(({ key, value }) => [key, value ?? null]));
    const told = JSON.stringify(changes.map(({ key, value }) => [key, value ?? null]));
    if (found !== told) wrong.push(`revision ${revision} was acknowledged as ${told} and is ${found}`);
  }
  return wrong.slice(0, 10);
}
