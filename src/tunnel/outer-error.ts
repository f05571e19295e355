// ICMP errors about packets that a tunnel has sent. Read RFC 792 for their form, then Linux's `icmp_unreach` for what is believed.
//
// Outer packets leave by sockets of this machine, so what a router says of them comes to this machine's kernel and not to the
// namespaces here. The edge (io/raw-icmp.ts) hears it there, and gives what `parseOuterError` makes of it to the tunnel.
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";

/** Bytes of the offender's payload that every router quotes. @rfc 792 */
const QUOTED_PAYLOAD_BYTES = 8;

/** What a message says, and the packet that it is about. */
export interface OuterError {
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU of a frag-needed message, 0 from routers older than RFC 1191; 0 of all others. */
  readonly mtuBytes: number;
  /** Who sent the packet: that it was we is for the reader to see to. */
  readonly src: Ipv4Addr;
  readonly dst: Ipv4Addr;
  readonly protocol: number;
  /** Of UDP; 0 of all others. */
  readonly dstPort: number;
}

/** What the edge calls for each error about a packet that this node has sent. */
export interface OuterErrorReceiver {
  /** `error` bears underlay addresses, and its `src` is this node's. */
  receiveOuterError(error: OuterError, now: Instant): void;
}

/** Counters of a device. */
export interface OuterErrorStats {
  /** A router could not forward a packet without fragmenting it. */
  fragNeeded: number;
  /** Other "destination unreachable". */
  destUnreach: number;
  timeExceeded: number;
  /** About no packet of this device: of another protocol or port, or to nobody whom it sends to that way. */
  foreign: number;
}

/**
 * Reads the message at `off`..`end`, whose bytes may be anything. Undefined: it is damaged, neither "unreachable" nor "time
 * exceeded", or about a packet that cannot be told (a later fragment, a header cut short).
 */
export function parseOuterError(view: DataView, off: number, end: number): OuterError | undefined {
  if (icmp.check(view, off, end) !== DropReason.NOT_DROPPED) return undefined;
  const type = icmp.type(view, off);
  if (type !== icmp.Type.DEST_UNREACH && type !== icmp.Type.TIME_EXCEEDED) return undefined;
  const quoted = off + icmp.HEADER_LEN;
  if (end - quoted < ipv4.HEADER_LEN || ipv4.version(view, quoted) !== 4) return undefined;
  const headerBytes = ipv4.headerLen(view, quoted);
  if (headerBytes < ipv4.HEADER_LEN || end - quoted < headerBytes + QUOTED_PAYLOAD_BYTES) return undefined;
  if (ipv4.fragmentOffset(view, quoted) !== 0) return undefined;
  const code = icmp.code(view, off);
  const protocol = ipv4.protocol(view, quoted);
  return {
    type,
    code,
    mtuBytes: isFragNeeded(type, code) ? icmp.mtu(view, off) : 0,
    src: ipv4.src(view, quoted),
    dst: ipv4.dst(view, quoted),
    protocol,
    dstPort: protocol === ipv4.Protocol.UDP ? udp.dstPort(view, quoted + headerBytes) : 0,
  };
}

/** Could a router not forward the packet without fragmenting it? */
export function isFragNeeded(type: number, code: number): boolean {
  return type === icmp.Type.DEST_UNREACH && code === icmp.Unreach.FRAG_NEEDED;
}
