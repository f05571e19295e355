// An EtcdTransport over the public raw stubs of the `etcd3` package. Its Watcher, Lease, builders and fault handling are not
// used: they lose events silently, report a lost lease a full TTL late, and let one timed-out call block the whole client.
import { type CallOptions, InterceptingCall, type Interceptor, status } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import {
  CompareResult,
  CompareTarget,
  Etcd3,
  type ICompare,
  type IDuplexStream,
  type IKeyValue,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IOptions,
  type IRequestOp,
  type IResponseHeader,
  type IResponseOp,
  type IWatchRequest,
  type IWatchResponse,
} from "etcd3";
import type {
  Compare,
  KeyRange,
  KeyValue,
  LeaseId,
  ResponseHeader,
  TxnOp,
  TxnReply,
} from "../../control/datastore/messages.ts";
import {
  CALL_DEADLINE_MS,
  type EtcdEndpoints,
  type EtcdTransport,
  type KeepAliveStream,
  type KeptAlive,
  type LeaseTtl,
  type Member,
  type RangeReply,
  type ServerStatus,
  StoreError,
  type StreamSink,
  type TxnOutcome,
  type WatchMessage,
  type WatchStream,
} from "./etcd-transport.ts";
import { storeError } from "./etcd3-errors.ts";

// etcd refuses clients that ping more often than every 5 s. A reply may be as large as the server makes it.
const CHANNEL_OPTIONS = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.min_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 2_000,
  "grpc.max_receive_message_length": -1,
};

/** @see EtcdTransport */
export class Etcd3Transport implements EtcdTransport {
  readonly #client: Etcd3;
  readonly #streams = new Set<{ cancel(): void }>();
  readonly #pending = new Set<InterceptingCall>();
  readonly #interceptors: Interceptor[];
  #closed = false;

  /** Connects lazily: the first call opens the connection. */
  constructor(endpoints: EtcdEndpoints) {
    const options: IOptions = {
      hosts: [...endpoints.endpoints],
      grpcOptions: CHANNEL_OPTIONS,
      faultHandling: { host: () => noop, global: noop },
    };
    if (endpoints.auth !== undefined) {
      options.auth = { ...endpoints.auth, callOptions: () => ({ deadline: Date.now() + CALL_DEADLINE_MS }) };
    }
    if (endpoints.tls !== undefined) {
      const { ca, key, cert } = endpoints.tls;
      options.credentials = {
        rootCertificate: ca,
        ...(key && { privateKey: key }),
        ...(cert && { certChain: cert }),
      };
    }
    this.#client = new Etcd3(options);
    this.#interceptors = [(callOptions, next) => this.#track(new InterceptingCall(next(callOptions)))];
  }

  async range(range: KeyRange, revision = 0): Promise<RangeReply> {
    const reply = await this.#call((options) =>
      this.#client.kv.range({ ...keyRange(range), revision }, options),
    );
    return { header: header(reply.header), kvs: reply.kvs.map(keyValue) };
  }

  async put(key: string, value: Uint8Array, lease: LeaseId): Promise<ResponseHeader> {
    const request = { key: Buffer.from(key), value: asBuffer(value), lease };
    return header((await this.#call((options) => this.#client.kv.put(request, options))).header);
  }

  async delete(range: KeyRange): Promise<{ header: ResponseHeader; deleted: number }> {
    const reply = await this.#call((options) => this.#client.kv.deleteRange(keyRange(range), options));
    return { header: header(reply.header), deleted: Number(reply.deleted) };
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
    const reply = await this.#call((options) => this.#client.kv.txn(request, options));
    return {
      header: header(reply.header),
      succeeded: reply.succeeded,
      replies: reply.responses.map(txnReply),
    };
  }

  async compact(revision: number): Promise<ResponseHeader> {
    // Physical: the server answers when the revisions are gone, so that what a watch is told next does not depend on luck.
    const request = { revision, physical: true };
    return header((await this.#call((options) => this.#client.kv.compact(request, options))).header);
  }

  async leaseGrant(ttlSec: number): Promise<{ lease: LeaseId; ttlSec: number }> {
    const reply = await this.#call((options) =>
      this.#client.leaseClient.leaseGrant({ TTL: ttlSec }, options),
    );
    return { lease: reply.ID, ttlSec: Number(reply.TTL) };
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    await this.#call((options) => this.#client.leaseClient.leaseRevoke({ ID: lease }, options));
  }

  async leaseTimeToLive(lease: LeaseId): Promise<LeaseTtl> {
    const reply = await this.#call((options) =>
      this.#client.leaseClient.leaseTimeToLive({ ID: lease }, options),
    );
    return { ttlSec: Number(reply.TTL), grantedTtlSec: Number(reply.grantedTTL) };
  }

  async status(): Promise<ServerStatus> {
    const reply = await this.#call((options) => this.#client.maintenance.status(options));
    return { header: header(reply.header), version: reply.version, dbSizeBytes: Number(reply.dbSize) };
  }

  async memberList(): Promise<readonly Member[]> {
    const reply = await this.#call((options) => this.#client.cluster.memberList({}, options));
    return reply.members.map((member) => ({
      id: member.ID,
      name: member.name,
      clientUrls: member.clientURLs,
    }));
  }

  openWatch(range: KeyRange, startRevision: number, sink: StreamSink<WatchMessage>): WatchStream {
    const stream = new RawStream<IWatchRequest, IWatchResponse>(
      () => this.#client.watchClient.watch(),
      this.#streams,
      { message: (message) => sink.message(watchMessage(message)), broken: (error) => sink.broken(error) },
    );
    const create = { ...keyRange(range), start_revision: startRevision, progress_notify: true };
    stream.write({ create_request: create });
    return { progress: () => stream.write({ progress_request: {} }), cancel: () => stream.cancel() };
  }

  openKeepAlive(sink: StreamSink<KeptAlive>): KeepAliveStream {
    const stream = new RawStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>(
      () => this.#client.leaseClient.leaseKeepAlive(),
      this.#streams,
      {
        message: (message) => sink.message({ lease: message.ID, ttlSec: Number(message.TTL) }),
        broken: (error) => sink.broken(error),
      },
    );
    return { send: (lease) => stream.write({ ID: lease }), cancel: () => stream.cancel() };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of [...this.#streams]) stream.cancel();
    for (const call of [...this.#pending]) call.cancelWithStatus(status.CANCELLED, "the client is closed");
    // The streams' and calls' ends are announced on later ticks, and etcd3's own handlers still want its pool then.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#client.close();
  }

  async #call<T>(run: (options: CallOptions) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError("unavailable", "the etcd client is closed");
    try {
      return await run({ deadline: Date.now() + CALL_DEADLINE_MS, interceptors: this.#interceptors });
    } catch (thrown) {
      throw storeError(thrown);
    }
  }

  /** Remembers a call until it ends, so that `close` can end it. */
  #track(call: InterceptingCall): InterceptingCall {
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      this.#pending.add(call);
      start(metadata, {
        ...listener,
        onReceiveStatus: (status) => {
          this.#pending.delete(call);
          listener?.onReceiveStatus?.(status);
        },
      });
    };
    return call;
  }
}

/** One bidirectional stream, usable before it is open; announces its end once. */
class RawStream<Request, Response> {
  readonly #sink: StreamSink<Response>;
  readonly #registry: Set<{ cancel(): void }>;
  #stream: IDuplexStream<Request, Response> | undefined;
  /** Written before the stream was open. Two requests at most in practice. */
  #waiting: Request[] = [];
  #over = false;

  constructor(
    open: () => Promise<IDuplexStream<Request, Response>>,
    registry: Set<{ cancel(): void }>,
    sink: StreamSink<Response>,
  ) {
    this.#sink = sink;
    this.#registry = registry;
    registry.add(this);
    open().then(
      (stream) => this.#opened(stream),
      (thrown: unknown) => this.#broken(thrown),
    );
  }

  write(request: Request): void {
    if (this.#over) return;
    if (this.#stream === undefined) this.#waiting.push(request);
    else this.#stream.write(request);
  }

  cancel(): void {
    if (this.#over) return;
    this.#finish();
    this.#end();
  }

  #opened(stream: IDuplexStream<Request, Response>): void {
    this.#stream = stream;
    // Stays for good: an error event without a listener would end the process.
    stream.on("error", (error) => this.#broken(error));
    stream.on("end", () => this.#broken(new StoreError("unavailable", "the server ended the stream")));
    stream.on("data", (message) => this.#received(message));
    if (this.#over) {
      this.#end();
      return;
    }
    for (const request of this.#waiting) stream.write(request);
    this.#waiting = [];
  }

  #received(message: Response): void {
    if (this.#over) return;
    try {
      this.#sink.message(message);
    } catch (thrown) {
      // A message that decodes but makes no sense (no header, an event without a key) ends the stream, not the process.
      if (!(thrown instanceof TypeError)) throw thrown;
      this.#broken(new StoreError("unknown", "the server sent a malformed message", thrown));
    }
  }

  #broken(thrown: unknown): void {
    if (this.#over) return;
    this.#finish();
    this.#end();
    this.#sink.broken(storeError(thrown));
  }

  #finish(): void {
    this.#over = true;
    this.#waiting = [];
    this.#registry.delete(this);
  }

  #end(): void {
    // Half-closed first: etcd3 takes the cancellation of a writable stream for a failure of the host and resets its channels.
    this.#stream?.end();
    this.#stream?.cancel();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function keyRange(range: KeyRange): { key: Buffer; range_end?: Buffer } {
  const key = Buffer.from(range.key);
  return range.rangeEnd === undefined ? { key } : { key, range_end: Buffer.from(range.rangeEnd) };
}

function header(raw: IResponseHeader): ResponseHeader {
  return { clusterId: raw.cluster_id, revision: Number(raw.revision) };
}

function keyValue(raw: IKeyValue): KeyValue {
  return {
    key: raw.key.toString("utf8"),
    // A copy: the raw value is a view that would keep the whole reply in memory.
    value: new Uint8Array(raw.value),
    createRevision: Number(raw.create_revision),
    modRevision: Number(raw.mod_revision),
    version: Number(raw.version),
    lease: raw.lease,
  };
}

const COMPARE_RESULT = {
  equal: CompareResult.Equal,
  greater: CompareResult.Greater,
  less: CompareResult.Less,
  notEqual: CompareResult.NotEqual,
} as const;

function compare(c: Compare): ICompare {
  const base = { key: Buffer.from(c.key), result: COMPARE_RESULT[c.op] };
  switch (c.target) {
    case "version":
      return { ...base, target: CompareTarget.Version, version: c.operand as number };
    case "create":
      return { ...base, target: CompareTarget.Create, create_revision: c.operand as number };
    case "mod":
      return { ...base, target: CompareTarget.Mod, mod_revision: c.operand as number };
    case "lease":
      return { ...base, target: CompareTarget.Lease, lease: c.operand as LeaseId };
    case "value":
      return { ...base, target: CompareTarget.Value, value: asBuffer(c.operand as Uint8Array) };
  }
}

function requestOp(op: TxnOp): IRequestOp {
  switch (op.t) {
    case "put":
      return { request_put: { key: Buffer.from(op.key), value: asBuffer(op.value), lease: op.lease } };
    case "delete":
      return { request_delete_range: keyRange(op.range) };
    case "range":
      return { request_range: keyRange(op.range) };
  }
}

function txnReply(raw: IResponseOp): TxnReply {
  // The decoder fills the absent members of the union with null.
  if (raw.response_range) return { t: "range", kvs: raw.response_range.kvs.map(keyValue) };
  if (raw.response_delete_range) return { t: "delete", deleted: Number(raw.response_delete_range.deleted) };
  return { t: "put" };
}

function watchMessage(raw: IWatchResponse): WatchMessage {
  return {
    header: header(raw.header),
    created: raw.created,
    canceled: raw.canceled,
    compactRevision: Number(raw.compact_revision),
    reason: raw.cancel_reason,
    events: raw.events.map((event) => ({
      t: event.type === "Delete" ? "delete" : "put",
      kv: keyValue(event.kv),
    })),
  };
}
