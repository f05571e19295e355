// Random requests to an etcd: few keys and leases, so that they meet, and every option, wrong ones included.
import { below, type Rng } from "../../src/base/rng.ts";
import type { Message } from "./etcd-raw.ts";

export interface Request {
  readonly service: string;
  readonly method: string;
  readonly message: Message;
}

/** Keeps in mind what makes requests hit: where the history ends. */
export class RequestMaker {
  readonly #rng: Rng;
  /** The present revision, as far as replies told. */
  revision = 1;
  compacting = true;
  #alarm: number | undefined;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  next(): Request {
    const dice = below(this.#rng, 1000);
    if (this.#alarm !== undefined && dice < 100) return this.#deactivate();
    if (dice < 300) return kv("Put", this.#put());
    if (dice < 520) return kv("Range", this.#range());
    if (dice < 600) return kv("DeleteRange", this.#delete());
    if (dice < 800) return kv("Txn", this.#txn(2, this.#sometimes()));
    if (dice < 815 && this.compacting) return this.#compact();
    if (dice < 870) return lease("LeaseGrant", { ID: this.#leaseId(), TTL: this.#ttl() });
    if (dice < 900) return lease("LeaseRevoke", { ID: this.#leaseId() });
    if (dice < 950) return lease("LeaseTimeToLive", { ID: this.#leaseId(), keys: this.#sometimes() });
    if (dice < 990) return lease("LeaseLeases", {});
    // One at a time: taking one back, a real etcd forgets to enforce the other.
    if (dice < 997 || this.#alarm !== undefined) return maintenance("Alarm", { alarm: this.#pick([0, 1]) });
    return this.#activate();
  }

  /**
   * A watch of what such requests touch. Watches of the past want no compaction meanwhile: a real etcd comes to them ten times
   * a second, and cancels those that a compaction has overtaken until then.
   */
  watch(): Message {
    const range = this.#sometimes() ? { ...this.#span() } : { key: bytes("k"), range_end: bytes("l") };
    return {
      ...range,
      start_revision: this.compacting ? 0 : Math.max(1, this.revision - below(this.#rng, 60)),
      prev_kv: this.#sometimes(),
      filters: this.#pick([[], [], [], ["NOPUT"], ["NODELETE"]]),
    };
  }

  #put(): Message {
    return {
      key: this.#key(),
      value: bytes("v".repeat(below(this.#rng, 4)) + String(below(this.#rng, 100))),
      ...this.#rarely({ value: bytes("") }),
      ...this.#maybe({ lease: this.#leaseId() }),
      ...this.#maybe({ prev_kv: true }),
      ...this.#rarely({ ignore_value: true, value: bytes(this.#sometimes() ? "" : "x") }),
      ...this.#rarely({ ignore_lease: true }),
    };
  }

  #range(): Message {
    return {
      ...this.#span(),
      ...this.#maybe({ limit: below(this.#rng, 6) - 1 }),
      ...this.#maybe({ revision: this.#oldRevision() }),
      ...this.#maybe({
        sort_order: below(this.#rng, 3),
        // Not one that there is not: etcd 3.4 dies of it.
        sort_target: below(this.#rng, 5),
      }),
      ...this.#rarely({ keys_only: true }),
      ...this.#rarely({ count_only: true }),
      ...this.#rarely({ serializable: true }),
      ...this.#rarely({ min_mod_revision: this.#oldRevision() }),
      ...this.#rarely({ max_mod_revision: this.#oldRevision() }),
      ...this.#rarely({ min_create_revision: this.#oldRevision() }),
      ...this.#rarely({ max_create_revision: this.#oldRevision() }),
    };
  }

  #delete(): Message {
    return { ...this.#span(), ...this.#maybe({ prev_kv: true }) };
  }

  /**
   * @param open it deletes "from this key on", and puts nothing that depends on what is there: that etcd 3.4 dies of the two
   *   together, because it overlooks that they meet
   */
  #txn(depth: number, open: boolean): Message {
    const ops = (): Message[] => Array.from({ length: below(this.#rng, 4) }, () => this.#op(depth, open));
    const compare = Array.from({ length: below(this.#rng, 3) }, () => this.#compare());
    return { compare, success: ops(), failure: ops() };
  }

  #op(depth: number, open: boolean): Message {
    const dice = below(this.#rng, 100);
    if (dice < 45)
      return {
        request_put: { ...this.#put(), ...(open ? { ignore_value: false, ignore_lease: false } : {}) },
      };
    if (dice < 70) return { request_range: this.#range() };
    if (dice < 85)
      return { request_delete_range: open ? this.#delete() : { ...this.#delete(), ...this.#closed() } };
    if (dice < 97 && depth > 0) return { request_txn: this.#txn(depth - 1, open) };
    return dice < 99 ? { request_range: { key: this.#key() } } : {};
  }

  #compare(): Message {
    const operand = this.#pick<Message>([
      { target: "VERSION", version: below(this.#rng, 3) },
      { target: "CREATE", create_revision: this.#sometimes() ? 0 : this.#oldRevision() },
      { target: "MOD", mod_revision: this.#sometimes() ? 0 : this.#oldRevision() },
      { target: "VALUE", value: bytes(String(below(this.#rng, 100))) },
      { target: "LEASE", lease: this.#leaseId() },
    ]);
    const span = this.#sometimes() ? { key: this.#key() } : this.#span();
    return { ...span, result: this.#pick(["EQUAL", "GREATER", "LESS", "NOT_EQUAL"]), ...operand };
  }

  #compact(): Request {
    const revision = this.revision - below(this.#rng, 80) + 5;
    return kv("Compact", { revision, physical: this.#sometimes() });
  }

  #activate(): Request {
    this.#alarm = this.#pick([1, 2]);
    return maintenance("Alarm", { action: 1, memberID: "7", alarm: this.#alarm });
  }

  #deactivate(): Request {
    const alarm = this.#alarm;
    this.#alarm = undefined;
    return maintenance("Alarm", { action: 2, memberID: "7", alarm });
  }

  #span(): Message {
    const key = this.#key();
    switch (below(this.#rng, 6)) {
      case 0:
        return { key, range_end: bytes("\0") };
      case 1:
        return { key, range_end: bytes("l") };
      case 2:
        return { key, range_end: this.#key() };
      case 3:
        return { key: bytes("\0"), range_end: bytes("\0") };
      default:
        return { key };
    }
  }

  #closed(): Message {
    const key = this.#key();
    return this.#sometimes() ? { key, range_end: bytes("") } : { key, range_end: bytes("l") };
  }

  #key(): Buffer {
    const dice = below(this.#rng, 200);
    if (dice === 0) return bytes("");
    // Eleven keys: of more than twelve, a real etcd sorts equal ones in the order of its quicksort.
    if (dice < 6) return Buffer.from([0x6b, 0xff]);
    return bytes(`k${below(this.#rng, 10)}`);
  }

  #leaseId(): string {
    return this.#pick(["1", "2", "3", "4", "5", "9223372036854775807"]);
  }

  #ttl(): number {
    const dice = below(this.#rng, 40);
    return dice === 0 ? 9_000_000_001 : 10_000 + dice;
  }

  #oldRevision(): number {
    const dice = below(this.#rng, 40);
    if (dice === 0) return -1;
    if (dice === 1) return this.revision + 2 + below(this.#rng, 5);
    return Math.max(0, this.revision - below(this.#rng, 50));
  }

  #sometimes(): boolean {
    return below(this.#rng, 2) === 0;
  }

  #maybe(fields: Message): Message {
    return below(this.#rng, 3) === 0 ? fields : {};
  }

  #rarely(fields: Message): Message {
    return below(this.#rng, 12) === 0 ? fields : {};
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[below(this.#rng, choices.length)] as T;
  }
}

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function kv(method: string, message: Message): Request {
  return { service: "KV", method, message };
}

function lease(method: string, message: Message): Request {
  return { service: "Lease", method, message };
}

function maintenance(method: string, message: Message): Request {
  return { service: "Maintenance", method, message };
}
