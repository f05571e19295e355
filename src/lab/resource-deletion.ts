// Deleting a resource as Calico's client does it: a pool and a node have more to them than their key.
import { setTimeout as pause } from "node:timers/promises";
import { type Ipv4Addr, parseCidr, parseIpv4, prefixOf } from "../base/ipv4-addr.ts";
import type { ResourceId } from "../control/calico/calico-keys.ts";
import type { ResourceOutcome } from "../control/calico/resource-messages.ts";
import { disablePool, POOL_DRAIN_US } from "../control/calico/resource-request.ts";
import type { NodeResource, WorkloadEndpoint } from "../control/calico/resources.ts";
import { type CalicoClient, ipamFault, refusal } from "./calico-client.ts";

/** Deletes a resource, and what must go before it. @throws PodloomError PL_RESOURCE, PL_IPAM when that does not go */
export function deleteResource(client: CalicoClient, id: ResourceId): Promise<ResourceOutcome> {
  if (id.kind === "IPPool") return deletePool(client, id);
  return id.kind === "Node" ? deleteNode(client, id) : client.request({ t: "delete", id });
}

/** Nobody gets an address any more; who is getting one has half a second; its blocks are nobody's; then it goes. */
async function deletePool(client: CalicoClient, id: ResourceId): Promise<ResourceOutcome> {
  const disabled = await client.request(disablePool(id.name));
  if (disabled.t !== "written" || disabled.stored.resource.kind !== "IPPool") return disabled;
  await pause(POOL_DRAIN_US / 1000);
  const cidr = parseCidr(disabled.stored.resource.spec.cidr);
  if (cidr.ok) {
    const pool = prefixOf(cidr.value.addr, cidr.value.len);
    await release(client, { t: "releasePoolAffinities", pool });
  }
  return client.request({ t: "delete", id });
}

/** Its pods' and tunnels' addresses, its endpoints, its blocks, and the configuration that is for it alone go first. */
async function deleteNode(client: CalicoClient, id: ResourceId): Promise<ResourceOutcome> {
  const found = await client.request({ t: "get", id });
  if (found.t !== "found" || found.stored.resource.kind !== "Node") return found;
  const endpoints = (await client.list("WorkloadEndpoint"))
    .map(({ resource }) => resource)
    .filter(({ spec }) => spec.node === id.name);
  const addrs = [...endpoints.flatMap(podAddresses), ...tunnelAddresses(found.stored.resource)];
  if (addrs.length > 0) await release(client, { t: "releaseIps", addrs });
  for (const { metadata } of endpoints) {
    const { name, namespace } = metadata;
    await remove(client, { kind: "WorkloadEndpoint", name, ...(namespace !== undefined && { namespace }) });
  }
  await release(client, { t: "releaseHostAffinities", host: id.name, requireEmpty: false });
  for (const kind of ["BGPConfiguration", "FelixConfiguration"] as const) {
    await remove(client, { kind, name: `node.${id.name}` });
  }
  for (const { resource } of await client.list("BGPPeer")) {
    if (resource.spec.node === id.name)
      await remove(client, { kind: "BGPPeer", name: resource.metadata.name });
  }
  return client.request({ t: "delete", id });
}

function podAddresses({ spec }: WorkloadEndpoint): Ipv4Addr[] {
  return spec.ipNetworks.flatMap((text) => parseIpv4(text.split("/")[0] as string) ?? []);
}

function tunnelAddresses({ spec }: NodeResource): Ipv4Addr[] {
  const texts = [spec.bgp?.ipv4IPIPTunnelAddr, spec.ipv4VXLANTunnelAddr];
  return texts.flatMap((text) => (text === undefined ? [] : (parseIpv4(text) ?? [])));
}

async function release(client: CalicoClient, request: Parameters<CalicoClient["ipam"]>[0]): Promise<void> {
  const { error } = await client.ipam(request);
  if (error !== undefined) throw ipamFault(error);
}

async function remove(client: CalicoClient, id: ResourceId): Promise<void> {
  const outcome = await client.request({ t: "delete", id });
  if (outcome.t === "refused" && outcome.code !== "doesNotExist") throw refusal(outcome);
}
