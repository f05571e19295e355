// Calico's objects, written short.
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import type { CalicoUpdate } from "../../src/control/calico/calico-updates.ts";
import type { IpamBlock } from "../../src/control/calico/ipam/ipam-block.ts";
import type {
  CalicoKind,
  CalicoResource,
  IPPool,
  IPPoolSpec,
  NodeResource,
  NodeSpec,
  ResourceOf,
} from "../../src/control/calico/resources.ts";

export function resource<K extends CalicoKind>(kind: K, name: string, spec: unknown): ResourceOf<K> {
  const made = { kind, apiVersion: "projectcalico.org/v3", metadata: { name }, spec };
  return made as unknown as ResourceOf<K>;
}

export const pool = (name: string, spec: IPPoolSpec): IPPool => resource("IPPool", name, spec);

/** @param address `a.b.c.d/len` */
export function node(name: string, address: string, more: Partial<NodeSpec> = {}): NodeResource {
  return resource("Node", name, { ...more, bgp: { ipv4Address: address, ...more.bgp } });
}

export function update(value: CalicoResource): CalicoUpdate {
  return { t: "resource", kind: value.kind, name: value.metadata.name, value, modRevision: 1 };
}

export function gone(kind: CalicoKind, name: string): CalicoUpdate {
  return { t: "resource", kind, name, value: undefined, modRevision: 2 };
}

/** A block of `host`, with addresses given to nodes. */
export function block(
  cidr: string,
  host: string | undefined,
  given: Readonly<Record<string, string>> = {},
): IpamBlock {
  const net = prefix(cidr);
  const size = 2 ** (32 - net.len);
  const entries = Object.entries(given).map(([addr, node]) => ({ ordinal: ipv4(addr) - net.addr, node }));
  const attributes = entries.map(({ node }, i) => ({ handleId: `handle-${i}`, secondary: { node } }));
  const allocations = new Array<number | undefined>(size).fill(undefined);
  for (const [i, { ordinal }] of entries.entries()) allocations[ordinal] = i;
  return {
    cidr: net,
    host,
    affinityClaimTime: undefined,
    allocations,
    unallocated: allocations.flatMap((at, ordinal) => (at === undefined ? [ordinal] : [])),
    attributes,
    sequenceNumber: 1n,
    sequenceNumberForAllocation: new Map(entries.map(({ ordinal }) => [ordinal, 1n])),
    deleted: false,
  };
}

export function blockUpdate(value: IpamBlock): CalicoUpdate {
  return { t: "block", cidr: value.cidr, value };
}
