// OPEN. Read RFC 4271 sections 4.2 and 6.2 first, RFC 5492 for capabilities, RFC 9072 for optional parameters above 255 octets.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+
// |    Version    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     My Autonomous System      |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |           Hold Time           |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                         BGP Identifier                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | Opt Parm Len  |  parameters: type (1), length (1), value;
// +-+-+-+-+-+-+-+-+  or 255, then an extended length (2) and parameters: type (1), length (2), value
import { assert } from "../../base/assert.ts";
import { formatIpv4, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { AS_TRANS, AS2_MAX } from "./as-path.ts";
import {
  type Capability,
  type CapabilityOf,
  codeOf,
  emitCapabilities,
  parseCapabilities,
} from "./capabilities.ts";
import { type BgpError, ErrorCode, OpenError, resetError } from "./errors.ts";
import { beginMessage, endMessage, HEADER_LEN, MESSAGE_MAX, MessageType } from "./header.ts";
import { NO_OCTETS, type OctetWriter, octets16, octets32, u16, u32 } from "./octets.ts";

/** The only version. @rfc 4271#4.2 */
export const VERSION = 4;

/** The only optional parameter that is not obsolete. @rfc 5492#4 */
const CAPABILITIES_PARAMETER = 2;
/** As an optional parameter's type: extended lengths follow. @rfc 9072#2 */
const EXTENDED_LENGTH = 255;

/** What an OPEN says, immutable. @rfc 4271#4.2 */
export interface OpenMessage {
  /** The two-octet field as it was carried; {@link AS_TRANS} when the AS needs four. */
  readonly myAs: number;
  /** Proposed, in seconds: 0, or 3 and more. */
  readonly holdTimeSec: number;
  readonly bgpId: Ipv4Addr;
  /** In the order of the message, duplicates included. */
  readonly capabilities: readonly Capability[];
}

/** An OPEN that is sound. */
export interface ParsedOpen {
  readonly open: OpenMessage;
  /** What was ignored, in sentences for the log. */
  readonly warnings: readonly string[];
}

function openError(subcode: number, rfc: string, message: string, data: Uint8Array = NO_OCTETS): BgpError {
  return resetError(ErrorCode.OPEN, subcode, rfc, message, data);
}

/** The capabilities of one kind, in order. */
export function capabilitiesOf<T extends Capability["t"]>(open: OpenMessage, t: T): CapabilityOf<T>[] {
  return open.capabilities.filter((capability): capability is CapabilityOf<T> => capability.t === t);
}

/** Was one of the kind announced? */
export function hasCapability(open: OpenMessage, t: Capability["t"]): boolean {
  return open.capabilities.some((capability) => capability.t === t);
}

/** The speaker's AS: the four-octet capability's, else the two-octet field's. @rfc 6793#4.1 */
export function openAs(open: OpenMessage): number {
  return capabilitiesOf(open, "four-octet-as").at(-1)?.as ?? open.myAs;
}

/**
 * Reads an OPEN, header included, whose header {@link checkHeader} has passed. Judges version and syntax; AS, hold time and
 * identifier are {@link checkOpen}'s. @rfc 4271#6.2
 */
export function parseOpen(message: Uint8Array): Result<ParsedOpen, BgpError> {
  if (message.length < HEADER_LEN + 10) {
    return err(openError(OpenError.UNSPECIFIC, "4271#6.2", "the OPEN is cut short"));
  }
  const version = message[HEADER_LEN] as number;
  if (version !== VERSION) {
    return err(
      openError(
        OpenError.UNSUPPORTED_VERSION,
        "4271#6.2",
        `version ${version} is not spoken here`,
        octets16(VERSION),
      ),
    );
  }
  const capabilities: Capability[] = [];
  const warnings: string[] = [];
  const fault = parseParameters(message, capabilities, warnings);
  if (fault !== undefined) return err(fault);
  const open = {
    myAs: u16(message, HEADER_LEN + 1),
    holdTimeSec: u16(message, HEADER_LEN + 3),
    bgpId: u32(message, HEADER_LEN + 5),
    capabilities,
  };
  return ok({ open, warnings });
}

function malformed(message: string, rfc = "4271#6.2"): BgpError {
  return openError(OpenError.UNSPECIFIC, rfc, message);
}

/** Fills `capabilities` from all capability parameters; returns what is wrong with the parameters. */
function parseParameters(
  message: Uint8Array,
  capabilities: Capability[],
  warnings: string[],
): BgpError | undefined {
  let off = HEADER_LEN + 10;
  let length = message[off - 1] as number;
  // The length octet of the extended format may be anything but 0, and says nothing. RFC 9072, section 2.
  const extended = length !== 0 && off < message.length && message[off] === EXTENDED_LENGTH;
  if (extended) {
    if (message.length - off < 3) return malformed("the extended parameter length is cut off", "9072#2");
    length = u16(message, off + 1);
    off += 3;
  }
  const end = message.length;
  if (length !== end - off) {
    return malformed(`${length} octets of optional parameters are announced, ${end - off} are there`);
  }
  const head = extended ? 3 : 2;
  while (off < end) {
    if (end - off < head) return malformed("an optional parameter is cut off");
    const type = message[off] as number;
    const valueLength = extended ? u16(message, off + 1) : (message[off + 1] as number);
    off += head;
    if (valueLength > end - off) return malformed("an optional parameter runs past the end");
    if (type !== CAPABILITIES_PARAMETER) {
      const text = `optional parameter ${type} is not known`;
      return openError(OpenError.UNSUPPORTED_PARAMETER, "4271#6.2", text);
    }
    const parsed = parseCapabilities(message, off, off + valueLength);
    if (parsed === undefined) return malformed("a capability is cut off", "5492#4");
    for (const capability of parsed.capabilities) capabilities.push(capability);
    for (const warning of parsed.warnings) warnings.push(warning);
    off += valueLength;
  }
  return undefined;
}

/**
 * Whom we expect: one AS, our own (`internal`), any other (`external`), one of a set, or anyone (`any`).
 */
export type PeerAs = number | "internal" | "external" | "any" | ReadonlySet<number>;

/** What an OPEN is measured against. */
export interface OpenExpectations {
  readonly localAs: number;
  readonly peerAs: PeerAs;
  readonly localBgpId: Ipv4Addr;
  /** Refuse shorter hold times than this, in seconds; 0 refuses only 1 and 2. */
  readonly holdTimeMinSec: number;
  /** Refuse peers that do not announce all of these. */
  readonly required: readonly Capability[];
}

/** Is the OPEN acceptable? Undefined, or the NOTIFICATION that answers it. @rfc 4271#6.2 @rfc 6286#2.2 @rfc 6793#6 */
export function checkOpen(open: OpenMessage, expected: OpenExpectations): BgpError | undefined {
  const as4 = capabilitiesOf(open, "four-octet-as").at(-1);
  const as = openAs(open);
  const asData = as4 === undefined ? octets16(as) : octets32(as);
  if (as === 0 || as4?.as === AS_TRANS) {
    return openError(OpenError.BAD_PEER_AS, "6793#6", `AS ${as} is reserved`, asData);
  }
  if (!isExpectedAs(as, expected)) {
    return openError(OpenError.BAD_PEER_AS, "4271#6.2", `AS ${as} is not the peer's`, asData);
  }
  const hold = open.holdTimeSec;
  if (hold === 1 || hold === 2 || (hold < expected.holdTimeMinSec && hold !== 0)) {
    const text = `a hold time of ${hold} s is too short`;
    return openError(OpenError.UNACCEPTABLE_HOLD_TIME, "4271#6.2", text, octets16(hold));
  }
  if (open.bgpId === 0 || (open.bgpId === expected.localBgpId && as === expected.localAs)) {
    const text = `the BGP identifier ${formatIpv4(open.bgpId)} is ${open.bgpId === 0 ? "zero" : "ours"}`;
    return openError(OpenError.BAD_BGP_ID, "6286#2.2", text, octets32(open.bgpId));
  }
  const missing = expected.required.filter((wanted) => !announces(open, wanted));
  if (missing.length > 0) {
    const text = `the peer lacks the capabilities ${missing.map((one) => one.t).join(", ")}`;
    return openError(OpenError.UNSUPPORTED_CAPABILITY, "5492#5", text, emitCapabilities(missing));
  }
  return undefined;
}

function isExpectedAs(as: number, { localAs, peerAs }: OpenExpectations): boolean {
  if (peerAs === "any") return true;
  if (peerAs === "internal") return as === localAs;
  if (peerAs === "external") return as !== localAs;
  return typeof peerAs === "number" ? as === peerAs : peerAs.has(as);
}

/** Does the OPEN hold a capability of the wanted one's code (and family, for multiprotocol)? */
function announces(open: OpenMessage, wanted: Capability): boolean {
  return open.capabilities.some((capability) => {
    if (wanted.t === "multiprotocol") {
      return capability.t === "multiprotocol" && capability.family === wanted.family;
    }
    // A capability whose value could not be read counts as absent.
    return capability.t === wanted.t && codeOf(capability) === codeOf(wanted);
  });
}

/** An OPEN's two-octet AS field for an AS: itself, or {@link AS_TRANS}. @rfc 6793#4.2.1 */
export function myAsOf(as: number): number {
  return as > AS2_MAX ? AS_TRANS : as;
}

/**
 * Appends an OPEN. All capabilities travel in one parameter; lengths are extended only when they must be. @rfc 4271#4.2 @rfc 9072#2
 */
export function emitOpen(out: OctetWriter, open: OpenMessage): void {
  assert(open.myAs >= 0 && open.myAs <= AS2_MAX, "an OPEN's AS field has two octets");
  const at = beginMessage(out, MessageType.OPEN);
  out.u8(VERSION);
  out.u16(open.myAs);
  out.u16(open.holdTimeSec);
  out.u32(open.bgpId);
  const capabilities = emitCapabilities(open.capabilities);
  if (capabilities.length === 0) {
    out.u8(0);
  } else if (capabilities.length + 2 <= 255) {
    out.u8(capabilities.length + 2);
    out.u8(CAPABILITIES_PARAMETER);
    out.u8(capabilities.length);
  } else {
    out.u8(EXTENDED_LENGTH);
    out.u8(EXTENDED_LENGTH);
    out.u16(capabilities.length + 3);
    out.u8(CAPABILITIES_PARAMETER);
    out.u16(capabilities.length);
  }
  out.octets(capabilities);
  assert(out.length - at <= MESSAGE_MAX, "an OPEN has at most 4096 octets, extended messages or not");
  endMessage(out, at);
}
