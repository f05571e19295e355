import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { AsPath } from "../as-path.ts";
import type { ExtCommunity, Ipv6ExtCommunity, LargeCommunity } from "../communities.ts";
import { atLeast, type BgpError, ErrorCode, type Rung, stronger, UpdateError } from "../errors.ts";
import type { Negotiated } from "../negotiated.ts";
import type { NextHop } from "../next-hop.ts";
import { NO_OCTETS } from "../octets.ts";
import type { PrefixList } from "../prefix-list.ts";
import { type Aggregator, NONE, type UnknownAttribute } from "./path-attributes.ts";

/** A message of 64 KiB has room for 20,000 malformed attributes, and no log has. */
const ERRORS_MAX = 16;

/** Routes of one family, and where they lead. */
export interface Reachable {
  readonly nextHop: NextHop;
  readonly prefixes: PrefixList;
}

/**
 * What is known of an UPDATE while its attributes are read: the attribute at hand (`type`, `flags`, its octets `start`..`end`,
 * its value `off`..`end`), what was found so far, and what was wrong. One a message; never leaves the parser.
 */
export class AttributeState {
  readonly bytes: Uint8Array;
  readonly ctx: Negotiated;

  type = 0;
  flags = 0;
  start = 0;
  off = 0;
  end = 0;

  origin: number | undefined = undefined;
  asPath: AsPath | undefined = undefined;
  nextHop: Ipv4Addr | undefined = undefined;
  med: number | undefined = undefined;
  localPref: number | undefined = undefined;
  atomicAggregate = false;
  aggregator: Aggregator | undefined = undefined;
  communities: readonly number[] = NONE;
  originatorId: Ipv4Addr | undefined = undefined;
  clusterList: readonly number[] = NONE;
  extCommunities: readonly ExtCommunity[] = NONE;
  pmsiTunnel: Uint8Array | undefined = undefined;
  ipv6ExtCommunities: readonly Ipv6ExtCommunity[] = NONE;
  largeCommunities: readonly LargeCommunity[] = NONE;
  unknown: UnknownAttribute[] | undefined = undefined;
  partial: number[] | undefined = undefined;
  as4Path: AsPath | undefined = undefined;
  as4Aggregator: Aggregator | undefined = undefined;

  reach: Reachable | undefined = undefined;
  unreach: PrefixList | undefined = undefined;
  /** Is there anything but an MP_UNREACH_NLRI? @rfc 7606#5.2 */
  other = false;
  /** Does the path not begin with the peer's AS, though it should? Only an error for routes that are announced. */
  firstAsWrong = false;

  rung: Rung = "none";
  /** How many errors there were; `errors` keeps the first {@link ERRORS_MAX}, and any that is stronger than all before. */
  faults = 0;
  readonly errors: BgpError[] = [];

  /** @param bytes the message, borrowed: what is kept of it is copied */
  constructor(bytes: Uint8Array, ctx: Negotiated) {
    this.bytes = bytes;
    this.ctx = ctx;
  }

  /** Octets of the value at hand. */
  get length(): number {
    return this.end - this.off;
  }

  /** Notes an error of the attribute at hand, which the NOTIFICATION quotes. */
  fail(rung: Rung, subcode: number, rfc: string, message: string): void {
    if (this.errors.length >= ERRORS_MAX && atLeast(this.rung, rung)) {
      this.faults++;
      return;
    }
    const quoted = !SILENT.has(subcode);
    const data = quoted ? this.bytes.slice(this.start, this.end) : NO_OCTETS;
    this.note({ rung, code: ErrorCode.UPDATE, subcode, data, rfc, message, attribute: this.type });
  }

  /** Notes any error. */
  note(error: BgpError): void {
    this.faults++;
    this.errors.push(error);
    this.rung = stronger(this.rung, error.rung);
  }
}

/** Subcodes whose data RFC 4271 section 6.3 leaves empty. */
const SILENT: ReadonlySet<number> = new Set<number>([
  UpdateError.MALFORMED_ATTRIBUTE_LIST,
  UpdateError.INVALID_NETWORK,
  UpdateError.MALFORMED_AS_PATH,
]);
