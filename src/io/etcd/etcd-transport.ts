// What podloom needs of an etcd v3 client, and no more. Above it, once, stand `store-driver.ts` and the pure Reflector and
// LeaseKeeper; below it the ways to speak to a server. Every implementation passes `test/contract/store-transport.test.ts`.
import type {
  Compare,
  KeyRange,
  KeyValue,
  LeaseId,
  ResponseHeader,
  StoreErrorCode,
  TxnOp,
  TxnReply,
  WatchedEvent,
} from "../../control/datastore/messages.ts";
import { PodloomError } from "../podloom-error.ts";

/** Deadline of every unary call, in milliseconds: a server that was stopped must not hang its clients. */
export const CALL_DEADLINE_MS = 3000;

/** Where an etcd is and who we are to it. */
export interface EtcdEndpoints {
  /** `http://host:port` or `https://host:port`, at least one; tried in random order. */
  readonly endpoints: readonly string[];
  readonly auth?: { readonly username: string; readonly password: string };
  /** PEM. Needed for `https`. */
  readonly tls?: { readonly ca: Buffer; readonly key?: Buffer; readonly cert?: Buffer };
}

/** A call or a stream that failed. `reason` is what pure code decides by; the message is for a person. */
export class StoreError extends PodloomError {
  readonly reason: StoreErrorCode;

  constructor(reason: StoreErrorCode, message: string, cause?: unknown) {
    super(`PL_ETCD_${reason.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`, message, { cause });
    this.reason = reason;
  }
}

export interface RangeReply {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
}
export interface TxnOutcome {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  readonly replies: readonly TxnReply[];
}
export interface LeaseTtl {
  /** -1 when the server does not know the lease. */
  readonly ttlSec: number;
  readonly grantedTtlSec: number;
}
export interface ServerStatus {
  readonly header: ResponseHeader;
  readonly version: string;
  readonly dbSizeBytes: number;
}
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly clientUrls: readonly string[];
}

/** One message of a watch stream, as the server sent it. */
export interface WatchMessage {
  readonly header: ResponseHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly reason: string;
  readonly events: readonly WatchedEvent[];
}

/** Who hears a stream. After `broken`, or after the stream was cancelled by us, nothing more is said. */
export interface StreamSink<T> {
  message(message: T): void;
  broken(error: StoreError): void;
}

/** A stream that carries one watch. */
export interface WatchStream {
  /** Asks for a progress message; it comes as one without events. */
  progress(): void;
  /** Ends it. No further word to the sink. */
  cancel(): void;
}

export interface KeptAlive {
  readonly lease: LeaseId;
  /** 0: the server no longer has the lease. */
  readonly ttlSec: number;
}

/** A stream of keep-alives for any number of leases. */
export interface KeepAliveStream {
  send(lease: LeaseId): void;
  /** Ends it. No further word to the sink. */
  cancel(): void;
}

/**
 * A connection to an etcd. Unary calls reject with {@link StoreError} only, and within {@link CALL_DEADLINE_MS}; nothing
 * is retried, because only the caller knows whether that is safe.
 */
export interface EtcdTransport {
  /** @param revision read as of this revision; 0 or absent: now */
  range(range: KeyRange, revision?: number): Promise<RangeReply>;
  put(key: string, value: Uint8Array, lease: LeaseId): Promise<ResponseHeader>;
  /** Answers how many keys were deleted. */
  delete(range: KeyRange): Promise<{ readonly header: ResponseHeader; readonly deleted: number }>;
  txn(
    compares: readonly Compare[],
    success: readonly TxnOp[],
    failure: readonly TxnOp[],
  ): Promise<TxnOutcome>;
  compact(revision: number): Promise<ResponseHeader>;
  leaseGrant(ttlSec: number): Promise<{ readonly lease: LeaseId; readonly ttlSec: number }>;
  leaseRevoke(lease: LeaseId): Promise<void>;
  leaseTimeToLive(lease: LeaseId): Promise<LeaseTtl>;
  status(): Promise<ServerStatus>;
  memberList(): Promise<readonly Member[]>;
  openWatch(range: KeyRange, startRevision: number, sink: StreamSink<WatchMessage>): WatchStream;
  openKeepAlive(sink: StreamSink<KeptAlive>): KeepAliveStream;
  /** Ends every stream and every pending call. Afterwards nothing of it keeps the process alive. */
  close(): Promise<void>;
}
