// What the fields of a resource may hold together, in Calico's words. Two strengths: `invariantFaults` hold for whatever is used,
// wherever it comes from; `documentFaults` are what Calico refuses to write, and no reason to ignore what is already written.
import { anyOverlaps, isMasked, parseAnyAddress, parseAnyCidr, parsePeerAddress } from "./address-text.ts";
import { quoted } from "./quoted-text.ts";
import { isNamespaced } from "./resource-kinds.ts";
import type { FieldPath, ResourceFault } from "./resource-shape.ts";
import type {
  BGPConfiguration,
  BGPFilter,
  BGPPeer,
  CalicoResource,
  IPPool,
  IPPoolSpec,
  NodeResource,
  WorkloadEndpoint,
} from "./resources.ts";
import { workloadEndpointName } from "./workload-endpoint-name.ts";

export const BLOCK_SIZE_DEFAULT = { 4: 26, 6: 122 } as const;
const BLOCK_SIZE_RANGE = { 4: [20, 32], 6: [116, 128] } as const;

export function invariantFaults(resource: CalicoResource): readonly ResourceFault[] {
  return resource.kind === "IPPool" ? poolFaults(resource.spec) : [];
}

export function documentFaults(resource: CalicoResource): readonly ResourceFault[] {
  const faults = new Faults();
  if (isNamespaced(resource.kind) && resource.metadata.namespace === undefined) {
    faults.add(["metadata", "namespace"], "namespace is not specified on namespaced resource");
  }
  switch (resource.kind) {
    case "Node":
      checkNode(resource, faults);
      break;
    case "IPPool":
      checkPool(resource, faults);
      break;
    case "BGPConfiguration":
      checkBgpConfiguration(resource, faults);
      break;
    case "BGPPeer":
      checkBgpPeer(resource, faults);
      break;
    case "BGPFilter":
      checkBgpFilter(resource, faults);
      break;
    case "WorkloadEndpoint":
      checkWorkloadEndpoint(resource, faults);
      break;
    case "IPReservation":
      break;
    case "FelixConfiguration":
      checkConfigurationName(resource.metadata.name, faults);
      break;
    case "ClusterInformation":
      if (resource.metadata.name !== "default")
        faults.add(["metadata", "name"], 'must be "default": there is only one');
      break;
  }
  return faults.list;
}

class Faults {
  readonly list: ResourceFault[] = [];

  add(path: FieldPath, message: string): void {
    this.list.push({ path, message });
  }

  /** Of a field of the spec. */
  spec(field: string, message: string): void {
    this.add(["spec", field], message);
  }
}

function poolFaults(spec: IPPoolSpec): readonly ResourceFault[] {
  const faults = new Faults();
  const cidr = parseAnyCidr(spec.cidr);
  if (cidr === undefined) return faults.list;
  if (!isMasked(cidr))
    faults.spec("cidr", `IPPool CIDR is not strictly masked: ${spec.cidr} has host bits set`);
  const blockSize = spec.blockSize ?? BLOCK_SIZE_DEFAULT[cidr.family];
  const [min, max] = BLOCK_SIZE_RANGE[cidr.family];
  if (blockSize < min || blockSize > max) {
    faults.spec(
      "blockSize",
      `IPv${cidr.family} block size must be between ${min} and ${max}, not ${blockSize}`,
    );
  } else if (cidr.len > blockSize && spec.disabled !== true) {
    faults.spec(
      "cidr",
      `IP pool size is too small for use with Calico IPAM. It must be equal to or greater than the block size (/${blockSize}).`,
    );
  }
  return faults.list;
}

const LINK_LOCAL = [
  ["IPv4", "169.254.0.0/16"],
  ["IPv6", "fe80::/10"],
] as const;

function checkPool(pool: IPPool, faults: Faults): void {
  const { spec } = pool;
  const cidr = parseAnyCidr(spec.cidr);
  const ipip = spec.ipipMode ?? "Never";
  const vxlan = spec.vxlanMode ?? "Never";
  for (const [family, range] of LINK_LOCAL) {
    const other = parseAnyCidr(range);
    if (cidr !== undefined && other !== undefined && anyOverlaps(cidr, other)) {
      faults.spec("cidr", `IPPool CIDR overlaps with ${family} Link Local range ${range}`);
    }
  }
  if (ipip !== "Never" && vxlan !== "Never") {
    faults.spec(
      "vxlanMode",
      "Cannot enable both VXLAN and IPIP on the same IPPool: set one of them to Never",
    );
  }
  if (cidr?.family === 6 && ipip !== "Never") {
    faults.spec("ipipMode", "IPIP is not supported on an IPv6 IP pool: set it to Never");
  }
  const uses = spec.allowedUses ?? [];
  if (uses.includes("LoadBalancer") && uses.some((use) => use !== "LoadBalancer")) {
    faults.spec(
      "allowedUses",
      "LoadBalancer cannot be combined with Workload or Tunnel: use a pool of its own",
    );
  }
}

function checkNode(node: NodeResource, faults: Faults): void {
  const { bgp } = node.spec;
  if (bgp === undefined || Object.keys(bgp).length === 0) {
    faults.spec("bgp", "Spec.BGP should not be empty: give ipv4Address, a.b.c.d/len");
  }
}

function checkConfigurationName(name: string, faults: Faults): void {
  if (name !== "default" && !/^node\../.test(name)) {
    faults.add(
      ["metadata", "name"],
      `must be "default" or "node.NAME": no other is read, so not ${name} either`,
    );
  }
}

/** All that a BGPConfiguration of one node may set. */
const PER_NODE = new Set(["prefixAdvertisements", "listenPort", "logSeverityScreen"]);

function checkBgpConfiguration(configuration: BGPConfiguration, faults: Faults): void {
  const { name } = configuration.metadata;
  const { spec } = configuration;
  checkConfigurationName(name, faults);
  if (name !== "default") {
    for (const field of Object.keys(spec)) {
      if (!PER_NODE.has(field)) faults.spec(field, `Cannot set ${field} on a non default BGP Configuration.`);
    }
  }
  if (spec.nodeToNodeMeshEnabled === false) {
    for (const field of ["nodeMeshPassword", "nodeMeshMaxRestartTime"] as const) {
      if (spec[field] !== undefined) faults.spec(field, "requires that nodeToNodeMeshEnabled is true");
    }
  }
  checkCommunities(configuration, faults);
}

function checkCommunities({ spec }: BGPConfiguration, faults: Faults): void {
  const communities = spec.communities ?? [];
  const advertisements = spec.prefixAdvertisements ?? [];
  for (const [i, { value }] of communities.entries()) {
    const fault = communityFault(value);
    if (fault !== undefined) faults.add(["spec", "communities", i, "value"], fault);
  }
  if (communities.length > 0 && advertisements.length === 0) {
    faults.spec("communities", "communities are defined but not used in Spec.PrefixAdvertisement[].");
  }
  for (const [i, advertisement] of advertisements.entries()) {
    for (const [j, community] of advertisement.communities.entries()) {
      if (communities.some((each) => each.name === community)) continue;
      const path = ["spec", "prefixAdvertisements", i, "communities", j];
      const fault = community.includes(":")
        ? communityFault(community)
        : `community used is invalid or not defined: ${quoted(community)} is not in spec.communities`;
      if (fault !== undefined) faults.add(path, fault);
    }
  }
}

/** `aa:nn` of 16 bits each, or `aa:nn:mm` of 32. */
function communityFault(value: string): string | undefined {
  if (!/^\d+:\d+(:\d+)?$/.test(value)) {
    return `invalid community value or format used: write aa:nn or aa:nn:mm, not ${quoted(value)}`;
  }
  const parts = value.split(":");
  const bits = parts.length === 2 ? 16 : 32;
  if (parts.every((part) => Number(part) < 2 ** bits)) return undefined;
  return `invalid community value, expected ${bits} bit value: ${quoted(value)}`;
}

function checkBgpPeer({ spec }: BGPPeer, faults: Faults): void {
  if (spec.node !== undefined && spec.nodeSelector !== undefined) {
    faults.spec("node", "Node field must be empty when NodeSelector is specified");
  }
  const has = (field: "peerIP" | "peerSelector" | "localWorkloadSelector") => spec[field] !== undefined;
  if (has("peerIP") && has("peerSelector")) {
    faults.spec("peerIP", "PeerIP field must be empty when PeerSelector is specified");
  }
  if (has("peerIP") && has("localWorkloadSelector")) {
    faults.spec("peerIP", "PeerIP field must be empty when LocalWorkloadSelector is specified");
  }
  if (has("peerSelector") && has("localWorkloadSelector")) {
    faults.spec("peerSelector", "PeerSelector field must be empty when LocalWorkloadSelector is specified");
  }
  if (spec.asNumber !== undefined && has("peerSelector")) {
    faults.spec(
      "asNumber",
      "ASNumber field must be empty when PeerSelector is specified: the peer's own is used",
    );
  }
  if (spec.asNumber === undefined && has("localWorkloadSelector")) {
    faults.spec("asNumber", "ASNumber field must be specified when LocalWorkloadSelector is");
  }
  // Calico takes it, and gives it to BIRD as AS 0, which then refuses its whole configuration.
  if (spec.asNumber === undefined && has("peerIP") && !has("peerSelector")) {
    faults.spec("asNumber", "ASNumber field must be specified when PeerIP is: the AS of that router");
  }
  if (spec.keepOriginalNextHop === true && spec.nextHopMode !== undefined) {
    faults.spec("nextHopMode", "must be empty when keepOriginalNextHop is true");
  }
  checkReachableBy(spec, faults);
}

function checkReachableBy(spec: BGPPeer["spec"], faults: Faults): void {
  if (spec.reachableBy === undefined) return;
  const peer = spec.peerIP === undefined ? undefined : parsePeerAddress(spec.peerIP);
  if (peer === undefined) {
    faults.spec("reachableBy", "ReachableBy field requires PeerIP: it is the way to that address");
  } else if (parseAnyAddress(spec.reachableBy)?.family !== peer.address.family) {
    faults.spec("reachableBy", "ReachableBy and PeerIP address family mismatched");
  }
}

function checkBgpFilter({ spec }: BGPFilter, faults: Faults): void {
  for (const [list, rules] of Object.entries(spec as Readonly<Record<string, unknown>>)) {
    if (!Array.isArray(rules)) continue;
    for (const [i, rule] of (rules as readonly Readonly<Record<string, unknown>>[]).entries()) {
      const path = ["spec", list, i];
      if ((rule.cidr === undefined) !== (rule.matchOperator === undefined)) {
        const missing = rule.cidr === undefined ? "cidr" : "matchOperator";
        faults.add([...path, missing], "cidr and matchOperator must both be set or both be empty");
      } else if (rule.prefixLength !== undefined && rule.cidr === undefined) {
        faults.add([...path, "prefixLength"], "cidr is required when prefixLength is set");
      }
      if (Array.isArray(rule.operations) && rule.operations.length > 0 && rule.action !== "Accept") {
        faults.add([...path, "operations"], "operations may only be used with action Accept");
      }
    }
  }
}

function checkWorkloadEndpoint(endpoint: WorkloadEndpoint, faults: Faults): void {
  const expected = workloadEndpointName(endpoint.spec);
  if (!expected.ok) {
    faults.spec(expected.error.field, expected.error.message);
  } else if (endpoint.metadata.name !== expected.value) {
    faults.add(
      ["metadata", "name"],
      `the WorkloadEndpoint name does not match the primary identifiers assigned in the Spec: expected name ${expected.value}`,
    );
  }
}
