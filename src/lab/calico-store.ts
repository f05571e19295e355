// Calico's part of a lab's store: what calico-node finds or makes when it starts, the lab's own documents, and the blocks.
import {
  formatPrefix,
  type Ipv4Addr,
  overlaps,
  type Prefix,
  parseCidr,
  prefixOf,
} from "../base/ipv4-addr.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { kindRange, parseResourceKey } from "../control/calico/calico-keys.ts";
import { readResource } from "../control/calico/check-resource.ts";
import { BLOCKS_RANGE, parseBlockKey } from "../control/calico/ipam/ipam-keys.ts";
import type { CalicoKind, ResourceOf } from "../control/calico/resources.ts";
import type { KeyValue } from "../control/datastore/messages.ts";
import type { EtcdTransport } from "../io/etcd/etcd-transport.ts";
import { CalicoClient, type StoreAddress } from "./calico-client.ts";
import { calicoDocuments } from "./calico-documents.ts";
import type { LabCalico } from "./resolve-calico.ts";
import type { Lab } from "./resolve-lab.ts";
import { type Existing, ensureResource } from "./resource-store.ts";
import type { StoreNetwork, StoreSubnets } from "./store-network.ts";

export class CalicoStore implements StoreNetwork {
  readonly #lab: Lab;
  readonly #calico: LabCalico;
  readonly #bgpPort: number;
  readonly #address: StoreAddress;

  /** @param bgpPort where this lab's BGP listens */
  constructor(lab: Lab, calico: LabCalico, bgpPort: number, address: StoreAddress) {
    this.#lab = lab;
    this.#calico = calico;
    this.#bgpPort = bgpPort;
    this.#address = address;
  }

  async configure(_: EtcdTransport, force: boolean): Promise<void> {
    await this.#write(this.#lab.store.kind === "external" && !force ? "refuse" : "replace");
  }

  /** What somebody has changed since stays changed. */
  async configureAgain(): Promise<void> {
    await this.#write("keep");
  }

  async #write(existing: Existing): Promise<void> {
    const client = await CalicoClient.open(this.#address, () => undefined);
    try {
      const { defaults, own } = calicoDocuments(this.#lab, this.#calico, this.#bgpPort);
      const pools = await client.list("IPPool");
      for (const resource of defaults) {
        // calico-node makes its pool only where there is none.
        if (resource.kind === "IPPool" && pools.length > 0) continue;
        await ensureResource(client, resource, "keep");
      }
      for (const resource of own) await ensureResource(client, resource, existing);
    } finally {
      await client.close();
    }
  }

  /**
   * The blocks that every node must have a route to: those that a node of the lab owns and has given addresses of, in a pool that
   * is announced. A block without addresses is announced or just being given up, so it may be listed or not; the same holds for
   * blocks of others, whom this lab does not run.
   */
  async subnets(transport: EtcdTransport): Promise<StoreSubnets> {
    const { kvs } = await transport.range(BLOCKS_RANGE);
    const pools = (await list(transport, "IPPool")).flatMap((pool) => {
      const cidr = parseCidr(pool.spec.cidr);
      return cidr.ok ? [{ cidr: prefixOf(cidr.value.addr, cidr.value.len), spec: pool.spec }] : [];
    });
    const hosts = new Set(this.#lab.nodes.map(({ name }) => name));
    const required: Prefix[] = [];
    const optional: Prefix[] = [];
    for (const kv of kvs) {
      const block = readBlock(kv);
      if (block === undefined) continue;
      const pool = pools.find(({ cidr }) => overlaps(cidr, block.cidr))?.spec;
      const felix = (pool?.vxlanMode ?? "Never") !== "Never";
      const announced = felix || pool?.disableBGPExport !== true;
      if (block.host !== undefined && hosts.has(block.host) && block.used && announced)
        required.push(block.cidr);
      else if (block.host !== undefined || felix) optional.push(block.cidr);
    }
    return { storeLeases: texts(required), storeOptional: texts(optional) };
  }
}

function texts(cidrs: readonly Prefix[]): string[] {
  return [...cidrs].sort((a, b) => byAddress(a.addr, b.addr) || a.len - b.len).map(formatPrefix);
}

function byAddress(a: Ipv4Addr, b: Ipv4Addr): number {
  return a - b;
}

/** As much of a block as tells whether it is in use. Sequence numbers, which no JavaScript number holds, are not looked at. */
function readBlock(
  kv: KeyValue,
): { readonly cidr: Prefix; readonly host: string | undefined; readonly used: boolean } | undefined {
  const cidr = parseBlockKey(kv.key);
  if (cidr === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(kv.value) ?? "");
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { affinity, allocations } = value as { affinity?: unknown; allocations?: unknown };
  const host = typeof affinity === "string" && affinity.startsWith("host:") ? affinity.slice(5) : undefined;
  return { cidr, host, used: Array.isArray(allocations) && allocations.some((given) => given !== null) };
}

/** The resources of a kind that can be read. */
async function list<K extends CalicoKind>(transport: EtcdTransport, kind: K): Promise<ResourceOf<K>[]> {
  const { kvs } = await transport.range(kindRange(kind));
  return kvs.flatMap((kv) => {
    const id = parseResourceKey(kv.key);
    const read = id === undefined ? undefined : readResource(id, kv.value);
    return read?.ok === true ? [read.value as ResourceOf<K>] : [];
  });
}
