// What can be read of a running node: one row type a `podloom get` noun. Plain data, so that it crosses process boundaries.

export interface NodeRow {
  readonly name: string;
  /** The supervisor's word; absent: `node`. */
  readonly role?: "node" | "router" | "announcer";
  /**
   * `Ready`, `NotReady` (no lease yet), `Fenced` (its lease could not be renewed in time, so it has stopped forwarding), `Dead`
   * (no process).
   */
  readonly status: "Ready" | "NotReady" | "Fenced" | "Dead";
  /** Why it is not ready, for a person. */
  readonly reason?: string;
  readonly pid?: number;
  readonly backend: string;
  readonly underlay: string;
  /** The leased subnet; with Calico the first block. */
  readonly subnet?: string;
  readonly vtepMac?: string;
  /** Calico: its AS, and how its packets travel, the carrier of IPIP included: `IPIP Always (fou)`. */
  readonly asNumber?: number;
  readonly encapsulation?: string;
  /** What all its BGP sessions together have said and heard since it started. */
  readonly bgp?: BgpTotals;
  readonly pods: number;
  /** Leases of other nodes that this node has installed. */
  readonly peers: number;
  readonly routes: number;
  readonly store: "Synced" | "Syncing" | "Disconnected";
  /** When the store last answered, as ISO 8601 has it; absent while it does. */
  readonly storeAwaySince?: string;
  /** How it speaks to the store; the supervisor's word. */
  readonly storeClient?: "slim" | "etcd3";
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Packets dropped, by reason name, over all of the node: those that belong to no device are among them. */
  readonly drops: Readonly<Record<string, number>>;
  /** Subnets of leases that it has read and rightly does not install. */
  readonly ignored: readonly string[];
  /** Resident memory of the process in bytes. */
  readonly rssBytes?: number;
  /** Proportional share of memory in bytes, where the system tells. */
  readonly pssBytes?: number;
  readonly restarts: number;
  readonly ageSec: number;
}

export interface BgpTotals {
  readonly sessions: number;
  readonly established: number;
  readonly rxMessages: number;
  readonly txMessages: number;
}

export interface PodRow {
  readonly name: string;
  /** Kubernetes' namespace, in a network that knows such a thing. */
  readonly namespace?: string;
  readonly node: string;
  readonly ip: string;
  readonly mac: string;
  /** The pod's end of the pair is always eth0; this is the node's end. */
  readonly hostDevice: string;
  readonly gateway: string;
  readonly mtu: number;
}

export interface LeaseRow {
  /** The node that this was read on. */
  readonly node: string;
  readonly subnet: string;
  readonly publicIp: string;
  readonly backend: string;
  readonly vni?: number;
  readonly vtepMac?: string;
  readonly own: boolean;
  readonly createRevision: number;
  /** Seconds until it expires, where the node knows (its own lease). */
  readonly ttlSec?: number;
}

export interface RouteRow {
  readonly node: string;
  /** Empty for the node's own (host) namespace, else the pod. */
  readonly netns: string;
  readonly type: string;
  readonly dst: string;
  readonly via?: string;
  readonly dev?: string;
  readonly src?: string;
  readonly scope: string;
  readonly proto: string;
  readonly metric: number;
  readonly onlink: boolean;
  /** Of a route whose load several share; then `via` and `dev` are left out. */
  readonly nextHops?: readonly NextHopRow[];
}

/** One of several next hops of a route. */
export interface NextHopRow {
  readonly via?: string;
  readonly dev: string;
  readonly weight: number;
  /** As `ip route` shows them: `dead`, `onlink`, `linkdown`. */
  readonly flags: readonly string[];
}

export interface NeighRow {
  readonly node: string;
  readonly netns: string;
  readonly ip: string;
  readonly dev: string;
  readonly mac?: string;
  /** NUD state, in Linux's capitals. */
  readonly state: string;
}

export interface FdbRow {
  readonly node: string;
  readonly dev: string;
  readonly mac: string;
  /** Bridge port, for a bridge's entry. */
  readonly port?: string;
  /** Remote VTEP, for a vxlan device's entry. */
  readonly dst?: string;
  /** `permanent`, `static` or `dynamic`. */
  readonly state: string;
}

export interface LinkRow {
  readonly node: string;
  readonly netns: string;
  readonly ifindex: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly state: "UP" | "DOWN" | "UNKNOWN";
  readonly master?: string;
  /** `a.b.c.d/len`. */
  readonly addresses: readonly string[];
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly txErrors: number;
  readonly txDropped: number;
  /** Drops at this device by reason name. */
  readonly drops: Readonly<Record<string, number>>;
  /** Of an ipip device: ICMP errors that came about what it has sent to other nodes, by kind. */
  readonly outerErrors?: OuterErrorCounts;
}

export interface OuterErrorCounts {
  readonly fragNeeded: number;
  readonly destUnreach: number;
  readonly timeExceeded: number;
  /** About no packet of the device. */
  readonly foreign: number;
}

/** The nouns of `podloom get` and the row that each returns. */
export interface InspectRows {
  readonly nodes: NodeRow;
  readonly pods: PodRow;
  readonly leases: LeaseRow;
  readonly routes: RouteRow;
  readonly neigh: NeighRow;
  readonly fdb: FdbRow;
  readonly links: LinkRow;
}

export type InspectNoun = keyof InspectRows;

export const INSPECT_NOUNS: readonly InspectNoun[] = [
  "nodes",
  "pods",
  "leases",
  "routes",
  "neigh",
  "fdb",
  "links",
];
