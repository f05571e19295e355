// Control packets of bidirectional forwarding detection. Read RFC 5880 section 4.1 first, then 6.8.6 for what is discarded.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | vers|  diag   |sta|P|F|C|A|D|M|  detect mult  |    length     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                       my discriminator                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      your discriminator                       |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                desired min tx interval, in µs                 |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                required min rx interval, in µs                |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |             required min echo rx interval, in µs              |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// With flag A an authentication section follows. It is measured, and not read: nobody here authenticates.

/** Octets of a packet without authentication. */
export const PACKET_LEN = 24;

/** Octets of the shortest packet with authentication: its type and length. */
const AUTHENTICATED_LEN_MIN = 26;

const VERSION = 1;

/** The UDP port of sessions over one hop. @rfc 5881#4 */
export const PORT = 3784;

/** The time to live of every packet over one hop, both ways: nobody further away can have sent it. @rfc 5881#5 */
export const TTL = 255;

/** Bits of the second octet. */
export const Flag = {
  POLL: 0x20,
  FINAL: 0x10,
  /** The sender's BFD does not share the fate of its control plane. */
  CONTROL_PLANE_INDEPENDENT: 0x08,
  AUTHENTICATION: 0x04,
  /** The sender wants no periodic packets. */
  DEMAND: 0x02,
  MULTIPOINT: 0x01,
} as const;

/** As a packet says it; the index is the number on the wire. */
const STATES = ["AdminDown", "Down", "Init", "Up"] as const;

/** State of a session. @rfc 5880#6.2 */
export type BfdState = (typeof STATES)[number];

/** Why a session last changed its state. @rfc 5880#4.1 */
export const Diag = {
  NONE: 0,
  /** Nothing was heard for the detection time. */
  DETECTION_TIME_EXPIRED: 1,
  ECHO_FAILED: 2,
  /** The other side said that it is down. */
  NEIGHBOR_SIGNALED_DOWN: 3,
  FORWARDING_PLANE_RESET: 4,
  PATH_DOWN: 5,
  CONCATENATED_PATH_DOWN: 6,
  ADMINISTRATIVELY_DOWN: 7,
  REVERSE_CONCATENATED_PATH_DOWN: 8,
} as const;

const DIAG_NAMES: readonly string[] = [
  "No Diagnostic",
  "Control Detection Time Expired",
  "Echo Function Failed",
  "Neighbor Signaled Session Down",
  "Forwarding Plane Reset",
  "Path Down",
  "Concatenated Path Down",
  "Administratively Down",
  "Reverse Concatenated Path Down",
];

/** "Control Detection Time Expired". */
export function diagName(diag: number): string {
  return DIAG_NAMES[diag] ?? `Diagnostic ${diag}`;
}

/** What is wrong with a packet by itself, whatever session it belongs to. */
export type PacketFault =
  /** Fewer octets than a header has, or than the packet says that it has. */
  | "truncated"
  | "version"
  /** It says that it is shorter than it must be. */
  | "length"
  /** A detection multiplier of 0. */
  | "detectMult"
  | "multipoint"
  /** The sender has no discriminator. */
  | "myDiscriminator"
  /** The sender knows no discriminator of ours, in a state in which it must. */
  | "yourDiscriminator";

/** A packet as a value. */
export interface ControlPacket {
  readonly state: BfdState;
  /** One of {@link Diag}, or another number up to 31. */
  readonly diag: number;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  readonly detectMult: number;
  readonly myDiscriminator: number;
  /** 0: not known yet. */
  readonly yourDiscriminator: number;
  readonly desiredMinTxUs: number;
  /** 0: send no periodic packets. */
  readonly requiredMinRxUs: number;
}

/**
 * The rules that need no session. Afterwards no accessor can fail; octets behind the packet are ignored. Not here: whether the
 * discriminator is one of ours, and authentication (flag A), which is refused once the session is found.
 *
 * @param end where the datagram ends @returns undefined when the packet is sound @rfc 5880#6.8.6
 */
export function check(view: DataView, off: number, end: number): PacketFault | undefined {
  if (end - off < PACKET_LEN) return "truncated";
  if (version(view, off) !== VERSION) return "version";
  const octets = len(view, off);
  if (octets < (authenticated(view, off) ? AUTHENTICATED_LEN_MIN : PACKET_LEN)) return "length";
  if (octets > end - off) return "truncated";
  if (detectMult(view, off) === 0) return "detectMult";
  if ((flags(view, off) & Flag.MULTIPOINT) !== 0) return "multipoint";
  if (myDiscriminator(view, off) === 0) return "myDiscriminator";
  if (yourDiscriminator(view, off) === 0) {
    const told = state(view, off);
    if (told !== "Down" && told !== "AdminDown") return "yourDiscriminator";
  }
  return undefined;
}

export function version(view: DataView, off: number): number {
  return view.getUint8(off) >>> 5;
}

/** One of {@link Diag}, or another number up to 31. */
export function diag(view: DataView, off: number): number {
  return view.getUint8(off) & 0x1f;
}

export function state(view: DataView, off: number): BfdState {
  return STATES[view.getUint8(off + 1) >>> 6] as BfdState;
}

/** Bits of {@link Flag}. */
export function flags(view: DataView, off: number): number {
  return view.getUint8(off + 1) & 0x3f;
}

/** Is there an authentication section (flag A)? */
export function authenticated(view: DataView, off: number): boolean {
  return (flags(view, off) & Flag.AUTHENTICATION) !== 0;
}

export function detectMult(view: DataView, off: number): number {
  return view.getUint8(off + 2);
}

/** Octets of the packet, by its own account. */
export function len(view: DataView, off: number): number {
  return view.getUint8(off + 3);
}

export function myDiscriminator(view: DataView, off: number): number {
  return view.getUint32(off + 4);
}

/** 0: the sender does not know ours. */
export function yourDiscriminator(view: DataView, off: number): number {
  return view.getUint32(off + 8);
}

export function desiredMinTxUs(view: DataView, off: number): number {
  return view.getUint32(off + 12);
}

export function requiredMinRxUs(view: DataView, off: number): number {
  return view.getUint32(off + 16);
}

/** 0: the sender takes no echo packets. */
export function requiredMinEchoRxUs(view: DataView, off: number): number {
  return view.getUint32(off + 20);
}

/** The packet at `off` as a value, after {@link check}. */
export function parse(view: DataView, off: number): ControlPacket {
  const bits = flags(view, off);
  return {
    state: state(view, off),
    diag: diag(view, off),
    poll: (bits & Flag.POLL) !== 0,
    final: (bits & Flag.FINAL) !== 0,
    controlPlaneIndependent: (bits & Flag.CONTROL_PLANE_INDEPENDENT) !== 0,
    demand: (bits & Flag.DEMAND) !== 0,
    detectMult: detectMult(view, off),
    myDiscriminator: myDiscriminator(view, off),
    yourDiscriminator: yourDiscriminator(view, off),
    desiredMinTxUs: desiredMinTxUs(view, off),
    requiredMinRxUs: requiredMinRxUs(view, off),
  };
}

/** Writes the {@link PACKET_LEN} octets at `off`: no authentication, not multipoint, no echo packets wanted. @rfc 5880#4.1 */
export function emit(view: DataView, off: number, packet: ControlPacket): void {
  let bits = STATES.indexOf(packet.state) << 6;
  if (packet.poll) bits |= Flag.POLL;
  if (packet.final) bits |= Flag.FINAL;
  if (packet.controlPlaneIndependent) bits |= Flag.CONTROL_PLANE_INDEPENDENT;
  if (packet.demand) bits |= Flag.DEMAND;
  view.setUint8(off, (VERSION << 5) | packet.diag);
  view.setUint8(off + 1, bits);
  view.setUint8(off + 2, packet.detectMult);
  view.setUint8(off + 3, PACKET_LEN);
  view.setUint32(off + 4, packet.myDiscriminator);
  view.setUint32(off + 8, packet.yourDiscriminator);
  view.setUint32(off + 12, packet.desiredMinTxUs);
  view.setUint32(off + 16, packet.requiredMinRxUs);
  view.setUint32(off + 20, 0);
}
