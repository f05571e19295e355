// What a node has heard of addresses: the blocks, the labels that selectors of pools ask about, and what is reserved.
import { formatPrefix, type Ipv4Addr, type Prefix, parseCidr, prefixOf } from "../../base/ipv4-addr.ts";
import type { Pool, PoolTable } from "../../control/calico/calc/pool-table.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import type { IpamBlock } from "../../control/calico/ipam/ipam-block.ts";
import type { IpamPool } from "../../control/calico/ipam/ipam-context.ts";
import type { IPReservation } from "../../control/calico/resources.ts";
import { type Labels, parseSelector, selects } from "../../control/calico/selector.ts";
import { attributeAt } from "./felix/tunnel-addresses.ts";

/** Does a selector choose these labels? One that cannot be read chooses nothing. */
export function chooses(selector: string, labels: Labels): boolean {
  if (selector === "") return true;
  const parsed = parseSelector(selector);
  return parsed.ok && selects(parsed.value, labels);
}

export class IpamView {
  readonly #pools: () => PoolTable;
  readonly #blocks = new Map<string, IpamBlock>();
  readonly #labels = new Map<string, Labels>();
  readonly #reservations = new Map<string, readonly Prefix[]>();

  constructor(pools: () => PoolTable) {
    this.#pools = pools;
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "block") {
      const key = formatPrefix(update.cidr);
      if (update.value === undefined) this.#blocks.delete(key);
      else this.#blocks.set(key, update.value);
    } else if (update.t === "resource" && update.kind === "Node") {
      if (update.value === undefined) this.#labels.delete(update.name);
      else this.#labels.set(update.name, update.value.metadata.labels ?? {});
    } else if (update.t === "resource" && update.kind === "IPReservation") {
      if (update.value?.kind !== "IPReservation") this.#reservations.delete(update.name);
      else this.#reservations.set(update.name, reservedCidrs(update.value));
    }
  }

  blocks(): Iterable<IpamBlock> {
    return this.#blocks.values();
  }

  /** What nobody is given unasked. */
  reservations(): readonly Prefix[] {
    return [...this.#reservations.values()].flat();
  }

  /** Is `addr` of this handle? */
  holds(addr: Ipv4Addr, handle: string): boolean {
    return attributeAt(this.#blocks.values(), addr)?.handleId === handle;
  }

  /** Pools that may be used on a node. */
  poolsOn(node: string): Pool[] {
    const labels = this.#labels.get(node) ?? {};
    return [...this.#pools().values()].filter(({ nodeSelector }) => chooses(nodeSelector, labels));
  }

  /**
   * All pools as IPAM is to see them.
   *
   * @param host who asks; undefined: nodes do not matter
   * @param namespace undefined: namespaces do not matter
   */
  pools(host: string | undefined, namespace: string | undefined): IpamPool[] {
    const nodeLabels = host === undefined ? undefined : (this.#labels.get(host) ?? {});
    const namespaceLabels =
      namespace === undefined
        ? undefined
        : { "projectcalico.org/name": namespace, "kubernetes.io/metadata.name": namespace };
    return [...this.#pools().values()].map((pool) => ({
      cidr: pool.cidr,
      blockSize: pool.blockSize,
      disabled: pool.disabled,
      automatic: pool.automatic,
      allowedUses: pool.allowedUses,
      selectsNode: nodeLabels === undefined || chooses(pool.nodeSelector, nodeLabels),
      selectsNamespace: namespaceLabels === undefined || chooses(pool.namespaceSelector, namespaceLabels),
    }));
  }
}

/** The IPv4 ranges of a reservation. */
function reservedCidrs({ spec }: IPReservation): Prefix[] {
  return (spec.reservedCIDRs ?? []).flatMap((text) => {
    const range = parseCidr(text.includes("/") ? text : `${text}/32`);
    return range.ok ? [prefixOf(range.value.addr, range.value.len)] : [];
  });
}
