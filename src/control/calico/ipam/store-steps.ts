// How the machines of IPAM talk to the store. A machine is a generator: it yields one question, and is resumed with the answer, so
// that the order of its reads and writes is the order of its lines. The engine asks again when a call fails with its outcome
// unknown; `unsure` then says that an earlier try may have been carried out.
import { encodeUtf8 } from "../../../base/utf8.ts";
import type { Compare, KeyRange, KeyValue, TxnOp, TxnReply } from "../../datastore/messages.ts";
import { NO_LEASE } from "../../datastore/messages.ts";
import type { IpamError } from "./ipam-messages.ts";

export type StoreAsk =
  | { readonly t: "range"; readonly range: KeyRange }
  | {
      readonly t: "txn";
      readonly compares: readonly Compare[];
      readonly success: readonly TxnOp[];
      readonly failure: readonly TxnOp[];
    };

/** What a machine is resumed with. */
export interface StoreReply {
  /** Of a transaction. */
  readonly succeeded: boolean;
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly replies: readonly TxnReply[];
  readonly unsure: boolean;
}

export type Steps<T> = Generator<StoreAsk, T, StoreReply>;

/** Ends a request from within. Only the engine catches it. */
export class IpamFault extends Error {
  readonly code: IpamError["code"];
  constructor(code: IpamError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** How a guarded write ended. */
export type Write =
  | { readonly t: "done"; readonly modRevision: number }
  /** Somebody was faster. `unsure`: and before that, this write may have been done all the same. */
  | { readonly t: "lost"; readonly current: KeyValue | undefined; readonly unsure: boolean };

/** What a write is done on: the key as it was read, or its absence. */
export type Seen = Pick<KeyValue, "key" | "modRevision">;

export function* getKey(key: string): Steps<KeyValue | undefined> {
  const reply = yield { t: "range", range: one(key) };
  return reply.kvs[0];
}

export function* listKeys(range: KeyRange): Steps<readonly KeyValue[]> {
  const reply = yield { t: "range", range };
  return reply.kvs;
}

/** Writes `text` if the key does not exist, and `guards` are as they were seen. */
export function createKey(key: string, text: string, guards: readonly Seen[] = []): Steps<Write> {
  return put([{ key, target: "create", op: "equal", operand: 0 }, ...guards.map(unchanged)], key, text);
}

/** Writes `text` if the key is as it was seen. */
export function updateKey(seen: Seen, text: string): Steps<Write> {
  return put([unchanged(seen)], seen.key, text);
}

function* put(compares: readonly Compare[], key: string, text: string): Steps<Write> {
  const value = encodeUtf8(text);
  const success: TxnOp[] = [{ t: "put", key, value, lease: NO_LEASE }];
  const reply = yield { t: "txn", compares, success, failure: [{ t: "range", range: one(key) }] };
  if (reply.succeeded) return { t: "done", modRevision: reply.revision };
  const current = firstOf(reply);
  // Every value that is guarded so says in itself whose it is, or does not matter whose.
  if (reply.unsure && current !== undefined && isEqual(current.value, value)) {
    return { t: "done", modRevision: current.modRevision };
  }
  return { t: "lost", current, unsure: reply.unsure };
}

/** Deletes the key if it is as it was seen. A key that is gone is deleted, whoever did it. */
export function* deleteKey(seen: Seen): Steps<Write> {
  const success: TxnOp[] = [{ t: "delete", range: one(seen.key) }];
  const failure: TxnOp[] = [{ t: "range", range: one(seen.key) }];
  const reply = yield { t: "txn", compares: [unchanged(seen)], success, failure };
  const current = reply.succeeded ? undefined : firstOf(reply);
  if (current === undefined) return { t: "done", modRevision: reply.revision };
  return { t: "lost", current, unsure: reply.unsure };
}

function firstOf(reply: StoreReply): KeyValue | undefined {
  return reply.replies.find((one) => one.t === "range")?.kvs[0];
}

function unchanged({ key, modRevision }: Seen): Compare {
  return { key, target: "mod", op: "equal", operand: modRevision };
}

function one(key: string): KeyRange {
  return { key, rangeEnd: undefined };
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
