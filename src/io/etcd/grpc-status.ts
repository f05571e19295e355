import type { StoreErrorCode } from "../../control/datastore/messages.ts";

/** gRPC's status codes. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
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
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** What a status and the server's words mean to pure code: the same for every transport. */
export function reasonOf(status: number, text: string): StoreErrorCode {
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
