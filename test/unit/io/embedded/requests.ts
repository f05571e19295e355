// Builders for the store's operations, with everything optional that etcd's clients leave out.
import { SeededRng } from "../../../../src/base/rng.ts";
import type { Retention } from "../../../../src/io/embedded/auto-compactor.ts";
import type { ByteKey, Span } from "../../../../src/io/embedded/byte-key.ts";
import { type Journal, NoJournal } from "../../../../src/io/embedded/journal/journal.ts";
import {
  type CompareOp,
  CompareResult,
  CompareTarget,
  type DeleteOp,
  type KeyValue,
  type PutOp,
  type RangeOp,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnOp,
} from "../../../../src/io/embedded/operations.ts";
import { Store } from "../../../../src/io/embedded/store.ts";
import { DEFAULT_LIMITS } from "../../../../src/io/embedded/store-options.ts";
import type { WatchRequest, WatchResponse, WatchSink } from "../../../../src/io/embedded/watch-hub.ts";

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

export function text(kv: KeyValue | undefined): string | undefined {
  return kv === undefined ? undefined : Buffer.from(kv.value).toString();
}

/** One key, or a range when `end` is given. */
export function span(key: ByteKey, end?: ByteKey): Span {
  return { key, end };
}

export function rangeOf(key: ByteKey, end?: ByteKey, options: Partial<RangeOp> = {}): RangeOp {
  return {
    t: "range",
    span: span(key, end),
    limit: 0,
    revision: 0,
    sortOrder: SortOrder.NONE,
    sortTarget: SortTarget.KEY,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...options,
  };
}

export function putOf(key: ByteKey, value: string, options: Partial<PutOp> = {}): PutOp {
  return {
    t: "put",
    key,
    value: bytes(value),
    lease: "0",
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
    ...options,
  };
}

export function deleteOf(key: ByteKey, end?: ByteKey, prevKv = false): DeleteOp {
  return { t: "delete", span: span(key, end), prevKv };
}

export function txnOf(
  compares: readonly CompareOp[],
  success: readonly RequestOp[],
  failure: readonly RequestOp[] = [],
): TxnOp {
  return { t: "txn", compares, success, failure };
}

type Target = keyof typeof CompareTarget;

export function compareOf(
  key: ByteKey,
  target: Target,
  result: keyof typeof CompareResult,
  operand: number | string,
  end?: ByteKey,
): CompareOp {
  return {
    span: span(key, end),
    target: CompareTarget[target],
    result: CompareResult[result],
    number: typeof operand === "number" ? operand : 0,
    lease: target === "LEASE" ? String(operand) : "0",
    value: target === "VALUE" ? bytes(String(operand)) : bytes(""),
  };
}

export function newStore(
  options: { retention?: Retention; fragmentBytes?: number; journal?: Journal; quotaBytes?: number } = {},
): Store {
  return new Store(
    {
      rng: new SeededRng(1),
      journal: options.journal ?? new NoJournal(),
      retention: options.retention === undefined ? { mode: "off" } : options.retention,
      quotaBytes: options.quotaBytes ?? DEFAULT_LIMITS.quotaBytes,
      txnOpsMax: DEFAULT_LIMITS.txnOpsMax,
      fragmentBytes: options.fragmentBytes ?? 1.5 * 1024 * 1024,
      wake: () => undefined,
    },
    0,
  );
}

/** Background work until there is none. */
export function settle(store: Store): void {
  while (store.work(1000));
}

export function watchOf(key: ByteKey, end?: ByteKey, options: Partial<WatchRequest> = {}): WatchRequest {
  return {
    watchId: 0,
    span: span(key, end),
    startRevision: 0,
    noPut: false,
    noDelete: false,
    prevKv: false,
    fragment: false,
    progressNotify: false,
    ...options,
  };
}

/** A client's end of a watch stream: keeps what it gets, and takes only as much as `room` allows. */
export class TestSink implements WatchSink {
  readonly responses: WatchResponse[] = [];
  /** Responses that it takes before it says "no more". */
  room = Number.POSITIVE_INFINITY;

  send(response: WatchResponse): boolean {
    this.responses.push(response);
    return --this.room > 0;
  }

  /** `key=value@revision` or `-key@revision` of every event so far. */
  events(): string[] {
    return this.responses.flatMap((response) => response.events.map(({ kv }) => eventText(kv)));
  }

  take(): WatchResponse[] {
    return this.responses.splice(0);
  }
}

export function eventText(kv: KeyValue): string {
  return kv.version === 0 ? `-${kv.key}@${kv.modRevision}` : `${kv.key}=${text(kv)}@${kv.modRevision}`;
}
