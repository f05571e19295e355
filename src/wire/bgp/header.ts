// The message header. Read RFC 4271 sections 4.1 and 6.1 first, then RFC 8654 for messages above 4,096 octets.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                                                               |
// +                                                               +
// |                                                               |
// +                                                               +
// |                  Marker: 16 octets, all ones                  |
// +                                                               +
// |                                                               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |   Length, with this header    |      Type     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { type BgpError, ErrorCode, HeaderError, resetError } from "./errors.ts";
import { type OctetWriter, octets16, u16 } from "./octets.ts";

/** Octets of the header. @rfc 4271#4.1 */
export const HEADER_LEN = 19;

/** The longest message, in octets, unless the extended message capability says otherwise. @rfc 4271#4.1 */
export const MESSAGE_MAX = 4096;

/** The longest message, in octets, with the extended message capability. @rfc 8654#4 */
export const EXTENDED_MESSAGE_MAX = 65535;

/** @rfc 4271#4.1 @rfc 2918#3 */
export const MessageType = { OPEN: 1, UPDATE: 2, NOTIFICATION: 3, KEEPALIVE: 4, ROUTE_REFRESH: 5 } as const;

/**
 * Shortest message of each type, in octets. ROUTE-REFRESH is one short of its 23, because an enhanced one of 22 has an answer
 * of its own, which needs the subtype in its body: {@link parseRouteRefresh} sees to both.
 */
const SHORTEST: readonly number[] = [0, 29, 23, 21, HEADER_LEN, 22];

/**
 * Judges the 19 octets at `off`, which the caller has measured, before anything of the body is stored: marker, length, type,
 * then the length that the type allows. Undefined when they are sound.
 *
 * @param maxBytes 4096, or 65535 once we have announced the extended message capability; an OPEN and a KEEPALIVE never exceed 4096
 * @rfc 4271#6.1 @rfc 8654#5
 */
export function checkHeader(bytes: Uint8Array, off: number, maxBytes: number): BgpError | undefined {
  for (let i = off; i < off + 16; i++) {
    if (bytes[i] !== 0xff) {
      return header(HeaderError.NOT_SYNCHRONIZED, "the marker is not all ones");
    }
  }
  const length = u16(bytes, off + 16);
  const type = bytes[off + 18] as number;
  if (length < HEADER_LEN || length > maxBytes) return badLength(length, type);
  const shortest = SHORTEST[type];
  if (shortest === undefined || type === 0) {
    return header(HeaderError.BAD_TYPE, `message type ${type} is not known`, Uint8Array.of(type));
  }
  if (length < shortest) return badLength(length, type);
  if (type === MessageType.KEEPALIVE && length !== HEADER_LEN) return badLength(length, type);
  if (type === MessageType.OPEN && length > MESSAGE_MAX) return badLength(length, type);
  return undefined;
}

function header(subcode: number, message: string, data?: Uint8Array): BgpError {
  return resetError(ErrorCode.MESSAGE_HEADER, subcode, "4271#6.1", message, data);
}

/** A message of this type cannot be this long: NOTIFICATION 1/2 with the length. @rfc 4271#6.1 */
export function badLength(length: number, type: number): BgpError {
  const message = `a message of type ${type} cannot be ${length} octets long`;
  return header(HeaderError.BAD_LENGTH, message, octets16(length));
}

/** Octets of the message that starts at `off`, with its header. */
export function messageLength(bytes: Uint8Array, off = 0): number {
  return u16(bytes, off + 16);
}

/** Type of the message that starts at `off`. */
export function messageType(bytes: Uint8Array, off = 0): number {
  return bytes[off + 18] as number;
}

/** Begins a message and returns where; {@link endMessage} fills in the length. */
export function beginMessage(out: OctetWriter, type: number): number {
  const at = out.skip(HEADER_LEN);
  out.raw.fill(0xff, at, at + 16);
  out.setU8(at + 18, type);
  return at;
}

/** Ends the message that began at `at`: all that was written since belongs to it. */
export function endMessage(out: OctetWriter, at: number): void {
  out.setU16(at + 16, out.length - at);
}

/** Appends a KEEPALIVE. @rfc 4271#4.4 */
export function emitKeepalive(out: OctetWriter): void {
  endMessage(out, beginMessage(out, MessageType.KEEPALIVE));
}
