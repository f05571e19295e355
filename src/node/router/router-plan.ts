// A router's file → what its agent is made of.

import type { Nic } from "../../agent/node-agent.ts";
import type { RouterBgp } from "../../agent/router/router-agent.ts";
import { contains, type Ipv4Addr, type Prefix, prefixOf } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { DocumentFault } from "../../io/document/problem.ts";
import type { StoreClient } from "../../io/etcd/open-transport.ts";
import type { Carrier } from "../../io/host-address.ts";
import type { NeighborConfig, RangeConfig } from "../../routing/bgp/speaker/speaker-config.ts";
import { resolveSpeaker } from "../speaker/file/resolve.ts";
import { type SpeakerFile, speakerFileSchema } from "../speaker/file/speaker-schema.ts";
import type { SpeakerPlan } from "../speaker/plan.ts";
import type { RouterFile } from "./router-file.ts";

const MTU_BYTES = 1500;

export interface RouterPlan {
  readonly name: string;
  readonly carrier: Carrier;
  readonly mtuBytes: number;
  readonly nics: readonly Nic[];
  readonly bgp: RouterBgp | undefined;
  /** Where the store is that is watched; undefined: none is. */
  readonly etcd: readonly string[] | undefined;
  readonly storeClient: StoreClient;
}

export function resolveRouter(file: RouterFile): Result<RouterPlan, readonly DocumentFault[]> {
  const nics = file.interfaces.map(({ name, address: { addr, len } }) => ({
    name,
    addr,
    segment: prefixOf(addr, len),
  }));
  const faults = nicFaults(nics);
  if (file.announcer !== undefined && file.bgp !== undefined) {
    const remedy = "Run two: a router, and an announcer that tells it.";
    faults.push({ path: ["announcer"], message: "a router that speaks BGP is no announcer", remedy });
  }
  const carrier = file.carrier ?? "host";
  const bgp = resolveBgp(file, nics, carrier);
  if (bgp?.ok === false) faults.push(...bgp.error);
  if (faults.length > 0) return err(faults);
  return ok({
    name: file.name,
    carrier,
    mtuBytes: file.mtu ?? MTU_BYTES,
    nics,
    bgp: bgp?.ok === true ? bgp.value : undefined,
    etcd: file.announcer?.etcd,
    storeClient: file.announcer?.storeClient ?? "slim",
  });
}

function nicFaults(nics: readonly Nic[]): DocumentFault[] {
  const faults: DocumentFault[] = [];
  for (const [i, { name, addr, segment }] of nics.entries()) {
    for (const before of nics.slice(0, i)) {
      const path = ["interfaces", i];
      if (before.name === name) {
        faults.push({
          path: [...path, "name"],
          message: `two interfaces are called ${name}`,
          remedy: "Rename one.",
        });
      }
      if (contains(before.segment, addr) || contains(segment, before.addr)) {
        const message = `${name} and ${before.name} are in the same segment`;
        faults.push({
          path: [...path, "address"],
          message,
          remedy: "A router has one interface in each segment.",
        });
      }
    }
  }
  return faults;
}

/** Undefined: the router speaks no BGP. */
function resolveBgp(
  file: RouterFile,
  nics: readonly Nic[],
  carrier: Carrier,
): Result<RouterBgp, readonly DocumentFault[]> | undefined {
  const under = file.bgp === undefined ? "announcer" : "bgp";
  const speaker = speakerOf(file, nics, carrier);
  if (speaker === undefined) return undefined;
  const plan = resolveSpeaker(speaker, {
    name: undefined,
    defaultName: file.name,
    restarting: false,
    traceMessages: false,
    metrics: undefined,
    capture: undefined,
    policies: new Map(),
  });
  if (!plan.ok) return err(plan.error.map((fault) => ({ ...fault, path: [under, ...fault.path] })));
  return ok(routerBgp(plan.value, nics));
}

function speakerOf(file: RouterFile, nics: readonly Nic[], carrier: Carrier): SpeakerFile | undefined {
  const [{ addr }] = nics as readonly [Nic, ...Nic[]];
  const self = {
    apiVersion: "podloom/v1",
    kind: "BGPSpeaker",
    name: file.name,
    carrier,
    address: addr,
  } as const;
  if (file.bgp !== undefined) {
    const listen =
      file.bgp.listen === false ? false : { ...file.bgp.listen, addresses: nics.map((nic) => nic.addr) };
    return { ...self, ...file.bgp, routerId: file.bgp.routerId ?? addr, listen };
  }
  if (file.announcer === undefined) return undefined;
  const { as, gateways, port } = file.announcer;
  // By the schema, which knows the defaults.
  const base = speakerFileSchema.parse({
    apiVersion: self.apiVersion,
    kind: self.kind,
    as,
    routerId: "192.0.2.1",
  });
  const neighbors = gateways.map(
    (address) => ({ address, as: "any", port, nextHop: "keep", import: "none" }) as const,
  );
  return { ...base, ...self, routerId: addr, listen: false, neighbors };
}

/** Sessions come from the interface that the neighbour is behind, whose address is then also our next hop there. */
function routerBgp(plan: SpeakerPlan, nics: readonly Nic[]): RouterBgp {
  const [first] = nics as readonly [Nic, ...Nic[]];
  const near = (addr: Ipv4Addr): Ipv4Addr =>
    (nics.find(({ segment }) => contains(segment, addr)) ?? first).addr;
  const placed = <T extends NeighborConfig | RangeConfig>(config: T, { addr }: Pick<Prefix, "addr">): T => {
    const localAddr = near(addr);
    return { ...config, localAddr, routes: { ...config.routes, localAddr } };
  };
  return {
    speaker: plan.speaker,
    port: plan.listen[0]?.port,
    neighbors: plan.neighbors.map((neighbor) => placed(neighbor, neighbor)),
    ranges: plan.ranges.map((range) => placed(range, range.prefix)),
    networks: plan.networks,
  };
}
