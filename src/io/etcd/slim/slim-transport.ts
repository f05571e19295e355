// An EtcdTransport over nothing but `node:http2`: gRPC's framing and protobuf's tables are here, in a tenth of what grpc-js and
// protobufjs cost a process. What node processes use.

import { encodeUtf8 } from "../../../base/utf8.ts";
import type {
  Compare,
  KeyRange,
  LeaseId,
  ResponseHeader,
  TxnOp,
} from "../../../control/datastore/messages.ts";
import type {
  EtcdEndpoints,
  EtcdTransport,
  KeepAliveStream,
  KeptAlive,
  LeaseTtl,
  Member,
  RangeReply,
  ServerStatus,
  StreamSink,
  TxnOutcome,
  WatchMessage,
  WatchStream,
} from "../etcd-transport.ts";
import { BidiStream } from "./bidi-stream.ts";
import { compare, header, keyRange, keyValue, requestOp, txnReply } from "./convert.ts";
import { GrpcClient } from "./grpc-client.ts";
import * as rpc from "./rpc-tables.ts";
import { SharedWatches } from "./shared-watch.ts";

const KV = "/etcdserverpb.KV";
const LEASE = "/etcdserverpb.Lease";

/** @see EtcdTransport */
export class SlimTransport implements EtcdTransport {
  readonly #client: GrpcClient;
  readonly #watches: SharedWatches;

  /** Connects lazily: the first call opens the connection. */
  constructor(endpoints: EtcdEndpoints) {
    this.#client = new GrpcClient(endpoints);
    this.#watches = new SharedWatches(this.#client);
  }

  async range(range: KeyRange, revision = 0): Promise<RangeReply> {
    const request = { ...keyRange(range), revision };
    const reply = await this.#client.unary(`${KV}/Range`, rpc.RangeRequest, request, rpc.RangeResponse);
    return { header: header(reply.header), kvs: reply.kvs.map(keyValue) };
  }

  async put(key: string, value: Uint8Array, lease: LeaseId): Promise<ResponseHeader> {
    const request = { key: encodeUtf8(key), value, lease };
    return header((await this.#client.unary(`${KV}/Put`, rpc.PutRequest, request, rpc.PutResponse)).header);
  }

  async delete(range: KeyRange): Promise<{ header: ResponseHeader; deleted: number }> {
    const { DeleteRangeRequest, DeleteRangeResponse } = rpc;
    const reply = await this.#client.unary(
      `${KV}/DeleteRange`,
      DeleteRangeRequest,
      keyRange(range),
      DeleteRangeResponse,
    );
    return { header: header(reply.header), deleted: reply.deleted };
  }

  async txn(
    compares: readonly Compare[],
    success: readonly TxnOp[],
    failure: readonly TxnOp[],
  ): Promise<TxnOutcome> {
    const request = {
      compare: compares.map(compare),
      success: success.map(requestOp),
      failure: failure.map(requestOp),
    };
    const reply = await this.#client.unary(`${KV}/Txn`, rpc.TxnRequest, request, rpc.TxnResponse);
    return {
      header: header(reply.header),
      succeeded: reply.succeeded,
      replies: reply.responses.map(txnReply),
    };
  }

  async compact(revision: number): Promise<ResponseHeader> {
    // Physical: the server answers when the revisions are gone, so that what a watch is told next does not depend on luck.
    const request = { revision, physical: true };
    const { CompactionRequest, CompactionResponse } = rpc;
    return header(
      (await this.#client.unary(`${KV}/Compact`, CompactionRequest, request, CompactionResponse)).header,
    );
  }

  async leaseGrant(ttlSec: number): Promise<{ lease: LeaseId; ttlSec: number }> {
    const { LeaseGrantRequest, LeaseGrantResponse } = rpc;
    const reply = await this.#client.unary(
      `${LEASE}/LeaseGrant`,
      LeaseGrantRequest,
      { TTL: ttlSec },
      LeaseGrantResponse,
    );
    return { lease: reply.ID, ttlSec: reply.TTL };
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    await this.#client.unary(
      `${LEASE}/LeaseRevoke`,
      rpc.LeaseRevokeRequest,
      { ID: lease },
      rpc.LeaseRevokeResponse,
    );
  }

  async leaseTimeToLive(lease: LeaseId): Promise<LeaseTtl> {
    const { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } = rpc;
    const path = `${LEASE}/LeaseTimeToLive`;
    const reply = await this.#client.unary(
      path,
      LeaseTimeToLiveRequest,
      { ID: lease },
      LeaseTimeToLiveResponse,
    );
    return { ttlSec: reply.TTL, grantedTtlSec: reply.grantedTTL };
  }

  async status(): Promise<ServerStatus> {
    const path = "/etcdserverpb.Maintenance/Status";
    const reply = await this.#client.unary(path, rpc.StatusRequest, {}, rpc.StatusResponse);
    return { header: header(reply.header), version: reply.version, dbSizeBytes: reply.dbSize };
  }

  async memberList(): Promise<readonly Member[]> {
    const path = "/etcdserverpb.Cluster/MemberList";
    const reply = await this.#client.unary(path, rpc.MemberListRequest, {}, rpc.MemberListResponse);
    return reply.members.map(({ ID, name, clientURLs }) => ({ id: ID, name, clientUrls: clientURLs }));
  }

  openWatch(range: KeyRange, startRevision: number, sink: StreamSink<WatchMessage>): WatchStream {
    return this.#watches.open(range, startRevision, sink);
  }

  openKeepAlive(sink: StreamSink<KeptAlive>): KeepAliveStream {
    const stream = new BidiStream(
      this.#client,
      `${LEASE}/LeaseKeepAlive`,
      rpc.LeaseKeepAliveRequest,
      rpc.LeaseKeepAliveResponse,
      {
        message: (message) => sink.message({ lease: message.ID, ttlSec: message.TTL }),
        broken: (error) => sink.broken(error),
      },
    );
    return { send: (lease) => stream.write({ ID: lease }), cancel: () => stream.cancel() };
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}
