import * as etcd3 from "etcd3";
import type { StoreErrorCode } from "../../control/datastore/messages.ts";
import { messageOf } from "../podloom-error.ts";
import { StoreError } from "./etcd-transport.ts";

// etcd3 drops the gRPC status and garbles the text of the errors that it recognises, and passes those of streams through as
// they are. So: the code where there is one, else the class, and the server's own words wherever they can be found.

/** gRPC status codes. */
const Status = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

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

function reasonOf(status: number, text: string): StoreErrorCode {
  if (text.includes("requested lease not found")) return "leaseNotFound";
  if (text.includes("has been compacted")) return "compacted";
  if (text.includes("database space exceeded")) return "noSpace";
  if (/user name is empty|authentication (is not enabled|failed)/.test(text)) return "denied";
  switch (status) {
    case Status.UNAVAILABLE:
    case Status.CANCELLED:
    case Status.ABORTED:
      return "unavailable";
    case Status.RESOURCE_EXHAUSTED:
      return text.includes("too many requests") ? "unavailable" : "invalid";
    case Status.DEADLINE_EXCEEDED:
      return "timeout";
    case Status.PERMISSION_DENIED:
    case Status.UNAUTHENTICATED:
      return "denied";
    case Status.UNIMPLEMENTED:
      return "unimplemented";
    case Status.INVALID_ARGUMENT:
    case Status.NOT_FOUND:
    case Status.ALREADY_EXISTS:
    case Status.FAILED_PRECONDITION:
    case Status.OUT_OF_RANGE:
      return "invalid";
    default:
      return "unknown";
  }
}

/** What etcd3 or grpc-js threw, as a {@link StoreError} that keeps it as its cause. */
export function storeError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const text = serverText(thrown);
  return new StoreError(reasonOf(statusOf(thrown), text), text, thrown);
}
