import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import type { Clock } from "../clock.ts";
import { unlessZero } from "./convert.ts";
import { GrpcCode, Refused, RpcError } from "./errors.ts";
import type { Journal } from "./journal/journal.ts";
import type { Identity } from "./journal/replay.ts";
import type { HeaderOut, Sized } from "./rpc-messages.ts";
import type { Store } from "./store.ts";

/** etcd measures a write wrapped for its log: what that adds. */
const LOG_WRAPPING_BYTES = 18;

/** What every service works with. */
export class ServiceContext {
  readonly store: Store;
  readonly journal: Journal;
  readonly clock: Clock;
  /** Unsigned 64-bit decimal. As old as the contents: clients see by it that they must list again. */
  readonly clusterId: string;
  readonly memberId: string;
  /** In every header. It grows with each start, as it does for a single member of etcd that elects itself anew. */
  readonly raftTerm: number;
  readonly requestBytesMax: number;
  /** Ends the streams that are open, on shutdown. */
  readonly openStreams = new Set<() => void>();

  constructor(store: Store, journal: Journal, clock: Clock, identity: Identity, requestBytesMax: number) {
    this.store = store;
    this.journal = journal;
    this.clock = clock;
    this.clusterId = identity.clusterId;
    this.memberId = identity.memberId;
    // A fresh etcd is in its second term.
    this.raftTerm = identity.term + 1;
    this.requestBytesMax = requestBytesMax;
  }

  header(revision = this.store.revision): HeaderOut {
    const { clusterId, memberId, raftTerm } = this;
    return {
      cluster_id: clusterId,
      member_id: memberId,
      revision: unlessZero(revision),
      raft_term: raftTerm,
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

/**
 * A method that answers as soon as all that its answer tells of is safe: reads wait like writes, for they may have seen what is
 * still on its way to the disk. Its refusals become gRPC statuses.
 */
export function unary<Request, Reply>(
  { journal }: ServiceContext,
  handle: (request: Request) => Reply,
): (call: ServerUnaryCall<Request, Reply>, callback: sendUnaryData<Reply>) => void {
  return (call, callback) => {
    let reply: Reply;
    try {
      reply = handle(call.request);
    } catch (thrown) {
      const failure = failureOf(thrown);
      journal.whenDurable(() => callback(failure));
      return;
    }
    journal.whenDurable(() => callback(null, reply));
  };
}

/** Like {@link unary}, for writes: refuses what is too large for etcd's log. */
export function unaryWrite<Request extends Sized, Reply>(
  context: ServiceContext,
  handle: (request: Request) => Reply,
): (call: ServerUnaryCall<Request, Reply>, callback: sendUnaryData<Reply>) => void {
  return unary(context, (request) => {
    if ((request.wireBytes ?? 0) + LOG_WRAPPING_BYTES > context.requestBytesMax)
      throw new RpcError(Refused.REQUEST_TOO_LARGE);
    return handle(request);
  });
}
