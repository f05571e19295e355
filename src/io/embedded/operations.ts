// What the store is asked and what it answers, free of any transport. Read etcd's v3 API (kv) first: each type here is one
// of its messages, with bytes as keys, revisions as numbers and lease ids as decimal text (they are 64 bits wide).
import type { LeaseId } from "../../control/datastore/messages.ts";
import type { ByteKey, Span } from "./byte-key.ts";

/** One version of a key. Immutable; shared by the index, the log, replies and watch events. */
export interface KeyValue {
  readonly key: ByteKey;
  /** Borrowed by every reader; nobody writes to it. */
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** 1 at creation; 0 marks a tombstone, which carries only key and modRevision. */
  readonly version: number;
  readonly lease: LeaseId;
}

/** Is this version the deletion of its key? */
export function isTombstone(kv: KeyValue): boolean {
  return kv.version === 0;
}

export const SortOrder = { NONE: 0, ASCEND: 1, DESCEND: 2 } as const;
export const SortTarget = { KEY: 0, VERSION: 1, CREATE: 2, MOD: 3, VALUE: 4 } as const;

export interface RangeOp {
  readonly t: "range";
  readonly span: Span;
  /** At most so many; 0 or less is all. */
  readonly limit: number;
  /** 0 or less is the current one. */
  readonly revision: number;
  /** A {@link SortOrder}. */
  readonly sortOrder: number;
  /** A {@link SortTarget}. */
  readonly sortTarget: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** Bounds on what is returned, each inclusive; 0 is no bound. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface PutOp {
  readonly t: "put";
  readonly key: ByteKey;
  /** The store takes ownership. */
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface DeleteOp {
  readonly t: "delete";
  readonly span: Span;
  readonly prevKv: boolean;
}

export interface TxnOp {
  readonly t: "txn";
  readonly compares: readonly CompareOp[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

/** `empty` is a request with none of its fields set: it is refused, but only once it is looked at. */
export type RequestOp = RangeOp | PutOp | DeleteOp | TxnOp | { readonly t: "empty" };

export const CompareResult = { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 } as const;
export const CompareTarget = { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3, LEASE: 4 } as const;

export interface CompareOp {
  readonly span: Span;
  /** A {@link CompareTarget}. */
  readonly target: number;
  /** A {@link CompareResult}. */
  readonly result: number;
  /** Operand for version, create and mod. */
  readonly number: number;
  /** Operand for lease. */
  readonly lease: LeaseId;
  /** Operand for value. */
  readonly value: Uint8Array;
}

export interface RangeReply {
  readonly t: "range";
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  /** Values are not to be sent. */
  readonly keysOnly: boolean;
  /** The limit cut something off. */
  readonly more: boolean;
  /** All keys in the range, before bounds and limit. */
  readonly count: number;
}

export interface PutReply {
  readonly t: "put";
  readonly revision: number;
  /** Only when it was asked for. */
  readonly prevKv: KeyValue | undefined;
}

export interface DeleteReply {
  readonly t: "delete";
  readonly revision: number;
  readonly deleted: number;
  /** Only when they were asked for. */
  readonly prevKvs: readonly KeyValue[];
}

export interface TxnReply {
  readonly t: "txn";
  /** 0 in a nested reply, as etcd leaves it. */
  readonly revision: number;
  readonly succeeded: boolean;
  readonly replies: readonly RequestReply[];
}

export type RequestReply = RangeReply | PutReply | DeleteReply | TxnReply;
