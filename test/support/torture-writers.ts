// Several writers at once, each write with a value of its own, so that it can be told from every other.
import { setTimeout as sleep } from "node:timers/promises";
import { below, type Rng } from "../../src/base/rng.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE, type TxnOp } from "../../src/control/datastore/messages.ts";
import type { EtcdTransport } from "../../src/io/etcd/etcd-transport.ts";
import type { Acknowledged } from "./torture-history.ts";

const KEYS = 200;
const WRITERS = 16;

interface WritersOptions {
  readonly transport: EtcdTransport;
  readonly prefix: string;
  readonly rng: Rng;
  /** How many writes there are to be acknowledged. */
  readonly writes: number;
  /** In about how long. */
  readonly durationMs: number;
}

export class TortureWriters {
  readonly #options: WritersOptions;
  readonly acknowledged: Acknowledged[] = [];
  /** What was sent, as key=value. */
  readonly #sent = new Set<string>();
  /** Writes whose answer was lost: done or not, nobody told. */
  unanswered = 0;
  #written = 0;
  #next = 0;
  #stopped = false;
  readonly #sinceMs = performance.now();
  /** Settles when enough was written, or after {@link stop}. */
  readonly done: Promise<unknown>;

  constructor(options: WritersOptions) {
    this.#options = options;
    this.done = Promise.all(Array.from({ length: WRITERS }, () => this.#run()));
  }

  /** How many writes have been acknowledged, those that found nothing to delete too. */
  get written(): number {
    return this.#written;
  }

  get isDone(): boolean {
    return this.#written >= this.#options.writes;
  }

  stop(): void {
    this.#stopped = true;
  }

  wasSent(key: string, value: string): boolean {
    return this.#sent.has(`${key}=${value}`);
  }

  async #run(): Promise<void> {
    const { writes, durationMs, rng } = this.#options;
    while (!this.#stopped && !this.isDone) {
      // In step with the time: what an outage has held up is made good at full speed.
      const dueMs = (this.#written / writes) * durationMs - (performance.now() - this.#sinceMs);
      if (dueMs > 0) await sleep(Math.min(dueMs, 50));
      else await this.#write().catch(() => this.#failed(rng));
    }
  }

  async #failed(rng: Rng): Promise<void> {
    this.unanswered++;
    await sleep(20 + below(rng, 60));
  }

  async #write(): Promise<void> {
    const { transport, rng } = this.#options;
    const value = `w${this.#next++}`;
    const key = this.#key();
    const kind = below(rng, 10);
    if (kind < 2) {
      const { header, deleted } = await transport.delete({ key, rangeEnd: undefined });
      if (deleted > 0) {
        this.acknowledged.push({ revision: header.revision, changes: [{ key, value: undefined }] });
      }
    } else if (kind === 2) {
      await this.#writeSeveral(value);
    } else {
      this.#sent.add(`${key}=${value}`);
      const { revision } = await transport.put(key, encodeUtf8(value), NO_LEASE);
      this.acknowledged.push({ revision, changes: [{ key, value }] });
    }
    this.#written++;
  }

  /** Several keys in one revision, of which no watcher may see a part. */
  async #writeSeveral(value: string): Promise<void> {
    const { transport } = this.#options;
    const [first, second, third] = new Set([this.#key(), this.#key(), this.#key()]);
    const puts = [first, second].filter((key) => key !== undefined);
    const ops: TxnOp[] = puts.map((key) => ({ t: "put", key, value: encodeUtf8(value), lease: NO_LEASE }));
    if (third !== undefined) ops.push({ t: "delete", range: { key: third, rangeEnd: undefined } });
    for (const key of puts) this.#sent.add(`${key}=${value}`);
    const { header, replies } = await transport.txn([], ops, []);
    const changes: { key: string; value: string | undefined }[] = puts.map((key) => ({ key, value }));
    const last = replies[2];
    if (third !== undefined && last?.t === "delete" && last.deleted > 0) {
      changes.push({ key: third, value: undefined });
    }
    this.acknowledged.push({ revision: header.revision, changes });
  }

  #key(): string {
    return `${this.#options.prefix}k${below(this.#options.rng, KEYS)}`;
  }
}
