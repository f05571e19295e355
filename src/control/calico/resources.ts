// Calico's resources as they stand in the store (`projectcalico.org/v3`), as far as podloom reads and writes them. Field names are
// Calico's. A resource keeps the fields that it does not know: what was read is written back whole.

/** `resourceVersion` is never stored: it is the key's modification revision. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Only in a document that a user applies: the state of the store that it is meant to replace. */
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Resource<K extends string, S> {
  readonly kind: K;
  readonly apiVersion: "projectcalico.org/v3";
  readonly metadata: ObjectMeta;
  readonly spec: S;
}

export interface NodeBgpSpec {
  /** `a.b.c.d/len`: the node's address, and the length of its segment. */
  readonly ipv4Address?: string;
  readonly asNumber?: number;
  readonly ipv4IPIPTunnelAddr?: string;
  readonly routeReflectorClusterID?: string;
}

export interface NodeSpec {
  readonly bgp?: NodeBgpSpec;
  readonly ipv4VXLANTunnelAddr?: string;
  readonly vxlanTunnelMACAddr?: string;
  readonly orchRefs?: readonly { readonly nodeName: string; readonly orchestrator: string }[];
  readonly addresses?: readonly { readonly address: string; readonly type?: string }[];
}

export type EncapMode = "Always" | "CrossSubnet" | "Never";
export type PoolUse = "Workload" | "Tunnel" | "LoadBalancer";

export interface IPPoolSpec {
  readonly cidr: string;
  readonly blockSize?: number;
  readonly ipipMode?: EncapMode;
  readonly vxlanMode?: EncapMode;
  readonly natOutgoing?: boolean;
  readonly disabled?: boolean;
  readonly disableBGPExport?: boolean;
  readonly nodeSelector?: string;
  readonly namespaceSelector?: string;
  readonly allowedUses?: readonly PoolUse[];
  readonly assignmentMode?: "Automatic" | "Manual";
}

export interface BGPConfigurationSpec {
  readonly nodeToNodeMeshEnabled?: boolean;
  readonly asNumber?: number;
  readonly listenPort?: number;
  readonly logSeverityScreen?: string;
  readonly communities?: readonly { readonly name: string; readonly value: string }[];
  readonly prefixAdvertisements?: readonly {
    readonly cidr: string;
    readonly communities: readonly string[];
  }[];
  readonly serviceClusterIPs?: readonly { readonly cidr: string }[];
  readonly serviceExternalIPs?: readonly { readonly cidr: string }[];
  readonly serviceLoadBalancerIPs?: readonly { readonly cidr: string }[];
  readonly nodeMeshMaxRestartTime?: string;
  readonly nodeMeshPassword?: SecretRef;
  readonly programClusterRoutes?: "Disabled" | "EnabledIPIPOnly" | "EnabledNoEncapOnly" | "Enabled";
}

export interface SecretRef {
  readonly secretKeyRef: { readonly name: string; readonly key: string };
}

export interface BGPPeerSpec {
  readonly node?: string;
  readonly nodeSelector?: string;
  /** `a.b.c.d` or `a.b.c.d:port`. */
  readonly peerIP?: string;
  readonly peerSelector?: string;
  readonly localWorkloadSelector?: string;
  readonly asNumber?: number;
  readonly localASNumber?: number;
  readonly sourceAddress?: "UseNodeIP" | "None";
  readonly keepOriginalNextHop?: boolean;
  readonly nextHopMode?: "Auto" | "Self" | "Keep";
  readonly maxRestartTime?: string;
  readonly keepaliveTime?: string;
  readonly numAllowedLocalASNumbers?: number;
  readonly ttlSecurity?: number;
  readonly reachableBy?: string;
  readonly reversePeering?: "Auto" | "Manual";
  readonly filters?: readonly string[];
  readonly password?: SecretRef;
}

export interface BGPFilterRuleV4 {
  readonly cidr?: string;
  readonly matchOperator?: "In" | "NotIn" | "Equal" | "NotEqual";
  readonly prefixLength?: { readonly min?: number; readonly max?: number };
  readonly source?: "RemotePeers";
  readonly interface?: string;
  readonly action: "Accept" | "Reject";
}

export interface BGPFilterSpec {
  readonly exportV4?: readonly BGPFilterRuleV4[];
  readonly importV4?: readonly BGPFilterRuleV4[];
}

export interface FelixConfigurationSpec {
  readonly ipipEnabled?: boolean;
  readonly ipipMTU?: number;
  readonly vxlanEnabled?: boolean;
  readonly vxlanPort?: number;
  readonly vxlanVNI?: number;
  readonly vxlanMTU?: number;
  readonly mtu?: number;
  readonly routeRefreshInterval?: string;
  readonly removeExternalRoutes?: boolean;
  readonly programClusterRoutes?: "Disabled" | "EnabledIPIPOnly" | "EnabledNoEncapOnly" | "Enabled";
}

export interface IPReservationSpec {
  readonly reservedCIDRs?: readonly string[];
}

export interface ClusterInformationSpec {
  readonly clusterGUID?: string;
  readonly clusterType?: string;
  readonly calicoVersion?: string;
  readonly datastoreReady?: boolean;
}

export interface WorkloadEndpointSpec {
  readonly orchestrator: string;
  readonly node: string;
  readonly pod?: string;
  readonly containerID?: string;
  readonly endpoint: string;
  readonly interfaceName: string;
  readonly mac?: string;
  readonly ipNetworks: readonly string[];
  readonly profiles?: readonly string[];
  readonly serviceAccountName?: string;
}

export type NodeResource = Resource<"Node", NodeSpec>;
export type IPPool = Resource<"IPPool", IPPoolSpec>;
export type BGPConfiguration = Resource<"BGPConfiguration", BGPConfigurationSpec>;
export type BGPPeer = Resource<"BGPPeer", BGPPeerSpec>;
export type BGPFilter = Resource<"BGPFilter", BGPFilterSpec>;
export type IPReservation = Resource<"IPReservation", IPReservationSpec>;
export type FelixConfiguration = Resource<"FelixConfiguration", FelixConfigurationSpec>;
export type ClusterInformation = Resource<"ClusterInformation", ClusterInformationSpec>;
export type WorkloadEndpoint = Resource<"WorkloadEndpoint", WorkloadEndpointSpec>;

export type CalicoResource =
  | NodeResource
  | IPPool
  | IPReservation
  | BGPConfiguration
  | BGPPeer
  | BGPFilter
  | FelixConfiguration
  | ClusterInformation
  | WorkloadEndpoint;

export type CalicoKind = CalicoResource["kind"];
export type ResourceOf<K extends CalicoKind> = Extract<CalicoResource, { readonly kind: K }>;
