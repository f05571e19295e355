// A Reflector as a node drives it, that writes down all it delivers; and whether that is the store's history.
import { SeededRng } from "../../src/base/rng.ts";
import { MS_US, NEVER } from "../../src/base/time.ts";
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { type KeyValue, prefixEnd, type StoreEvent } from "../../src/control/datastore/messages.ts";
import { OpIds } from "../../src/control/datastore/pending-ops.ts";
import { Reflector } from "../../src/control/datastore/reflector.ts";
import type { EtcdTransport } from "../../src/io/etcd/etcd-transport.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import { TortureClock } from "./torture-clock.ts";
import type { Change, History } from "./torture-history.ts";

export type Delivery =
  /** A list, before the differences that it makes. */
  | { readonly t: "snapshot"; readonly revision: number; readonly changes: readonly Change[] }
  /** The differences have been told. */
  | { readonly t: "synced" }
  | { readonly t: "wiped" }
  | { readonly t: "list" | "watch"; readonly change: Change };

export class TortureReflector {
  readonly reflector: Reflector;
  readonly deliveries: Delivery[] = [];
  readonly #driver: StoreDriver;
  readonly #clock = new TortureClock();
  #timer: NodeJS.Timeout | undefined;

  constructor(transport: EtcdTransport, prefix: string, seed: number) {
    this.reflector = new Reflector({
      range: { key: prefix, rangeEnd: prefixEnd(prefix) },
      ids: new OpIds(),
      rng: new SeededRng(seed),
    });
    const take = (event: StoreEvent): void => {
      this.reflector.handle(event, this.#clock.now());
      this.#drain();
    };
    this.#driver = new StoreDriver(transport, take, this.#clock);
    this.reflector.start(this.#clock.now());
    this.#drain();
  }

  /** How often it had to list again. */
  get relists(): number {
    return Math.max(0, this.deliveries.filter(({ t }) => t === "snapshot").length - 1);
  }

  /** The revision of the last event or list. */
  get revision(): number {
    const last = this.deliveries.findLast(({ t }) => t === "snapshot" || t === "watch");
    if (last?.t === "snapshot") return last.revision;
    return last?.t === "watch" ? last.change.revision : 0;
  }

  /** Its clock is later at once. */
  jump(byMs: number): void {
    this.#clock.jump(byMs * MS_US);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.reflector.stop();
    await this.#driver.close();
  }

  #drain(): void {
    for (let out = this.reflector.poll(); out !== undefined; out = this.reflector.poll()) {
      switch (out.t) {
        case "op":
          this.#driver.perform(out.op);
          break;
        case "snapshot":
          if (out.wiped) this.deliveries.push({ t: "wiped" });
          this.deliveries.push({
            t: "snapshot",
            revision: out.header.revision,
            changes: out.kvs.map((kv) => changeOf(kv, false)),
          });
          break;
        case "synced":
          this.deliveries.push({ t: "synced" });
          break;
        case "put":
        case "delete":
          this.deliveries.push({ t: out.origin, change: changeOf(out.kv, out.t === "delete") });
          break;
        default:
      }
    }
    clearTimeout(this.#timer);
    const deadline = this.reflector.nextDeadline();
    if (deadline === NEVER) return;
    const waitMs = Math.max(0, Math.ceil((deadline - this.#clock.now()) / 1000));
    this.#timer = setTimeout(() => {
      this.reflector.tick(this.#clock.now());
      this.#drain();
    }, waitMs);
  }
}

function changeOf({ key, value, modRevision }: KeyValue, gone: boolean): Change {
  return { revision: modRevision, key, value: gone ? undefined : decodeUtf8(value) };
}

/** Follows what was delivered, as one that knows nothing else, and holds it against the history. */
class Follower {
  readonly wrong: string[] = [];
  readonly #history: History;
  /** What a follower of the deliveries knows. */
  #known = new Map<string, Change>();
  /** The last revision that was told of each key, of a deletion too. */
  readonly #told = new Map<string, number>();
  /** The last list, until all of its differences are told. */
  #listed: Map<string, Change> | undefined;
  /** The index of the change that must come next. */
  #next = 0;

  constructor(history: History) {
    this.#history = history;
  }

  hear(delivery: Delivery): void {
    switch (delivery.t) {
      case "wiped":
        this.wrong.push("the store was called wiped, and never was");
        return;
      case "snapshot": {
        const { revision, changes } = delivery;
        this.#listed = new Map(changes.map((change) => [change.key, change]));
        this.#compare(this.#listed, this.#history.state(revision), `the list of revision ${revision}`);
        this.#next = this.#history.after(revision);
        return;
      }
      case "synced":
        this.#compare(this.#known, this.#listed ?? new Map(), "what followed from a list");
        return;
      case "watch":
        this.#onWatch(delivery.change);
        this.#learn(delivery.change);
        return;
      case "list":
        this.#learn(delivery.change);
    }
  }

  /** The end: all has been told, and what is known is what there is. */
  end(): void {
    const missing = this.#history.changes.slice(this.#next);
    if (missing.length > 0) {
      this.wrong.push(`the last ${missing.length} changes are missing, from ${show(missing[0])} on`);
    }
    this.#compare(this.#known, this.#history.state(this.#history.revision), "the end");
  }

  /** Between two lists nothing is missing, nothing doubled, and all in order. */
  #onWatch(change: Change): void {
    const want = this.#history.changes[this.#next];
    if (want !== undefined && show(want) === show(change)) {
      this.#next++;
      return;
    }
    this.wrong.push(`${show(change)} was delivered where ${show(want)} was due`);
    // From here on as if it were right, or everything that follows is wrong.
    this.#next = this.#history.after(change.revision);
  }

  #learn(change: Change): void {
    const { key, revision } = change;
    const before = this.#told.get(key) ?? 0;
    if (revision <= before) this.wrong.push(`${show(change)} was delivered after revision ${before} of it`);
    this.#told.set(key, revision);
    if (change.value === undefined) this.#known.delete(key);
    else this.#known.set(key, change);
  }

  #compare(found: ReadonlyMap<string, Change>, want: ReadonlyMap<string, Change>, what: string): void {
    const differ = [...new Set([...found.keys(), ...want.keys()])].filter(
      (key) => show(found.get(key)) !== show(want.get(key)),
    );
    if (differ.length === 0) return;
    const [key] = differ as [string];
    const example = `${show(found.get(key))} is known, ${show(want.get(key))} was right`;
    this.wrong.push(`${what}: ${differ.length} keys differ; ${example}`);
  }
}

function show(change: Change | undefined): string {
  if (change === undefined) return "nothing";
  return `${change.key}=${change.value ?? "(deleted)"}@${change.revision}`;
}

/** What is wrong with the deliveries of one reflector; at most ten lines. */
export function checkDeliveries(history: History, deliveries: readonly Delivery[]): string[] {
  const follower = new Follower(history);
  for (const delivery of deliveries) follower.hear(delivery);
  follower.end();
  return follower.wrong.slice(0, 10);
}
