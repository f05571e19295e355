// The fields of each kind of resource, in the order of Calico's Go structs, and what each may hold by itself. What fields may hold
// together is `resource-rules.ts`.
import { parseIpv4 } from "../../base/ipv4-addr.ts";
import { parseMac } from "../../base/mac-addr.ts";
import { parseAnyAddress, parseAnyCidr, parseAnyNet, parsePeerAddress } from "./address-text.ts";
import { resourceNameFault } from "./calico-keys.ts";
import { UNREAD_FELIX_FIELDS } from "./felix-fields.ts";
import { quoted } from "./quoted-text.ts";
import type { Shape, StructShape } from "./resource-shape.ts";
import type { CalicoKind } from "./resources.ts";
import { formatSelectorFault, parseSelector } from "./selector.ts";

export const API_VERSION = "projectcalico.org/v3";

const ANY: Shape = { t: "any" };
const BOOL: Shape = { t: "bool" };
const TEXT: Shape = { t: "string" };
const DURATION: Shape = { t: "duration" };
const PORT: Shape = { t: "int", min: 1, max: 65535, zeroIsUnset: true };

function words(...values: readonly string[]): Shape {
  return { t: "string", values };
}

function text(wanted: string, isRight: (text: string) => boolean): Shape {
  return {
    t: "string",
    check: (given) => (isRight(given) ? undefined : `must be ${wanted}, not ${quoted(given)}`),
  };
}

function list(of: Shape): Shape {
  return { t: "list", of };
}

function struct(fields: Readonly<Record<string, Shape>>, required: readonly string[] = []): StructShape {
  return { t: "struct", fields, required };
}

const NAME: Shape = { t: "string", check: resourceNameFault };
const IPV4: Shape = text("an IPv4 address", (given) => parseIpv4(given) !== undefined);
const IPV6: Shape = text("an IPv6 address", (given) => parseAnyAddress(given)?.family === 6);
const ADDRESS: Shape = text("an IP address", (given) => parseAnyAddress(given) !== undefined);
const NET: Shape = text("a CIDR such as 10.0.0.0/16", (given) => parseAnyNet(given) !== undefined);
const NET_V4: Shape = text("an IPv4 CIDR", (given) => parseAnyNet(given)?.family === 4);
const NET_V6: Shape = text("an IPv6 CIDR", (given) => parseAnyNet(given)?.family === 6);
const MAC: Shape = text("a MAC address such as 66:12:34:56:78:9a", (given) => parseMac(given) !== undefined);
/** A bare address is a segment of its own. */
const NODE_ADDRESS: Shape = {
  ...(NET_V4 as Shape & { t: "string" }),
  store: (given) => (given.includes("/") ? given : `${given}/32`),
};
const SELECTOR: Shape = {
  t: "string",
  check: (given) => {
    const parsed = parseSelector(given);
    return parsed.ok ? undefined : formatSelectorFault(given, parsed.error);
  },
};
const PASSWORD = struct({ secretKeyRef: struct({ name: TEXT, key: TEXT, optional: BOOL }, ["key"]) });
const CLUSTER_ROUTES = words("Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly", "Enabled");
const CIDR_BLOCKS = list(struct({ cidr: NET }));

const NODE = struct({
  bgp: struct({
    asNumber: { t: "asNumber" },
    ipv4Address: NODE_ADDRESS,
    ipv6Address: NET_V6,
    ipv4IPIPTunnelAddr: IPV4,
    routeReflectorClusterID: IPV4,
  }),
  ipv4VXLANTunnelAddr: IPV4,
  vxlanTunnelMACAddr: MAC,
  ipv6VXLANTunnelAddr: IPV6,
  vxlanTunnelMACAddrV6: MAC,
  orchRefs: list(struct({ nodeName: TEXT, orchestrator: TEXT }, ["orchestrator"])),
  wireguard: ANY,
  addresses: list(struct({ address: TEXT, type: TEXT }, ["address"])),
  interfaces: ANY,
});

const IP_POOL = struct(
  {
    cidr: text("a valid subnet: IPPool CIDR is a.b.c.d/len", (given) => parseAnyCidr(given) !== undefined),
    vxlanMode: words("Never", "Always", "CrossSubnet"),
    ipipMode: words("Never", "Always", "CrossSubnet"),
    natOutgoing: BOOL,
    disabled: BOOL,
    disableBGPExport: BOOL,
    blockSize: { t: "int", min: 0, max: 128, zeroIsUnset: true },
    nodeSelector: SELECTOR,
    namespaceSelector: SELECTOR,
    allowedUses: list(words("Workload", "Tunnel", "LoadBalancer")),
    assignmentMode: words("Automatic", "Manual"),
  },
  ["cidr"],
);

const IP_RESERVATION = struct({ reservedCIDRs: list(NET) });

const BGP_CONFIGURATION = struct({
  logSeverityScreen: words("Debug", "Info", "Warning", "Error", "Fatal"),
  nodeToNodeMeshEnabled: BOOL,
  asNumber: { t: "asNumber" },
  serviceLoadBalancerIPs: CIDR_BLOCKS,
  serviceLoadBalancerAggregation: words("Enabled", "Disabled"),
  serviceExternalIPs: CIDR_BLOCKS,
  serviceClusterIPs: CIDR_BLOCKS,
  communities: list(struct({ name: NAME, value: TEXT }, ["name", "value"])),
  prefixAdvertisements: list(struct({ cidr: NET, communities: list(TEXT) }, ["cidr", "communities"])),
  listenPort: PORT,
  nodeMeshPassword: PASSWORD,
  nodeMeshMaxRestartTime: DURATION,
  bindMode: words("None", "NodeIP"),
  ignoredInterfaces: list(TEXT),
  localWorkloadPeeringIPV4: IPV4,
  localWorkloadPeeringIPV6: IPV6,
  programClusterRoutes: CLUSTER_ROUTES,
});

const BGP_PEER = struct({
  node: NAME,
  nodeSelector: SELECTOR,
  peerIP: text(
    "the peer's address, a.b.c.d, a.b.c.d:port or [IPv6]:port",
    (given) => parsePeerAddress(given) !== undefined,
  ),
  asNumber: { t: "asNumber", zeroIsUnset: true },
  localASNumber: { t: "asNumber", zeroIsUnset: true },
  peerSelector: SELECTOR,
  keepOriginalNextHop: BOOL,
  nextHopMode: words("Auto", "Self", "Keep"),
  password: PASSWORD,
  sourceAddress: words("UseNodeIP", "None"),
  maxRestartTime: DURATION,
  keepaliveTime: DURATION,
  numAllowedLocalASNumbers: { t: "int", min: 0, max: 0x7fff_ffff },
  ttlSecurity: { t: "int", min: 0, max: 255 },
  reachableBy: ADDRESS,
  filters: list(TEXT),
  localWorkloadSelector: SELECTOR,
  reversePeering: words("Auto", "Manual"),
});

function filterRules(net: Shape, lenMax: number): Shape {
  const len: Shape = { t: "int", min: 0, max: lenMax };
  return list(
    struct(
      {
        cidr: net,
        prefixLength: struct({ min: len, max: len }),
        source: words("RemotePeers"),
        interface: text("the name of an interface, * for any characters", (given) =>
          /^[a-zA-Z0-9_.*-]{1,15}$/.test(given),
        ),
        matchOperator: words("Equal", "NotEqual", "In", "NotIn"),
        peerType: words("eBGP", "iBGP"),
        communities: ANY,
        asPathPrefix: ANY,
        priority: ANY,
        action: words("Accept", "Reject"),
        operations: ANY,
      },
      ["action"],
    ),
  );
}

const BGP_FILTER = struct({
  exportV4: filterRules(NET_V4, 32),
  importV4: filterRules(NET_V4, 32),
  exportV6: filterRules(NET_V6, 128),
  importV6: filterRules(NET_V6, 128),
});

const MTU: Shape = { t: "int", min: 0, max: 65535 };

const FELIX_CONFIGURATION = struct({
  ...Object.fromEntries(UNREAD_FELIX_FIELDS.map((name) => [name, ANY])),
  defaultEndpointToHostAction: words("Drop", "Return", "Accept", "ACCEPT", "DROP", "RETURN"),
  ipipEnabled: BOOL,
  ipipMTU: MTU,
  mtu: MTU,
  programClusterRoutes: CLUSTER_ROUTES,
  removeExternalRoutes: BOOL,
  reportingInterval: DURATION,
  routeRefreshInterval: DURATION,
  vxlanEnabled: BOOL,
  vxlanMTU: MTU,
  vxlanPort: { t: "int", min: 1, max: 65535, zeroIsUnset: true },
  vxlanVNI: { t: "int", min: 1, max: 0xff_ffff, zeroIsUnset: true },
});

const CLUSTER_INFORMATION = struct({
  clusterGUID: TEXT,
  clusterType: TEXT,
  calicoVersion: TEXT,
  datastoreReady: BOOL,
  variant: TEXT,
});

const WORKLOAD_ENDPOINT = struct(
  {
    orchestrator: TEXT,
    workload: TEXT,
    node: NAME,
    containerID: TEXT,
    pod: TEXT,
    endpoint: TEXT,
    serviceAccountName: TEXT,
    ipNetworks: list(NET),
    ipNATs: ANY,
    ipv4Gateway: IPV4,
    ipv6Gateway: IPV6,
    profiles: list(TEXT),
    interfaceName: text("the name of an interface, 1 to 15 characters", (given) =>
      /^[a-zA-Z0-9_.-]{1,15}$/.test(given),
    ),
    mac: MAC,
    ports: ANY,
    allowSpoofedSourcePrefixes: ANY,
    qosControls: ANY,
  },
  ["orchestrator", "node", "endpoint", "interfaceName", "ipNetworks"],
);

const SPECS: Readonly<Record<CalicoKind, StructShape>> = {
  Node: NODE,
  IPPool: IP_POOL,
  IPReservation: IP_RESERVATION,
  BGPConfiguration: BGP_CONFIGURATION,
  BGPPeer: BGP_PEER,
  BGPFilter: BGP_FILTER,
  FelixConfiguration: FELIX_CONFIGURATION,
  ClusterInformation: CLUSTER_INFORMATION,
  WorkloadEndpoint: WORKLOAD_ENDPOINT,
};

const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const PART_LENGTH_MAX = 63;

function qualifiedNameFault(key: string): string | undefined {
  const slash = key.indexOf("/");
  const name = key.slice(slash + 1);
  const prefixFault = slash < 0 ? undefined : resourceNameFault(key.slice(0, slash));
  if (prefixFault !== undefined) return `the prefix of ${quoted(key)}: ${prefixFault}`;
  if (name.length > PART_LENGTH_MAX)
    return `${quoted(name)} must be no more than ${PART_LENGTH_MAX} characters`;
  if (QUALIFIED.test(name)) return undefined;
  return `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, not ${quoted(name)}`;
}

function labelFault(key: string, value: string): string | undefined {
  const fault = qualifiedNameFault(key);
  if (fault !== undefined) return fault;
  if (value === "" || (value.length <= PART_LENGTH_MAX && QUALIFIED.test(value))) return undefined;
  return `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, at most ${PART_LENGTH_MAX}: ${quoted(value)} is not`;
}

const METADATA = struct(
  {
    name: NAME,
    generateName: ANY,
    namespace: NAME,
    selfLink: ANY,
    uid: TEXT,
    resourceVersion: TEXT,
    generation: ANY,
    creationTimestamp: TEXT,
    deletionTimestamp: ANY,
    deletionGracePeriodSeconds: ANY,
    labels: { t: "texts", checkEntry: labelFault },
    annotations: { t: "texts", checkEntry: (key) => qualifiedNameFault(key.toLowerCase()) },
    ownerReferences: ANY,
    finalizers: ANY,
    managedFields: ANY,
  },
  ["name"],
);

const WHOLE = Object.fromEntries(
  Object.entries(SPECS).map(([kind, spec]) => [
    kind,
    struct({ kind: words(kind), apiVersion: words(API_VERSION), metadata: METADATA, spec, status: ANY }, [
      "kind",
      "apiVersion",
      "metadata",
    ]),
  ]),
) as Readonly<Record<CalicoKind, StructShape>>;

/** The whole document of a kind. */
export function schemaOf(kind: CalicoKind): StructShape {
  return WHOLE[kind];
}
