// A LabFile → a Lab: every node with its name, address and pods, and the checks that span several keys. What is wrong comes
// back as faults with the path that they concern, all at once.
import { formatPrefix, type Ipv4Addr, overlaps, type Prefix } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type DocumentFault, DocumentFaults } from "../io/document/problem.ts";
import type { StoreClient } from "../io/etcd/open-transport.ts";
import { type Carrier, hostAddresses } from "../io/host-address.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { checkCniKeys } from "./cni-keys.ts";
import { type LabFile, withFlannelDefaults } from "./lab-schema.ts";
import { type LabCalico, resolveCalico } from "./resolve-calico.ts";
import { checkNetwork, checkSubnetCount } from "./resolve-network.ts";
import { checkNames, type NodeWish, nodeWishes, resolveNodes } from "./resolve-nodes.ts";
import {
  checkGateways,
  type LabAnnouncer,
  type LabRouter,
  resolveAnnouncers,
  resolveRouters,
} from "./resolve-routers.ts";
import { type LabSegment, resolveSegments, TakenAddresses } from "./resolve-segments.ts";
import { resolveSubnets } from "./resolve-subnets.ts";

/** Which store holds the keys. */
export type StoreChoice =
  | { readonly kind: "embedded" }
  | { readonly kind: "etcd" }
  | { readonly kind: "external"; readonly endpoints: readonly string[] };

/** A pod as the lab file asks for it. */
export interface LabPod {
  readonly name: string;
  readonly ip: Ipv4Addr | undefined;
  /** Undefined: the default one, or a pod network that has none. */
  readonly namespace: string | undefined;
}

/** A node as the lab file asks for it. */
export interface LabNode {
  readonly name: string;
  /** Its underlay address. */
  readonly address: Ipv4Addr;
  readonly segment: LabSegment;
  /** The subnet that it leases if it can; undefined: it draws one. */
  readonly subnet: Prefix | undefined;
  /** What the lab file says of its Calico Node. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly asNumber: number | undefined;
  readonly routeReflectorClusterID: string | undefined;
  readonly pods: readonly LabPod[];
}

/** When an ended node process is started again. */
export interface RestartRule {
  readonly policy: "on-failure" | "always" | "never";
  readonly maxRetries: number;
  readonly backoffMs: number;
}

/** A lab that is ready to run. Plain data: it crosses process boundaries. */
export interface Lab {
  readonly name: string;
  /** Flannel's net-conf.json, as it goes into `<etcdPrefix>/config`; empty with Calico. */
  readonly networkJson: string;
  /** The pod network (Calico: the first pool) and the backend in use, for display. */
  readonly network: Prefix;
  readonly backend: string;
  readonly underlay: {
    readonly segments: readonly LabSegment[];
    readonly carrier: Carrier;
    readonly mtuBytes: number;
  };
  readonly nodes: readonly LabNode[];
  readonly routers: readonly LabRouter[];
  readonly announcers: readonly LabAnnouncer[];
  readonly store: StoreChoice;
  readonly storeClient: StoreClient;
  /** Where the pod network's keys live: Flannel's prefix, or /calico. */
  readonly etcdPrefix: string;
  readonly lease: { readonly ttlSec: number; readonly mode: "keepalive" | "renew" };
  readonly strict: boolean;
  readonly restart: RestartRule;
  /** Undefined: the lab runs Flannel. */
  readonly calico: LabCalico | undefined;
}

/** Resolves `file`. @param fallbackName the lab's name when the file gives none */
export function resolveLab(file: LabFile, fallbackName: string): Result<Lab, readonly DocumentFault[]> {
  const faults = new DocumentFaults();
  checkCniKeys(file, faults);
  const segments = resolveSegments(file, faults);
  const wishes = nodeWishes(file);
  checkNames(file, wishes, faults);
  const members = segments === undefined ? undefined : resolveMembers(file, wishes, segments, faults);
  const pods =
    file.cni === "calico"
      ? resolveCalico(file, wishes, members, faults)
      : resolveFlannel(file, wishes, members, faults);
  if (members !== undefined) checkCarrier(file, members, faults);
  if (faults.list.length > 0 || members === undefined || pods === undefined) return err(faults.list);
  return ok({
    name: file.name ?? fallbackName,
    routers: members.routers,
    announcers: members.announcers,
    ...pods,
    underlay: { segments: members.segments, carrier: file.underlay.carrier, mtuBytes: file.underlay.mtu },
    store: storeChoice(file.store),
    storeClient: file.storeClient,
    strict: file.strict,
    restart: file.restart,
  });
}

/** The processes of a lab, with their addresses. */
export interface LabMembers {
  readonly segments: readonly LabSegment[];
  readonly nodes: readonly LabNode[];
  readonly routers: readonly LabRouter[];
  readonly announcers: readonly LabAnnouncer[];
}

function resolveMembers(
  file: LabFile,
  wishes: readonly NodeWish[],
  segments: readonly LabSegment[],
  faults: DocumentFaults,
): LabMembers {
  const taken = new TakenAddresses(faults);
  const routers = resolveRouters(file, segments, taken, faults);
  const announcers = resolveAnnouncers(file, segments, routers, taken, faults);
  checkGateways(file, segments, routers, faults);
  return { segments, routers, announcers, nodes: resolveNodes(file, wishes, segments, taken, faults) };
}

/** What a lab has of its pod network. */
type PodNetwork = Pick<
  Lab,
  "networkJson" | "network" | "backend" | "etcdPrefix" | "lease" | "nodes" | "calico"
>;

function resolveFlannel(
  given: LabFile,
  wishes: readonly NodeWish[],
  members: LabMembers | undefined,
  faults: DocumentFaults,
): PodNetwork | undefined {
  const file = withFlannelDefaults(given);
  const networkJson = JSON.stringify(file.network);
  const network = checkNetwork(file, networkJson, faults);
  if (network === undefined) return undefined;
  checkSubnetCount(network, wishes.length, file, faults);
  const nodes = resolveSubnets(file, wishes, members?.nodes ?? [], network, faults);
  const overlapping = members?.segments.find(({ subnet }) => overlaps(network.network, subnet));
  if (overlapping !== undefined) {
    const pair = `${formatPrefix(network.network)} overlaps the underlay ${formatPrefix(overlapping.subnet)}`;
    const remedy = "Choose another Network or underlay.subnet.";
    faults.add(["network", "Network"], `the pod network ${pair}`, remedy);
  }
  return {
    networkJson,
    network: network.network,
    backend: network.backend.type.toLowerCase(),
    nodes,
    etcdPrefix: file.etcdPrefix,
    lease: {
      mode: file.lease.mode,
      ttlSec: file.lease.ttlSec ?? (file.lease.mode === "renew" ? 86_400 : 20),
    },
    calico: undefined,
  };
}

/** The choice that `embedded`, `etcd` or `http://a:1,http://b:2` stands for. The schema has checked the text. */
export function storeChoice(text: string): StoreChoice {
  if (text === "embedded" || text === "etcd") return { kind: text };
  return { kind: "external", endpoints: text.split(",") };
}

function checkCarrier(file: LabFile, members: LabMembers, faults: DocumentFaults): void {
  const nics = [...members.routers, ...members.announcers].flatMap(({ interfaces }) => interfaces);
  const addresses = [...members.nodes, ...nics].map(({ address }) => address);
  try {
    hostAddresses(addresses, file.underlay.carrier);
  } catch (thrown) {
    const remedy = thrown instanceof PodloomError ? thrown.remedy : undefined;
    faults.add(["underlay"], messageOf(thrown), remedy ?? "Choose another underlay.subnet.");
  }
}
