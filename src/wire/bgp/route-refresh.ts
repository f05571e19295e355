// ROUTE-REFRESH. Read RFC 2918 section 3 first, then RFC 7313 for its subtypes. Outbound route filters (RFC 5291) are not spoken.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |             AFI               |    Subtype    |     SAFI      |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { err, ok, type Result } from "../../base/result.ts";
import { type BgpError, ErrorCode, RouteRefreshError, resetError } from "./errors.ts";
import { type Family, familyOf } from "./family.ts";
import { badLength, beginMessage, endMessage, HEADER_LEN, MessageType } from "./header.ts";
import { type OctetWriter, u16 } from "./octets.ts";

/** Others are to be ignored. @rfc 7313#3.2 */
export const RefreshSubtype = { REQUEST: 0, BORR: 1, EORR: 2 } as const;

/** A request for a family's routes, or a mark around the answer. @rfc 2918#3 @rfc 7313#3.2 */
export interface RouteRefresh {
  readonly family: Family;
  /** One of {@link RefreshSubtype}, or a number to be ignored. */
  readonly subtype: number;
}

/**
 * Reads a ROUTE-REFRESH, header included. A wrong length is 7/1 with the whole message for BoRR and EoRR, else 1/2 with the
 * length. @rfc 7313#5 @rfc 2918#3
 */
export function parseRouteRefresh(message: Uint8Array): Result<RouteRefresh, BgpError> {
  const subtype = message.length > HEADER_LEN + 2 ? message[HEADER_LEN + 2] : undefined;
  if (message.length === HEADER_LEN + 4) {
    const safi = message[HEADER_LEN + 3] as number;
    return ok({ family: familyOf(u16(message, HEADER_LEN), safi), subtype: subtype as number });
  }
  if (subtype === RefreshSubtype.BORR || subtype === RefreshSubtype.EORR) {
    const text = `an enhanced ROUTE-REFRESH of ${message.length} octets`;
    return err(
      resetError(ErrorCode.ROUTE_REFRESH, RouteRefreshError.INVALID_LENGTH, "7313#5", text, message.slice()),
    );
  }
  return err(badLength(message.length, MessageType.ROUTE_REFRESH));
}

/** Appends a ROUTE-REFRESH. @rfc 2918#3 @rfc 7313#3.2 */
export function emitRouteRefresh(out: OctetWriter, refresh: RouteRefresh): void {
  const at = beginMessage(out, MessageType.ROUTE_REFRESH);
  out.u16(refresh.family >>> 8);
  out.u8(refresh.subtype);
  out.u8(refresh.family & 0xff);
  endMessage(out, at);
}
