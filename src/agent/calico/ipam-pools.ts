// The pools as IPAM is to see them: what their selectors say of a node and a namespace; and what is reserved.
import { type Prefix, parseCidr, prefixOf } from "../../base/ipv4-addr.ts";
import type { PoolTable } from "../../control/calico/calc/pool-table.ts";
import type { IpamPool } from "../../control/calico/ipam/ipam-context.ts";
import type { IPReservation } from "../../control/calico/resources.ts";
import { type Labels, parseSelector, selects } from "../../control/calico/selector.ts";

/** Does a selector choose these labels? One that cannot be read chooses nothing. */
export function chooses(selector: string, labels: Labels): boolean {
  if (selector === "") return true;
  const parsed = parseSelector(selector);
  return parsed.ok && selects(parsed.value, labels);
}

/** The IPv4 ranges of a reservation. */
export function reservedCidrs({ spec }: IPReservation): Prefix[] {
  return (spec.reservedCIDRs ?? []).flatMap((text) => {
    const range = parseCidr(text.includes("/") ? text : `${text}/32`);
    return range.ok ? [prefixOf(range.value.addr, range.value.len)] : [];
  });
}

/**
 * @param nodeLabels of the host that asks; undefined: nodes do not matter
 * @param namespace undefined: namespaces do not matter
 */
export function ipamPools(
  pools: PoolTable,
  nodeLabels: Labels | undefined,
  namespace: string | undefined,
): IpamPool[] {
  const namespaceLabels =
    namespace === undefined
      ? undefined
      : { "projectcalico.org/name": namespace, "kubernetes.io/metadata.name": namespace };
  return [...pools.values()].map((pool) => ({
    cidr: pool.cidr,
    blockSize: pool.blockSize,
    disabled: pool.disabled,
    automatic: pool.automatic,
    allowedUses: pool.allowedUses,
    selectsNode: nodeLabels === undefined || chooses(pool.nodeSelector, nodeLabels),
    selectsNamespace: namespaceLabels === undefined || chooses(pool.namespaceSelector, namespaceLabels),
  }));
}
