/** The gRPC status codes that etcd answers with; the numbers are gRPC's. */
export const GrpcCode = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
} as const;

/** Why a request was refused: etcd's code and etcd's exact words, because clients compare the words. */
export interface Refusal {
  readonly code: number;
  readonly text: string;
}

function refusal(code: number, text: string): Refusal {
  return { code, text: `etcdserver: ${text}` };
}

export const Refused = {
  EMPTY_KEY: refusal(GrpcCode.INVALID_ARGUMENT, "key is not provided"),
  KEY_NOT_FOUND: refusal(GrpcCode.INVALID_ARGUMENT, "key not found"),
  VALUE_PROVIDED: refusal(GrpcCode.INVALID_ARGUMENT, "value is provided"),
  LEASE_PROVIDED: refusal(GrpcCode.INVALID_ARGUMENT, "lease is provided"),
  TOO_MANY_OPS: refusal(GrpcCode.INVALID_ARGUMENT, "too many operations in txn request"),
  DUPLICATE_KEY: refusal(GrpcCode.INVALID_ARGUMENT, "duplicate key given in txn request"),
  INVALID_SORT_OPTION: refusal(GrpcCode.INVALID_ARGUMENT, "invalid sort option"),
  COMPACTED: refusal(GrpcCode.OUT_OF_RANGE, "mvcc: required revision has been compacted"),
  FUTURE_REVISION: refusal(GrpcCode.OUT_OF_RANGE, "mvcc: required revision is a future revision"),
  LEASE_NOT_FOUND: refusal(GrpcCode.NOT_FOUND, "requested lease not found"),
  LEASE_EXISTS: refusal(GrpcCode.FAILED_PRECONDITION, "lease already exists"),
  LEASE_TTL_TOO_LARGE: refusal(GrpcCode.OUT_OF_RANGE, "too large lease TTL"),
  REQUEST_TOO_LARGE: refusal(GrpcCode.INVALID_ARGUMENT, "request is too large"),
  NO_SPACE: refusal(GrpcCode.RESOURCE_EXHAUSTED, "mvcc: database space exceeded"),
  CORRUPT: refusal(GrpcCode.DATA_LOSS, "corrupt cluster"),
  STOPPED: refusal(GrpcCode.UNAVAILABLE, "server stopped"),
} as const;

/** A refused request on its way to the client. Nothing has been changed when it is thrown. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** A gRPC status code, see {@link GrpcCode}. */
  readonly grpcCode: number;

  constructor(refused: Refusal) {
    super(refused.text);
    this.grpcCode = refused.code;
  }
}

/** Refuses the request at hand. */
export function refuse(refused: Refusal): never {
  throw new RpcError(refused);
}
