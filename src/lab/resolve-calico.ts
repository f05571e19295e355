// The Calico part of a lab file: its documents, checked as Calico checks them and against the rest of the lab, and the pool
// that is made when there is none.
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  overlaps,
  type Prefix,
  parseCidr,
  prefix,
  prefixOf,
} from "../base/ipv4-addr.ts";
import { defaultIpPool } from "../control/calico/cluster-defaults.ts";
import type { CalicoResource, IPPool, IPPoolSpec } from "../control/calico/resources.ts";
import type { DocumentFaults } from "../io/document/problem.ts";
import { checkLabResources, type PlacedResource } from "./lab-resources.ts";
import { calicoOf, type LabFile } from "./lab-schema.ts";
import type { Lab, LabMembers, LabNode } from "./resolve-lab.ts";
import type { NodeWish } from "./resolve-nodes.ts";

/** How a lab runs Calico. */
export interface LabCalico {
  readonly version: "3.31" | "3.32" | "3.33";
  readonly timers: "calico" | "fast";
  readonly ipipCarrier: "auto" | "proto4" | "fou";
  /** What goes into the store before the nodes start: the file's documents, and Nodes with what the file says of nodes. */
  readonly resources: readonly CalicoResource[];
  /** Made when neither the file nor the store has a pool. */
  readonly defaultPool: IPPool | undefined;
}

/** Where Calico's keys live. */
const CALICO_PREFIX = "/calico";
/** calico-node's own default, and what is taken when the underlay has those addresses. */
const DEFAULT_POOLS = ["192.168.0.0/16", "10.244.0.0/16"] as const;

/** What a Calico lab has of its pod network. */
export function resolveCalico(
  file: LabFile,
  wishes: readonly NodeWish[],
  members: LabMembers | undefined,
  faults: DocumentFaults,
):
  | Pick<Lab, "networkJson" | "network" | "backend" | "etcdPrefix" | "lease" | "nodes" | "calico">
  | undefined {
  const { version, timers, ipipCarrier } = calicoOf(file);
  const placed = checkLabResources(file, wishes, members?.nodes ?? [], faults);
  if (members === undefined) return undefined;
  const pools = poolsOf(placed);
  checkPools(pools, members, faults);
  const written = placed.map(({ resource }) => resource);
  const added = pools.length > 0 ? undefined : defaultPool(members, faults);
  const first = pools[0]?.spec ?? added?.spec;
  if (first === undefined) return undefined;
  const all = added === undefined ? pools : [poolOf(added, undefined)].flatMap((pool) => pool ?? []);
  checkPodAddresses(members.nodes, all, faults);
  const network = cidrOf(first.cidr);
  if (network === undefined) return undefined;
  return {
    networkJson: "",
    network,
    // Whatever is measured on other timers than Calico's must not be taken for Calico's.
    backend: `Calico, ${describeEncapsulation(first)}${timers === "fast" ? ", fast timers (not Calico's)" : ""}`,
    nodes: members.nodes,
    etcdPrefix: CALICO_PREFIX,
    // Blocks have no lifetime: nothing reads these.
    lease: { mode: "keepalive", ttlSec: 0 },
    calico: {
      version,
      timers,
      ipipCarrier,
      resources: written,
      defaultPool: added,
    },
  };
}

/** How a pool's packets travel, in words. */
export function describeEncapsulation({ ipipMode = "Never", vxlanMode = "Never" }: IPPoolSpec): string {
  if (ipipMode !== "Never") return `IPIP ${ipipMode}`;
  return vxlanMode !== "Never" ? `VXLAN ${vxlanMode}` : "no encapsulation";
}

/** A pool of the lab. */
interface LabPool {
  readonly name: string;
  readonly cidr: Prefix;
  readonly spec: IPPoolSpec;
  /** Its number among the file's documents; undefined: the default pool. */
  readonly at: number | undefined;
}

function poolsOf(placed: readonly PlacedResource[]): LabPool[] {
  return placed.flatMap(({ resource, at }) =>
    resource.kind === "IPPool" && at !== undefined ? (poolOf(resource, at) ?? []) : [],
  );
}

function poolOf(pool: IPPool, at: number | undefined): LabPool | undefined {
  const cidr = cidrOf(pool.spec.cidr);
  return cidr === undefined ? undefined : { name: pool.metadata.name, cidr, spec: pool.spec, at };
}

function cidrOf(text: string): Prefix | undefined {
  const cidr = parseCidr(text);
  return cidr.ok ? prefixOf(cidr.value.addr, cidr.value.len) : undefined;
}

function checkPools(pools: readonly LabPool[], members: LabMembers, faults: DocumentFaults): void {
  pools.forEach((pool, i) => {
    if (pool.at === undefined) return;
    const path = ["calico", "resources", pool.at, "spec", "cidr"];
    const segment = members.segments.find(({ subnet }) => overlaps(subnet, pool.cidr));
    if (segment !== undefined) {
      const message = `the pool ${formatPrefix(pool.cidr)} overlaps the underlay ${formatPrefix(segment.subnet)}`;
      faults.add(path, message, "Choose another cidr, or another subnet for the underlay.");
    }
    const other = pools.slice(0, i).find(({ cidr }) => overlaps(cidr, pool.cidr));
    if (other !== undefined) {
      const message = `the pool ${formatPrefix(pool.cidr)} overlaps the pool ${other.name}, ${formatPrefix(other.cidr)}`;
      faults.add(path, message, "Give each pool addresses of its own.");
    }
  });
}

/** What calico-node writes when it finds no pool. */
function defaultPool({ segments }: LabMembers, faults: DocumentFaults): IPPool | undefined {
  const cidr = DEFAULT_POOLS.find((text) => !segments.some(({ subnet }) => overlaps(prefix(text), subnet)));
  if (cidr === undefined) {
    const message = `the default pools, ${DEFAULT_POOLS.join(" and ")}, overlap the underlay`;
    faults.add(["underlay"], message, "Write an IPPool with other addresses under calico.resources.");
    return undefined;
  }
  return defaultIpPool({ cidr });
}

/** Can the pods have the addresses that they ask for? */
function checkPodAddresses(
  nodes: readonly LabNode[],
  pools: readonly LabPool[],
  faults: DocumentFaults,
): void {
  const owners = new Map<Ipv4Addr, string>();
  const range = pools.map(({ cidr }) => formatPrefix(cidr)).join(", ");
  nodes.forEach((node, i) => {
    node.pods.forEach((pod, j) => {
      if (pod.ip === undefined) return;
      const { ip } = pod;
      const path = ["nodes", i, "pods", j, "ip"];
      const other = owners.get(ip);
      if (other !== undefined) {
        const remedy = "Give one of them another address, or leave the address out.";
        faults.add(path, `${formatIpv4(ip)} is the address of both ${other} and ${pod.name}`, remedy);
      }
      owners.set(ip, pod.name);
      const pool = pools.find(({ cidr }) => contains(cidr, ip));
      if (pool === undefined) {
        faults.add(
          path,
          `${formatIpv4(ip)} is in no pool`,
          `Choose an address inside ${range}, or add a pool.`,
        );
      } else if (pool.spec.disabled === true) {
        const message = `${formatIpv4(ip)} is in the pool ${pool.name}, which is disabled`;
        faults.add(path, message, "Choose an address of another pool, or leave out disabled.");
      }
    });
  });
}
