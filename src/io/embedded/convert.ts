// From etcd's messages to the store's operations and back. Nothing here decides anything.
import { unreachable } from "../../base/assert.ts";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import { bytesOfKey, KEYSPACE_END, keyOfBytes, type Span } from "./byte-key.ts";
import {
  type CompareOp,
  type DeleteOp,
  type DeleteReply,
  isTombstone,
  type KeyValue,
  type PutOp,
  type PutReply,
  type RangeOp,
  type RangeReply,
  type RequestOp,
  type RequestReply,
  type TxnOp,
  type TxnReply,
} from "./operations.ts";
import type {
  CompareIn,
  DeleteRangeRequestIn,
  DeleteRangeResponseOut,
  EventOut,
  HeaderOut,
  KeyValueOut,
  PutRequestIn,
  PutResponseOut,
  RangeRequestIn,
  RangeResponseOut,
  RequestOpIn,
  ResponseOpOut,
  TxnRequestIn,
  TxnResponseOut,
  WatchCreateRequestIn,
} from "./rpc-messages.ts";
import type { WatchEvent, WatchRequest } from "./watch-hub.ts";

const NO_BYTES = Buffer.alloc(0);

/** For a field that goes out: a zero is left out. */
export function unlessZero(number: number): number | undefined {
  return number === 0 ? undefined : number;
}

/** mvccpb.Event.EventType; PUT is 0. */
const EVENT_DELETE = 1;

/** WatchCreateRequest.FilterType. */
const FilterType = { NO_PUT: 0, NO_DELETE: 1 } as const;

/** A revision or count. Beyond 2^53 it loses its last digits, which no comparison with a real one can notice. */
function numberOf(int64: string | undefined): number {
  return int64 === undefined ? 0 : Number(int64);
}

/**
 * The range that key and range_end describe: without range_end one key, with "\0" all keys from `key` on.
 * @param emptyIsOpen an etcd tells a range_end that was sent empty from one that was not sent, where the request reaches it
 *   as it came off the wire (reads), and takes the former for "\0". In writes, which pass through its log, the difference is
 *   lost. A client that sends empty fields must meet the same here.
 */
function spanOf(key: Buffer | undefined, rangeEnd: Buffer | undefined, emptyIsOpen = false): Span {
  const from = key === undefined ? "" : keyOfBytes(key);
  if (rangeEnd === undefined) return { key: from, end: undefined };
  if (rangeEnd.length === 0) return { key: from, end: emptyIsOpen ? KEYSPACE_END : undefined };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { key: from, end: KEYSPACE_END };
  return { key: from, end: keyOfBytes(rangeEnd) };
}

/** A value to keep: copied, because the bytes are a view of a network buffer that may be far larger. */
function ownedBytes(bytes: Buffer | undefined): Uint8Array {
  return bytes === undefined || bytes.length === 0 ? NO_BYTES : Buffer.from(bytes);
}

/** @param isRead see {@link spanOf} */
export function rangeOp(request: RangeRequestIn, isRead = true): RangeOp {
  return {
    t: "range",
    span: spanOf(request.key, request.range_end, isRead),
    limit: numberOf(request.limit),
    revision: numberOf(request.revision),
    sortOrder: request.sort_order ?? 0,
    sortTarget: request.sort_target ?? 0,
    keysOnly: request.keys_only ?? false,
    countOnly: request.count_only ?? false,
    minModRevision: numberOf(request.min_mod_revision),
    maxModRevision: numberOf(request.max_mod_revision),
    minCreateRevision: numberOf(request.min_create_revision),
    maxCreateRevision: numberOf(request.max_create_revision),
  };
}

export function putOp(request: PutRequestIn): PutOp {
  return {
    t: "put",
    key: request.key === undefined ? "" : keyOfBytes(request.key),
    value: ownedBytes(request.value),
    lease: request.lease ?? NO_LEASE,
    prevKv: request.prev_kv ?? false,
    ignoreValue: request.ignore_value ?? false,
    ignoreLease: request.ignore_lease ?? false,
  };
}

export function deleteOp(request: DeleteRangeRequestIn): DeleteOp {
  return { t: "delete", span: spanOf(request.key, request.range_end), prevKv: request.prev_kv ?? false };
}

export function txnOp(request: TxnRequestIn): TxnOp {
  const isRead = [...request.success, ...request.failure].every((op) => op.request_range !== undefined);
  return convertTxn(request, isRead);
}

function convertTxn(request: TxnRequestIn, isRead: boolean): TxnOp {
  return {
    t: "txn",
    compares: request.compare.map((compare) => compareOp(compare, isRead)),
    success: request.success.map((op) => requestOp(op, isRead)),
    failure: request.failure.map((op) => requestOp(op, isRead)),
  };
}

function compareOp(compare: CompareIn, isRead: boolean): CompareOp {
  return {
    span: spanOf(compare.key, compare.range_end, isRead),
    target: compare.target ?? 0,
    result: compare.result ?? 0,
    number: numberOf(compareNumber(compare)),
    lease: compare.lease ?? NO_LEASE,
    value: compare.value ?? NO_BYTES,
  };
}

/** The operand that goes with the target; another field of the union than that counts as not set. */
function compareNumber(compare: CompareIn): string | undefined {
  switch (compare.target ?? 0) {
    case 0:
      return compare.version;
    case 1:
      return compare.create_revision;
    case 2:
      return compare.mod_revision;
    default:
      return undefined;
  }
}

function requestOp(op: RequestOpIn, isRead: boolean): RequestOp {
  if (op.request_put !== undefined) return putOp(op.request_put);
  if (op.request_range !== undefined) return rangeOp(op.request_range, isRead);
  if (op.request_delete_range !== undefined) return deleteOp(op.request_delete_range);
  if (op.request_txn !== undefined) return convertTxn(op.request_txn, isRead);
  return { t: "empty" };
}

function keyValueOut(kv: KeyValue, keysOnly = false): KeyValueOut {
  return {
    key: bytesOfKey(kv.key),
    create_revision: kv.createRevision,
    mod_revision: kv.modRevision,
    version: kv.version,
    value: keysOnly || kv.value.length === 0 ? undefined : kv.value,
    lease: kv.lease === NO_LEASE ? undefined : kv.lease,
  };
}

export function rangeOut(header: HeaderOut, reply: RangeReply): RangeResponseOut {
  return {
    header,
    kvs: reply.kvs.map((kv) => keyValueOut(kv, reply.keysOnly)),
    more: reply.more || undefined,
    count: unlessZero(reply.count),
  };
}

export function putOut(header: HeaderOut, reply: PutReply): PutResponseOut {
  return reply.prevKv === undefined ? { header } : { header, prev_kv: keyValueOut(reply.prevKv) };
}

export function deleteOut(header: HeaderOut, reply: DeleteReply): DeleteRangeResponseOut {
  return { header, deleted: unlessZero(reply.deleted), prev_kvs: reply.prevKvs.map((kv) => keyValueOut(kv)) };
}

export function txnOut(header: HeaderOut, reply: TxnReply): TxnResponseOut {
  return { header, succeeded: reply.succeeded || undefined, responses: reply.replies.map(responseOpOut) };
}

/** The header of a nested reply holds the revision alone, as etcd leaves it. */
function responseOpOut(reply: RequestReply): ResponseOpOut {
  const header: HeaderOut = { revision: unlessZero(reply.revision) };
  switch (reply.t) {
    case "range":
      return { response_range: rangeOut(header, reply) };
    case "put":
      return { response_put: putOut(header, reply) };
    case "delete":
      return { response_delete_range: deleteOut(header, reply) };
    case "txn":
      return { response_txn: txnOut(header, reply) };
    default:
      return unreachable(reply);
  }
}

export function watchRequest(request: WatchCreateRequestIn): WatchRequest {
  const span = spanOf(request.key, request.range_end);
  return {
    watchId: numberOf(request.watch_id),
    // "\0" is the smallest key; an empty one is taken for it.
    span: span.key === "" ? { key: "\0", end: span.end } : span,
    startRevision: numberOf(request.start_revision),
    noPut: request.filters.includes(FilterType.NO_PUT),
    noDelete: request.filters.includes(FilterType.NO_DELETE),
    prevKv: request.prev_kv ?? false,
    fragment: request.fragment ?? false,
    progressNotify: request.progress_notify ?? false,
  };
}

export function eventOut({ kv, prevKv }: WatchEvent): EventOut {
  const event: EventOut = isTombstone(kv)
    ? { type: EVENT_DELETE, kv: { key: bytesOfKey(kv.key), mod_revision: kv.modRevision } }
    : { type: undefined, kv: keyValueOut(kv) };
  return prevKv === undefined ? event : { ...event, prev_kv: keyValueOut(prevKv) };
}
