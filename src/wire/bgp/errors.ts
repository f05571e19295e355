// What can be wrong with a message, and how wrong it is. Read RFC 4271 section 6 first, then RFC 7606, which put the rungs
// below "reset the session" into the ladder.
import { NO_OCTETS } from "./octets.ts";

/** Error codes of a NOTIFICATION. @rfc 4271#4.5 */
export const ErrorCode = {
  MESSAGE_HEADER: 1,
  OPEN: 2,
  UPDATE: 3,
  HOLD_TIMER_EXPIRED: 4,
  FSM: 5,
  CEASE: 6,
  /** @rfc 7313#5 */
  ROUTE_REFRESH: 7,
  /** @rfc 9687#5 */
  SEND_HOLD_TIMER_EXPIRED: 8,
} as const;

/** Subcodes of MESSAGE_HEADER. @rfc 4271#6.1 */
export const HeaderError = { NOT_SYNCHRONIZED: 1, BAD_LENGTH: 2, BAD_TYPE: 3 } as const;

/** Subcodes of OPEN. @rfc 4271#6.2 @rfc 5492#5 @rfc 9234#4.2 */
export const OpenError = {
  UNSPECIFIC: 0,
  UNSUPPORTED_VERSION: 1,
  BAD_PEER_AS: 2,
  BAD_BGP_ID: 3,
  UNSUPPORTED_PARAMETER: 4,
  UNACCEPTABLE_HOLD_TIME: 6,
  UNSUPPORTED_CAPABILITY: 7,
  ROLE_MISMATCH: 11,
} as const;

/** Subcodes of UPDATE. @rfc 4271#6.3 */
export const UpdateError = {
  MALFORMED_ATTRIBUTE_LIST: 1,
  UNRECOGNIZED_WELL_KNOWN: 2,
  MISSING_WELL_KNOWN: 3,
  ATTRIBUTE_FLAGS: 4,
  ATTRIBUTE_LENGTH: 5,
  INVALID_ORIGIN: 6,
  INVALID_NEXT_HOP: 8,
  OPTIONAL_ATTRIBUTE: 9,
  INVALID_NETWORK: 10,
  MALFORMED_AS_PATH: 11,
} as const;

/** Subcodes of FSM: the state in which an unexpected message came; data is that message's type. @rfc 6608#3 */
export const FsmError = { UNSPECIFIED: 0, IN_OPEN_SENT: 1, IN_OPEN_CONFIRM: 2, IN_ESTABLISHED: 3 } as const;

/** Subcodes of CEASE. @rfc 4486#3 @rfc 8538#3 @rfc 9384#3 */
export const CeaseError = {
  MAX_PREFIXES: 1,
  ADMIN_SHUTDOWN: 2,
  PEER_DECONFIGURED: 3,
  ADMIN_RESET: 4,
  CONNECTION_REJECTED: 5,
  CONFIG_CHANGE: 6,
  CONNECTION_COLLISION: 7,
  OUT_OF_RESOURCES: 8,
  HARD_RESET: 9,
  BFD_DOWN: 10,
} as const;

/** Subcodes of ROUTE_REFRESH. @rfc 7313#5 */
export const RouteRefreshError = { INVALID_LENGTH: 1 } as const;

/**
 * What an error costs, from nothing to the session. @rfc 7606#2
 *
 * - `attribute-discard`: the attribute is forgotten, the routes stay;
 * - `treat-as-withdraw`: every route that the message announces is withdrawn, its withdrawals hold;
 * - `session-reset`: the NOTIFICATION goes out.
 */
export type Rung = "none" | "attribute-discard" | "treat-as-withdraw" | "session-reset";

const RANK: Readonly<Record<Rung, number>> = {
  none: 0,
  "attribute-discard": 1,
  "treat-as-withdraw": 2,
  "session-reset": 3,
};

/** The stronger of the two: the one that applies to a message with both. @rfc 7606#3 */
export function stronger(a: Rung, b: Rung): Rung {
  return RANK[a] >= RANK[b] ? a : b;
}

/** Is `a` as strong as `b`, or stronger? */
export function atLeast(a: Rung, b: Rung): boolean {
  return RANK[a] >= RANK[b];
}

/** What a NOTIFICATION says. @rfc 4271#4.5 */
export interface Notice {
  /** One of {@link ErrorCode}, or anything else. */
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** One fault of a received message: how wrong it is, and the NOTIFICATION that it is, or would have been. @rfc 7606#2 */
export interface BgpError extends Notice {
  readonly rung: Rung;
  /** Where it is written, as in `7606#7.2`. */
  readonly rfc: string;
  /** A clause for the log: "ORIGIN is 2 octets long". */
  readonly message: string;
  /** Type of the path attribute, if the error is one's. */
  readonly attribute: number | undefined;
}

/** A fault that costs the session; `data` is taken over. */
export function resetError(
  code: number,
  subcode: number,
  rfc: string,
  message: string,
  data: Uint8Array = NO_OCTETS,
): BgpError {
  return { rung: "session-reset", code, subcode, data, rfc, message, attribute: undefined };
}

/** The first of the strongest errors, whose NOTIFICATION is the one to send or to log; undefined when there is none. */
export function worstOf(errors: readonly BgpError[]): BgpError | undefined {
  let worst: BgpError | undefined;
  for (const error of errors) if (worst === undefined || RANK[error.rung] > RANK[worst.rung]) worst = error;
  return worst;
}
