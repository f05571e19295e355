import * as etcd3 from "etcd3";
import { messageOf } from "../podloom-error.ts";
import { StoreError } from "./etcd-transport.ts";
import { reasonOf, Status } from "./grpc-status.ts";

// etcd3 drops the gRPC status and garbles the text of the errors that it recognises, and passes those of streams through as
// they are. So: the code where there is one, else the class, and the server's own words wherever they can be found.

const CODE_OF_CLASS: readonly (readonly [new (...args: never[]) => Error, number])[] = [
  [etcd3.GRPCCancelledError, Status.CANCELLED],
  [etcd3.GRPCInvalidArgumentError, Status.INVALID_ARGUMENT],
  [etcd3.GRPCDeadlineExceededError, Status.DEADLINE_EXCEEDED],
  [etcd3.GRPCNotFoundError, Status.NOT_FOUND],
  [etcd3.GRPCAlreadyExistsError, Status.ALREADY_EXISTS],
  [etcd3.EtcdPermissionDeniedError, Status.PERMISSION_DENIED],
  [etcd3.GRPCResourceExhastedError, Status.RESOURCE_EXHAUSTED],
  [etcd3.GRPCFailedPreconditionError, Status.FAILED_PRECONDITION],
  [etcd3.GRPCAbortedError, Status.ABORTED],
  [etcd3.GRPCOutOfRangeError, Status.OUT_OF_RANGE],
  [etcd3.GRPCNotImplementedError, Status.UNIMPLEMENTED],
  [etcd3.GRPCUnavailableError, Status.UNAVAILABLE],
  [etcd3.GRPCUnauthenticatedError, Status.UNAUTHENTICATED],
  [etcd3.EtcdAuthenticationFailedError, Status.UNAUTHENTICATED],
  [etcd3.EtcdInvalidAuthTokenError, Status.UNAUTHENTICATED],
  [etcd3.ClientClosedError, Status.UNAVAILABLE],
];

function statusOf(thrown: unknown): number {
  const code = (thrown as { code?: unknown }).code;
  if (typeof code === "number") return code;
  for (const [ctor, status] of CODE_OF_CLASS) if (thrown instanceof ctor) return status;
  return -1;
}

/** The server's words, without what the client put around them. */
function serverText(thrown: unknown): string {
  if (thrown instanceof etcd3.EtcdLeaseInvalidError) return "etcdserver: requested lease not found";
  const text = messageOf(thrown);
  const at = text.indexOf("etcdserver: ");
  if (at >= 0) return text.slice(at);
  return text.replace(/^\d+ [A-Z_]+: /, "").replace(/\. Resolution note: .*$/s, "");
}

/** What etcd3 or grpc-js threw, as a {@link StoreError} that keeps it as its cause. */
export function storeError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const text = serverText(thrown);
  return new StoreError(reasonOf(statusOf(thrown), text), text, thrown);
}
