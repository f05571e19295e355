// etcd's messages as the rest of podloom knows them, and back.

import { encodeUtf8 } from "../../../base/utf8.ts";
import type {
  Compare,
  KeyRange,
  KeyValue,
  LeaseId,
  ResponseHeader,
  TxnOp,
  TxnReply,
  WatchedEvent,
} from "../../../control/datastore/messages.ts";
import { StoreError } from "../etcd-transport.ts";
import type { Decoded, Draft } from "./protobuf-table.ts";
import * as rpc from "./rpc-tables.ts";

export function keyRange(range: KeyRange): { key: Uint8Array; range_end?: Uint8Array } {
  const key = encodeUtf8(range.key);
  return range.rangeEnd === undefined ? { key } : { key, range_end: encodeUtf8(range.rangeEnd) };
}

/** @throws StoreError when the server left it out */
export function header(raw: Decoded<typeof rpc.ResponseHeader> | undefined): ResponseHeader {
  if (raw === undefined) throw malformed("without a header");
  return { clusterId: raw.cluster_id, revision: raw.revision };
}

export function keyValue(raw: Decoded<typeof rpc.KeyValue>): KeyValue {
  return {
    key: Buffer.from(raw.key.buffer, raw.key.byteOffset, raw.key.byteLength).toString("utf8"),
    // A copy: the raw value is a view that would keep the whole reply in memory.
    value: new Uint8Array(raw.value),
    createRevision: raw.create_revision,
    modRevision: raw.mod_revision,
    version: raw.version,
    lease: raw.lease,
  };
}

/** @throws StoreError when an event has no key */
export function watchedEvent(raw: Decoded<typeof rpc.Event>): WatchedEvent {
  if (raw.kv === undefined) throw malformed("with an event that has no key");
  return { t: raw.type === rpc.EventType.delete ? "delete" : "put", kv: keyValue(raw.kv) };
}

export function compare(c: Compare): Draft<Decoded<typeof rpc.Compare>> {
  const base = {
    key: encodeUtf8(c.key),
    result: rpc.CompareResult[c.op],
    target: rpc.CompareTarget[c.target],
  };
  switch (c.target) {
    case "version":
      return { ...base, version: c.operand as number };
    case "create":
      return { ...base, create_revision: c.operand as number };
    case "mod":
      return { ...base, mod_revision: c.operand as number };
    case "lease":
      return { ...base, lease: c.operand as LeaseId };
    case "value":
      return { ...base, value: c.operand as Uint8Array };
  }
}

export function requestOp(op: TxnOp): Draft<Decoded<typeof rpc.RequestOp>> {
  switch (op.t) {
    case "put":
      return { request_put: { key: encodeUtf8(op.key), value: op.value, lease: op.lease } };
    case "delete":
      return { request_delete_range: keyRange(op.range) };
    case "range":
      return { request_range: keyRange(op.range) };
  }
}

export function txnReply(raw: Decoded<typeof rpc.ResponseOp>): TxnReply {
  if (raw.response_range !== undefined) return { t: "range", kvs: raw.response_range.kvs.map(keyValue) };
  if (raw.response_delete_range !== undefined)
    return { t: "delete", deleted: raw.response_delete_range.deleted };
  return { t: "put" };
}

function malformed(how: string): StoreError {
  return new StoreError("unknown", `the server sent a malformed message (${how})`);
}
