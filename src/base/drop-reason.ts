/**
 * Why a packet ended without being delivered or transmitted. The upper 16 bits are the subsystem, as in Linux: 0 carries
 * Linux's own names (`enum skb_drop_reason`), 1 carries ours. A tidy test demands that each is produced by some test.
 */
export type DropReason = number;

export const DropReason = {
  /** Not a reason: the packet is sound. What every `check` answers when it is content. */
  NOT_DROPPED: 0,
  NO_SOCKET: 1,
  PKT_TOO_SMALL: 2,
  SOCKET_RCVBUFF: 3,
  UDP_CSUM: 4,
  OTHERHOST: 5,
  IP_CSUM: 6,
  IP_INHDR: 7,
  IP_RPFILTER: 8,
  UNICAST_IN_L2_MULTICAST: 9,
  ICMP_CSUM: 10,
  IP_NOPROTO: 11,
  IP_INADDRERRORS: 12,
  IP_INNOROUTES: 13,
  IP_OUTNOROUTES: 14,
  NEIGH_FAILED: 15,
  NEIGH_QUEUEFULL: 16,
  CPU_BACKLOG: 17,
  UNHANDLED_PROTO: 18,
  DEV_READY: 19,
  NOMEM: 20,
  PKT_TOO_BIG: 22,
  FRAG_REASM_TIMEOUT: 23,
  FRAG_TOO_FAR: 24,
  DUP_FRAG: 25,
  IP_INVALID_SOURCE: 26,
  IP_INVALID_DEST: 27,
  IP_LOCALNET: 28,
  IP_LOCAL_SOURCE: 29,
  VXLAN_INVALID_HDR: 31,
  VXLAN_VNI_NOT_FOUND: 32,
  VXLAN_NO_REMOTE: 33,
  MAC_INVALID_SOURCE: 34,
  LOCAL_MAC: 35,
  /** A tunnel's outer header says "congestion experienced" of an inner packet that knows no such thing. */
  IP_TUNNEL_ECN: 36,
  /** A learning tunnel saw the address of a static entry come from another peer. */
  VXLAN_ENTRY_EXISTS: 37,
  /** An Ethernet PAUSE frame: it ends at the bridge. */
  MAC_IEEE_MAC_CONTROL: 38,
  /** The neighbour table is full. */
  NEIGH_CREATEFAIL: 39,
  /** A rule of the host's own forbids it. */
  NETFILTER_DROP: 40,
  /** An ARP packet that is not Ethernet/IPv4, or too short. */
  ARP_INHDR: 0x1_0001,
  /** A route of type blackhole. */
  ROUTE_BLACKHOLE: 0x1_0002,
  /** A route of type unreachable. */
  ROUTE_UNREACHABLE: 0x1_0003,
  /** A route of type prohibit. */
  ROUTE_PROHIBIT: 0x1_0004,
  /** `net.ipv4.ip_forward` is 0 and the packet is for somebody else. */
  FORWARDING_DISABLED: 0x1_0005,
  /** The bridge had no port to send the frame to. */
  BRIDGE_NO_PORT: 0x1_0006,
  /** A frame tagged with a VLAN that no device carries. */
  VLAN_UNKNOWN: 0x1_0007,
  /** The socket edge refused the datagram (its send queue is full, or the host's kernel said no). */
  UNDERLAY_TX: 0x1_0008,
  /** A fragment set exceeded the reassembly limits. */
  FRAG_LIMIT: 0x1_0009,
  /** A control packet that was consumed after it was understood; never counted as a loss. */
  CONSUMED: 0x1_000a,
  /** A Geneve header of another version, or with options that do not fill their length. */
  GENEVE_INVALID_HDR: 0x1_0040,
  /** A Geneve header with an option that must be understood, and is not. */
  GENEVE_CRITICAL_OPTION: 0x1_0041,
  /** A frame of a segment that no cable here belongs to. */
  GENEVE_VNI_NOT_FOUND: 0x1_0042,
  /** Nobody else is known on the segment, so a frame for everybody reaches nobody. */
  CABLE_NO_MEMBER: 0x1_0043,
} as const;

const NAMES = new Map<number, string>(Object.entries(DropReason).map(([name, value]) => [value, name]));

/** The reason's name, as it appears in counters, traces and metrics. */
export function dropReasonName(reason: DropReason): string {
  return NAMES.get(reason) ?? `UNKNOWN_${reason}`;
}
