// What a store holds of addresses: read whole, for `ipam show` and `ipam check`, and its configuration, changed.
import { type Ipv4Addr, type Prefix, parseCidr, parseIpv4, prefixOf } from "../base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { checkIpam, type IpamCheck } from "../control/calico/ipam/ipam-check.ts";
import type { IpamReportCluster } from "../control/calico/ipam/ipam-check-text.ts";
import { handleKey, IPAM_CONFIG_KEY } from "../control/calico/ipam/ipam-keys.ts";
import type { IpamReport } from "../control/calico/ipam/ipam-report.ts";
import { type IpamState, readIpamState } from "../control/calico/ipam/ipam-state.ts";
import {
  checkIpamConfig,
  DEFAULT_IPAM_CONFIG,
  emitIpamConfig,
  type IpamConfig,
  parseIpamConfig,
} from "../control/calico/ipam/ipam-values.ts";
import { type Compare, NO_LEASE, prefixEnd } from "../control/datastore/messages.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { type CalicoClient, ipamFault, refusal } from "./calico-client.ts";

const IPAM_PREFIX = "/calico/ipam/v2/";

/** A pool, as far as addresses are concerned. */
export interface PoolRange {
  readonly cidr: Prefix;
  readonly disabled: boolean;
}

/** Everything below IPAM's keys. Keys that cannot be used are among its `complaints`. */
export async function ipamState(client: CalicoClient): Promise<IpamState> {
  return readIpamState(await client.range({ key: IPAM_PREFIX, rangeEnd: prefixEnd(IPAM_PREFIX) }));
}

/** The IPv4 pools. */
export async function poolRanges(client: CalicoClient): Promise<PoolRange[]> {
  return (await client.list("IPPool")).flatMap(({ resource: { spec } }) => {
    const cidr = parseCidr(spec.cidr);
    if (!cidr.ok) return [];
    return [{ cidr: prefixOf(cidr.value.addr, cidr.value.len), disabled: spec.disabled === true }];
  });
}

/** Compares IPAM with nodes and endpoints. */
export async function checkStore(client: CalicoClient, state: IpamState): Promise<IpamCheck> {
  const nodes = (await client.list("Node")).map(({ resource: { metadata, spec } }) => ({
    name: metadata.name,
    tunnelAddrs: addressesOf([spec.bgp?.ipv4IPIPTunnelAddr, spec.ipv4VXLANTunnelAddr]),
  }));
  const workloads = (await client.list("WorkloadEndpoint")).map(({ resource: { metadata, spec } }) => ({
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    addrs: addressesOf(spec.ipNetworks.map((net) => net.split("/")[0])),
  }));
  return checkIpam({ state, pools: await poolRanges(client), nodes, workloads });
}

function addressesOf(texts: readonly (string | undefined)[]): Ipv4Addr[] {
  return texts.flatMap((text) => (text === undefined ? [] : (parseIpv4(text) ?? [])));
}

/** What a report says of the cluster. */
export async function reportCluster(client: CalicoClient): Promise<IpamReportCluster> {
  const outcome = await client.request({ t: "get", id: { kind: "ClusterInformation", name: "default" } });
  if (outcome.t === "refused" && outcome.code !== "doesNotExist") throw refusal(outcome);
  const stored = outcome.t === "found" ? outcome.stored : undefined;
  const spec = stored?.resource.kind === "ClusterInformation" ? stored.resource.spec : {};
  return {
    version: spec.calicoVersion ?? "",
    clusterGUID: spec.clusterGUID ?? "",
    datastoreLocked: spec.datastoreReady === false,
    clusterInformationRevision: String(stored?.modRevision ?? ""),
    clusterType: spec.clusterType ?? "",
  };
}

/** Releases addresses, whoever has them. Answers those that were given to somebody. @throws PodloomError PL_IPAM */
export async function releaseAddress(client: CalicoClient, addr: Ipv4Addr): Promise<boolean> {
  // Does the store answer at all? The engine would wait for that as long as a node does, which is too long for a person.
  await client.range({ key: IPAM_CONFIG_KEY, rangeEnd: undefined });
  const { addrs, error } = await client.ipam({ t: "releaseIps", addrs: [addr] });
  if (error !== undefined) throw ipamFault(error);
  return addrs.length > 0;
}

/** Releases what reports call leaked, where it is still as they say. Answers how many were; the error of what was not. */
export async function releaseLeaked(
  client: CalicoClient,
  leaked: IpamReport["leaked"],
): Promise<{ readonly released: number; readonly error: string | undefined }> {
  const { addrs, error } = await client.ipam({
    t: "releaseIps",
    addrs: [...leaked.keys()],
    believed: leaked,
  });
  if (error?.code === "unavailable") throw ipamFault(error);
  return { released: addrs.length, error: error?.message };
}

/** Deletes a handle that still has this revision. False: it is gone, or changed. */
export async function deleteHandle(client: CalicoClient, id: string, revision: string): Promise<boolean> {
  const key = handleKey(id);
  const same: Compare = { key, target: "mod", op: "equal", operand: Number(revision) };
  const range = { key, rangeEnd: undefined };
  return client.txn([same], [{ t: "delete", range }]);
}

/** Closes the datastore, or opens it again: Felix and the CNI plugins wait meanwhile. @throws PodloomError PL_RESOURCE */
export async function lockDatastore(client: CalicoClient, locked: boolean): Promise<void> {
  const outcome = await client.request({
    t: "edit",
    id: { kind: "ClusterInformation", name: "default" },
    change: (current) =>
      current?.kind === "ClusterInformation"
        ? { ...current, spec: { ...current.spec, datastoreReady: !locked } }
        : undefined,
  });
  if (outcome.t === "refused") throw refusal(outcome);
}

/** Changes the configuration of IPAM. @throws PodloomError PL_IPAM when it cannot be so, or changes all the time */
export async function configureIpam(client: CalicoClient, change: Partial<IpamConfig>): Promise<void> {
  const range = { key: IPAM_CONFIG_KEY, rangeEnd: undefined };
  for (let attempt = 1; attempt <= 5; attempt++) {
    const [kv] = await client.range(range);
    const read = kv === undefined ? undefined : parseIpamConfig(kv.value);
    if (read?.ok === false) {
      const shown = kv === undefined ? "" : (decodeUtf8(kv.value) ?? "").slice(0, 100);
      throw new PodloomError("PL_IPAM", `${IPAM_CONFIG_KEY} cannot be used: ${read.error}: ${shown}`, {
        remedy: "Delete the key with etcdctl: the next read makes it anew.",
      });
    }
    const wanted = checkIpamConfig({ ...(read?.value ?? DEFAULT_IPAM_CONFIG), ...change });
    if (!wanted.ok) {
      throw new PodloomError("PL_IPAM", wanted.error, { remedy: "`podloom ipam show --show-configuration`" });
    }
    const same: Compare =
      kv === undefined
        ? { key: IPAM_CONFIG_KEY, target: "version", op: "equal", operand: 0 }
        : { key: IPAM_CONFIG_KEY, target: "mod", op: "equal", operand: kv.modRevision };
    const value = encodeUtf8(emitIpamConfig(wanted.value));
    const put = { t: "put", key: IPAM_CONFIG_KEY, value, lease: NO_LEASE } as const;
    if (await client.txn([same], [put])) return;
  }
  throw new PodloomError("PL_IPAM", "the configuration changes faster than it can be replaced", {
    remedy: "Try again when nobody else changes it.",
  });
}
