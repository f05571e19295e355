// A LabFile → a Lab: every node with its name, address and pods, and the checks that span several keys. What is wrong comes
// back as faults with the path that they concern, all at once.
import {
  formatPrefix,
  type Ipv4Addr,
  overlaps,
  type Prefix,
  parseCidr,
  prefixOf,
} from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type DocumentFault, DocumentFaults } from "../io/document/problem.ts";
import { type Carrier, hostAddresses } from "../io/host-address.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { LabFile } from "./lab-schema.ts";
import { checkNetwork, checkSubnetCount, checkUsable } from "./resolve-network.ts";
import { nodeWishes, resolveNodes } from "./resolve-nodes.ts";
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
}

/** A node as the lab file asks for it. */
export interface LabNode {
  readonly name: string;
  /** Its underlay address. */
  readonly address: Ipv4Addr;
  /** The subnet that it leases if it can; undefined: it draws one. */
  readonly subnet: Prefix | undefined;
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
  /** Flannel's net-conf.json, as it goes into `<etcdPrefix>/config`. */
  readonly networkJson: string;
  /** The pod network and the backend in use, for display. */
  readonly network: Prefix;
  readonly backend: string;
  readonly underlay: { readonly subnet: Prefix; readonly carrier: Carrier; readonly mtuBytes: number };
  readonly nodes: readonly LabNode[];
  readonly store: StoreChoice;
  readonly etcdPrefix: string;
  readonly lease: { readonly ttlSec: number; readonly mode: "keepalive" | "renew" };
  readonly strict: boolean;
  readonly restart: RestartRule;
}

/** Resolves `file`. @param fallbackName the lab's name when the file gives none */
export function resolveLab(file: LabFile, fallbackName: string): Result<Lab, readonly DocumentFault[]> {
  const faults = new DocumentFaults();
  const subnet = resolveSegment(file, faults);
  const wishes = nodeWishes(file);
  let nodes = resolveNodes(file, wishes, subnet, faults);
  const networkJson = JSON.stringify(file.network);
  const network = checkNetwork(file, networkJson, faults);
  if (network !== undefined) {
    checkSubnetCount(network, wishes.length, file, faults);
    nodes = resolveSubnets(file, wishes, nodes, network, faults);
    if (subnet !== undefined && overlaps(network.network, subnet)) {
      const pair = `${formatPrefix(network.network)} overlaps the underlay ${formatPrefix(subnet)}`;
      const remedy = "Choose another Network or underlay.subnet.";
      faults.add(["network", "Network"], `the pod network ${pair}`, remedy);
    }
  }
  if (subnet !== undefined) checkCarrier(file, nodes, faults);
  if (faults.list.length > 0 || network === undefined || subnet === undefined) return err(faults.list);
  return ok({
    name: file.name ?? fallbackName,
    networkJson,
    network: network.network,
    backend: network.backend.type.toLowerCase(),
    underlay: { subnet, carrier: file.underlay.carrier, mtuBytes: file.underlay.mtu },
    nodes,
    store: storeChoice(file.store),
    etcdPrefix: file.etcdPrefix,
    lease: {
      mode: file.lease.mode,
      ttlSec: file.lease.ttlSec ?? (file.lease.mode === "renew" ? 86_400 : 20),
    },
    strict: file.strict,
    restart: file.restart,
  });
}

/** The choice that `embedded`, `etcd` or `http://a:1,http://b:2` stands for. The schema has checked the text. */
export function storeChoice(text: string): StoreChoice {
  if (text === "embedded" || text === "etcd") return { kind: text };
  return { kind: "external", endpoints: text.split(",") };
}

function resolveSegment(file: LabFile, faults: DocumentFaults): Prefix | undefined {
  const path = ["underlay", "subnet"];
  const cidr = parseCidr(file.underlay.subnet);
  if (!cidr.ok) {
    faults.add(path, cidr.error, "Write it as 192.168.56.0/24.");
    return undefined;
  }
  const subnet = prefixOf(cidr.value.addr, cidr.value.len);
  if (subnet.addr !== cidr.value.addr) {
    faults.add(
      path,
      `"${file.underlay.subnet}" has bits set beyond its length`,
      `Write it as ${formatPrefix(subnet)}.`,
    );
    return undefined;
  }
  if (subnet.len < 8 || subnet.len > 30) {
    faults.add(
      path,
      `the prefix length must be 8 to 30, not ${subnet.len}`,
      "Write a prefix such as 192.168.56.0/24, which has room for 253 nodes.",
    );
    return undefined;
  }
  checkUsable(subnet, path, "192.168.56.0/24", faults);
  return subnet;
}

function checkCarrier(file: LabFile, nodes: readonly LabNode[], faults: DocumentFaults): void {
  const addresses = nodes.map((node) => node.address);
  try {
    hostAddresses(addresses, file.underlay.carrier);
  } catch (thrown) {
    const remedy = thrown instanceof PodloomError ? thrown.remedy : undefined;
    faults.add(["underlay"], messageOf(thrown), remedy ?? "Choose another underlay.subnet.");
  }
}
