import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import type { Clock } from "../clock.ts";
import { unlessZero } from "./convert.ts";
import { GrpcCode, Refused, RpcError } from "./errors.ts";
import type { HeaderOut, Sized } from "./rpc-messages.ts";
import type { Store } from "./store.ts";

/** A write larger than this is refused, in bytes: etcd's `--max-request-bytes` unless told otherwise. */
export const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024;

/** etcd measures a write wrapped for its log: what that adds. */
const LOG_WRAPPING_BYTES = 18;

/** The raft term in every header. A single member that was never re-elected has a fresh etcd's. */
export const RAFT_TERM = 2;

/** What every service works with. */
export class ServiceContext {
  readonly store: Store;
  readonly clock: Clock;
  /** Unsigned 64-bit decimal. New with every start, because the contents are: clients see by it that they must list again. */
  readonly clusterId: string;
  readonly memberId: string;
  /** Ends the streams that are open, on shutdown. */
  readonly openStreams = new Set<() => void>();

  constructor(store: Store, clock: Clock, clusterId: string, memberId: string) {
    this.store = store;
    this.clock = clock;
    this.clusterId = clusterId;
    this.memberId = memberId;
  }

  header(revision = this.store.revision): HeaderOut {
    const { clusterId, memberId } = this;
    return {
      cluster_id: clusterId,
      member_id: memberId,
      revision: unlessZero(revision),
      raft_term: RAFT_TERM,
    };
  }
}

/** What a gRPC call is ended with when it fails. */
export interface CallFailure {
  readonly code: number;
  readonly details: string;
}

/** What went wrong, for the client. A fault of ours is not hidden behind a status: it is rethrown and ends the process. */
function failureOf(thrown: unknown): CallFailure {
  if (thrown instanceof RpcError) return { code: thrown.grpcCode, details: thrown.message };
  throw thrown;
}

/** The same for a stream that ends because the server does. */
export const STOPPED: CallFailure = { code: GrpcCode.UNAVAILABLE, details: Refused.STOPPED.text };

/** A method that answers at once. Its refusals become gRPC statuses. */
export function unary<Request, Reply>(
  handle: (request: Request) => Reply,
): (call: ServerUnaryCall<Request, Reply>, callback: sendUnaryData<Reply>) => void {
  return (call, callback) => {
    let reply: Reply;
    try {
      reply = handle(call.request);
    } catch (thrown) {
      callback(failureOf(thrown));
      return;
    }
    callback(null, reply);
  };
}

/** Like {@link unary}, for writes: refuses what is too large for etcd's log. */
export function unaryWrite<Request extends Sized, Reply>(
  handle: (request: Request) => Reply,
): (call: ServerUnaryCall<Request, Reply>, callback: sendUnaryData<Reply>) => void {
  return unary((request) => {
    if ((request.wireBytes ?? 0) + LOG_WRAPPING_BYTES > REQUEST_BYTES_MAX)
      throw new RpcError(Refused.REQUEST_TOO_LARGE);
    return handle(request);
  });
}
