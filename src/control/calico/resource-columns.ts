// The tables of `calicoctl get`: headings and cells as plain data. Specs on Calico §6.
import { err, ok, type Result } from "../../base/result.ts";
import type { CalicoKind, CalicoResource, ResourceOf } from "./resources.ts";

export interface ResourceTable {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface ColumnOptions {
  /** `-o wide` */
  readonly wide: boolean;
  /** `-o custom-columns=…`: these, in this order, whatever `wide` says. */
  readonly headings?: readonly string[];
  /** The AS of nodes that name none: BGPConfiguration `default`, or Calico's own default. */
  readonly asNumber?: number;
  /** `-A`: a namespaced kind says its namespace first. */
  readonly allNamespaces?: boolean;
}

const AS_NUMBER_DEFAULT = 64_512;
const CELL_MAX = 80;

/** `false` of calicoctl's templates is what Go prints for a bool that is unset. */
function yesNo(value: boolean | undefined): string {
  return String(value === true);
}

type Cell<K extends CalicoKind> = (resource: ResourceOf<K>, options: ColumnOptions) => string;

interface Columns<K extends CalicoKind> {
  readonly narrow: readonly string[];
  readonly wide: readonly string[];
  readonly cells: Readonly<Record<string, Cell<K>>>;
}

const NODE: Columns<"Node"> = {
  narrow: ["NAME"],
  wide: ["NAME", "ASN", "IPV4", "IPV6"],
  cells: {
    NAME: (node) => node.metadata.name,
    ASN: ({ spec }, { asNumber }) =>
      spec.bgp === undefined ? "" : String(spec.bgp.asNumber ?? `(${asNumber ?? AS_NUMBER_DEFAULT})`),
    IPV4: ({ spec }) => spec.bgp?.ipv4Address ?? "",
    IPV6: ({ spec }) => text(spec.bgp, "ipv6Address"),
  },
};

const IP_POOL: Columns<"IPPool"> = {
  narrow: ["NAME", "CIDR", "SELECTOR"],
  wide: [
    "NAME",
    "CIDR",
    "NAT",
    "IPIPMODE",
    "VXLANMODE",
    "DISABLED",
    "DISABLEBGPEXPORT",
    "SELECTOR",
    "ASSIGNMENTMODE",
  ],
  cells: {
    NAME: (pool) => pool.metadata.name,
    CIDR: ({ spec }) => spec.cidr,
    NAT: ({ spec }) => yesNo(spec.natOutgoing),
    IPIPMODE: ({ spec }) => spec.ipipMode ?? "Never",
    VXLANMODE: ({ spec }) => spec.vxlanMode ?? "Never",
    DISABLED: ({ spec }) => yesNo(spec.disabled),
    DISABLEBGPEXPORT: ({ spec }) => yesNo(spec.disableBGPExport),
    SELECTOR: ({ spec }) => spec.nodeSelector ?? "all()",
    ASSIGNMENTMODE: ({ spec }) => spec.assignmentMode ?? "Automatic",
  },
};

const IP_RESERVATION: Columns<"IPReservation"> = {
  narrow: ["NAME"],
  wide: ["NAME", "CIDRS"],
  cells: {
    NAME: (reservation) => reservation.metadata.name,
    CIDRS: ({ spec }) => cutShort((spec.reservedCIDRs ?? []).join(",")),
  },
};

const BGP_CONFIGURATION: Columns<"BGPConfiguration"> = same(
  ["NAME", "LOGSEVERITY", "MESHENABLED", "ASNUMBER"],
  {
    NAME: (configuration) => configuration.metadata.name,
    LOGSEVERITY: ({ spec }) => spec.logSeverityScreen ?? "",
    MESHENABLED: ({ spec }) => String(spec.nodeToNodeMeshEnabled ?? "-"),
    ASNUMBER: ({ spec }) => String(spec.asNumber ?? "-"),
  },
);

const BGP_PEER: Columns<"BGPPeer"> = same(["NAME", "PEERIP", "NODE", "ASN"], {
  NAME: (peer) => peer.metadata.name,
  PEERIP: ({ spec }) => spec.peerIP ?? "",
  NODE: ({ spec }) => spec.node ?? spec.nodeSelector ?? "(global)",
  // Go prints the number of an AS that is not given as 0.
  ASN: ({ spec }) => String(spec.asNumber ?? 0),
});

const BGP_FILTER: Columns<"BGPFilter"> = same(
  ["NAME", "NUMEXPORTV4", "NUMIMPORTV4", "NUMEXPORTV6", "NUMIMPORTV6"],
  {
    NAME: (filter) => filter.metadata.name,
    NUMEXPORTV4: ({ spec }) => String(spec.exportV4?.length ?? 0),
    NUMIMPORTV4: ({ spec }) => String(spec.importV4?.length ?? 0),
    NUMEXPORTV6: ({ spec }) => count(spec, "exportV6"),
    NUMIMPORTV6: ({ spec }) => count(spec, "importV6"),
  },
);

const FELIX_CONFIGURATION: Columns<"FelixConfiguration"> = same(["NAME"], {
  NAME: (configuration) => configuration.metadata.name,
});

const CLUSTER_INFORMATION: Columns<"ClusterInformation"> = same(
  ["NAME", "CLUSTERGUID", "CLUSTERTYPE", "CALICOVERSION", "DATASTOREREADY"],
  {
    NAME: (information) => information.metadata.name,
    CLUSTERGUID: ({ spec }) => spec.clusterGUID ?? "",
    CLUSTERTYPE: ({ spec }) => spec.clusterType ?? "",
    CALICOVERSION: ({ spec }) => spec.calicoVersion ?? "",
    DATASTOREREADY: ({ spec }) => String(spec.datastoreReady ?? ""),
  },
);

const WORKLOAD_ENDPOINT: Columns<"WorkloadEndpoint"> = {
  narrow: ["WORKLOAD", "NODE", "NETWORKS", "INTERFACE"],
  wide: ["NAME", "WORKLOAD", "NODE", "NETWORKS", "INTERFACE", "PROFILES", "NATS"],
  cells: {
    NAMESPACE: ({ metadata }) => metadata.namespace ?? "",
    NAME: ({ metadata }) => metadata.name,
    WORKLOAD: ({ spec }) => text(spec, "workload") || (spec.pod ?? ""),
    NODE: ({ spec }) => spec.node,
    NETWORKS: ({ spec }) => spec.ipNetworks.join(","),
    INTERFACE: ({ spec }) => spec.interfaceName,
    PROFILES: ({ spec }) => spec.profiles?.join(",") ?? "",
    NATS: ({ spec }) => natsOf(spec),
  },
};

const COLUMNS: { readonly [K in CalicoKind]: Columns<K> } = {
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

/** The table of resources of one kind, in the order given. An error: a heading that the kind does not have. */
export function resourceTable<K extends CalicoKind>(
  kind: K,
  resources: readonly ResourceOf<K>[],
  options: ColumnOptions,
): Result<ResourceTable, string> {
  const { narrow, wide, cells }: Columns<K> = COLUMNS[kind];
  const columns = options.headings ?? (options.wide ? wide : narrow);
  const unknown = columns.find((heading) => !Object.hasOwn(cells, heading));
  if (unknown !== undefined) {
    return err(`Unknown heading ${unknown}, valid values are: ${Object.keys(cells).join(", ")}`);
  }
  const namespaced = options.allNamespaces === true && options.headings === undefined && "NAMESPACE" in cells;
  const headings = namespaced ? ["NAMESPACE", ...columns] : columns;
  const rows = resources.map((resource) =>
    headings.map((heading) => (cells[heading] as Cell<K>)(resource, options)),
  );
  return ok({ headings, rows });
}

function same<K extends CalicoKind>(headings: readonly string[], cells: Columns<K>["cells"]): Columns<K> {
  return { narrow: headings, wide: headings, cells };
}

/** At most 80 characters, as calicoctl cuts lists. */
function cutShort(text: string): string {
  return text.length <= CELL_MAX ? text : `${text.slice(0, CELL_MAX - 3)}...`;
}

/** A field of Calico's that our types do not have. */
function text(spec: CalicoResource["spec"] | object | undefined, field: string): string {
  const value = (spec as Readonly<Record<string, unknown>> | undefined)?.[field];
  return typeof value === "string" ? value : "";
}

function count(spec: object, field: string): string {
  const value = (spec as Readonly<Record<string, unknown>>)[field];
  return String(Array.isArray(value) ? value.length : 0);
}

/** `internal<>external`, of each. */
function natsOf(spec: object): string {
  const nats = (spec as { readonly ipNATs?: unknown }).ipNATs;
  if (!Array.isArray(nats)) return "";
  return nats
    .filter((nat: unknown) => typeof nat === "object" && nat !== null)
    .map((nat: object) => `${text(nat, "internalIP")}<>${text(nat, "externalIP")}`)
    .join(",");
}
