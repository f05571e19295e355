// etcd as messages. Pure code emits operations and receives events; `io/etcd` performs them. Read specs of etcd's v3 API
// (kv, lease, watch) first. Keys are text here: etcd allows any bytes, Flannel and Calico use UTF-8.

/** Revisions stay below 2^53 in any etcd that one could run; lease ids do not, so they are decimal text. "0" is no lease. */
export type LeaseId = string;
export const NO_LEASE: LeaseId = "0";

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: LeaseId;
}

/** What every reply carries. `clusterId` is decimal text; it changes when a cluster was wiped or restored. */
export interface ResponseHeader {
  readonly clusterId: string;
  readonly revision: number;
}

/** A half-open key range: one key when `rangeEnd` is undefined. See {@link prefixEnd}. */
export interface KeyRange {
  readonly key: string;
  readonly rangeEnd: string | undefined;
}

type CompareTarget = "version" | "create" | "mod" | "lease" | "value";

export interface Compare {
  readonly key: string;
  readonly target: CompareTarget;
  readonly op: "equal" | "greater" | "less" | "notEqual";
  /** A number for version, create and mod; a lease id for lease; bytes for value. */
  readonly operand: number | LeaseId | Uint8Array;
}

export type TxnOp =
  | { readonly t: "put"; readonly key: string; readonly value: Uint8Array; readonly lease: LeaseId }
  | { readonly t: "delete"; readonly range: KeyRange }
  | { readonly t: "range"; readonly range: KeyRange };

export type TxnReply =
  | { readonly t: "put" }
  | { readonly t: "delete"; readonly deleted: number }
  | { readonly t: "range"; readonly kvs: readonly KeyValue[] };

/** What pure code asks of the store. `id` is the asker's, unique among its pending operations. */
export type StoreOp =
  /** `revision`: as it was then. */
  | { readonly t: "range"; readonly id: number; readonly range: KeyRange; readonly revision?: number }
  | {
      readonly t: "txn";
      readonly id: number;
      readonly compares: readonly Compare[];
      readonly success: readonly TxnOp[];
      readonly failure: readonly TxnOp[];
    }
  | { readonly t: "leaseGrant"; readonly id: number; readonly ttlSec: number }
  | { readonly t: "leaseRevoke"; readonly id: number; readonly lease: LeaseId }
  | { readonly t: "leaseTimeToLive"; readonly id: number; readonly lease: LeaseId }
  /** One keep-alive on the stream. `id` is its own: the reply names it, so that validity counts from the sending. */
  | { readonly t: "leaseKeepAlive"; readonly id: number; readonly lease: LeaseId }
  | {
      readonly t: "watchOpen";
      readonly watch: number;
      readonly range: KeyRange;
      readonly startRevision: number;
    }
  | { readonly t: "watchProgress"; readonly watch: number }
  | { readonly t: "watchCancel"; readonly watch: number };

/** Why an operation failed. `compacted`, `noLease`, … are the server's word; `unavailable` and `timeout` leave open whether it was done. */
export type StoreErrorCode =
  | "unavailable"
  | "timeout"
  | "compacted"
  | "leaseNotFound"
  | "noSpace"
  | "denied"
  | "invalid"
  | "unimplemented"
  | "unknown";

export interface WatchedEvent {
  readonly t: "put" | "delete";
  /** For a delete: key and modRevision only, value empty. */
  readonly kv: KeyValue;
}

export type StoreEvent =
  | {
      readonly t: "rangeDone";
      readonly id: number;
      readonly header: ResponseHeader;
      readonly kvs: readonly KeyValue[];
    }
  | {
      readonly t: "txnDone";
      readonly id: number;
      readonly header: ResponseHeader;
      readonly succeeded: boolean;
      readonly replies: readonly TxnReply[];
    }
  | { readonly t: "leaseGranted"; readonly id: number; readonly lease: LeaseId; readonly ttlSec: number }
  | { readonly t: "leaseRevoked"; readonly id: number; readonly lease: LeaseId }
  /** `ttlSec` is -1 for a lease that does not exist; for no lease at all etcd answers the same. */
  | {
      readonly t: "leaseTimeToLive";
      readonly id: number;
      readonly lease: LeaseId;
      readonly ttlSec: number;
      readonly grantedTtlSec: number;
    }
  /** `ttlSec` 0: the server no longer has the lease. */
  | { readonly t: "leaseKeptAlive"; readonly id: number; readonly lease: LeaseId; readonly ttlSec: number }
  | { readonly t: "opFailed"; readonly id: number; readonly code: StoreErrorCode; readonly message: string }
  | { readonly t: "watchCreated"; readonly watch: number; readonly header: ResponseHeader }
  /** All of `events` belong together: apply them whole. */
  | {
      readonly t: "watchEvents";
      readonly watch: number;
      readonly header: ResponseHeader;
      readonly events: readonly WatchedEvent[];
    }
  /** An answer to watchProgress, or the server's own. Its revision must never move the resume point. */
  | { readonly t: "watchProgressed"; readonly watch: number; readonly header: ResponseHeader }
  /** The server ended the watch. `compactRevision` > 0: what was asked for has been compacted. */
  | {
      readonly t: "watchCanceled";
      readonly watch: number;
      readonly compactRevision: number;
      readonly reason: string;
    }
  /** The stream broke; the watch is gone. */
  | { readonly t: "watchBroken"; readonly watch: number; readonly message: string }
  /** The machine slept for so long: `now` stood still, the store's time did not. */
  | { readonly t: "slept"; readonly forUs: number };

/** The end of the range of all keys that start with `prefix` (etcd's `WithPrefix`). For the empty prefix: "\0", no end. */
export function prefixEnd(prefix: string): string {
  if (prefix === "") return "\0";
  // Keys are ASCII paths in practice; the last character plus one is the successor of the prefix.
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
