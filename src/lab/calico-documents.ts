// What a Calico lab's store holds before its nodes start: the documents that calico-node finds or makes, and the lab file's own.
import { formatIpv4 } from "../base/ipv4-addr.ts";
import {
  CALICO_VERSION,
  defaultBgpConfiguration,
  defaultClusterInformation,
  defaultFelixConfiguration,
} from "../control/calico/cluster-defaults.ts";
import type {
  BGPConfiguration,
  BGPPeer,
  CalicoResource,
  ClusterInformation,
} from "../control/calico/resources.ts";
import { SystemRng } from "../io/clock.ts";
import { BGP_PORT } from "./bgp-port.ts";
import type { LabCalico } from "./resolve-calico.ts";
import type { Lab } from "./resolve-lab.ts";
import { listenPort } from "./resolve-routers.ts";

/** The versions that stand in ClusterInformation. */
const RELEASES = { "3.31": "v3.31.0", "3.32": CALICO_VERSION, "3.33": "v3.33.0" } as const;

export interface CalicoDocuments {
  /** Made where there are none; what stands there stays. */
  readonly defaults: readonly CalicoResource[];
  /** What the lab file says. */
  readonly own: readonly CalicoResource[];
}

/** @param bgpPort where BGP listens on this machine; another than 179 is told to everybody by the store */
export function calicoDocuments(lab: Lab, calico: LabCalico, bgpPort: number): CalicoDocuments {
  const own = calico.resources.map((resource) => {
    if (resource.kind === "BGPConfiguration") return withPort(resource, bgpPort);
    return resource.kind === "BGPPeer" ? withPeerPort(resource, lab, bgpPort) : resource;
  });
  const has = (kind: CalicoResource["kind"]): boolean =>
    own.some((resource) => resource.kind === kind && resource.metadata.name === "default");
  const defaults: CalicoResource[] = [clusterInformation(calico)];
  if (!has("FelixConfiguration")) defaults.push(defaultFelixConfiguration());
  if (!has("BGPConfiguration")) defaults.push(withPort(defaultBgpConfiguration(), bgpPort));
  if (calico.defaultPool !== undefined) defaults.push(calico.defaultPool);
  return { defaults, own };
}

function clusterInformation({ version }: LabCalico): ClusterInformation {
  const made = defaultClusterInformation(new SystemRng());
  return { ...made, spec: { ...made.spec, calicoVersion: RELEASES[version] } };
}

function withPort(config: BGPConfiguration, port: number): BGPConfiguration {
  const told = config.metadata.name !== "default" || config.spec.listenPort !== undefined;
  if (told || port === BGP_PORT) return config;
  return { ...config, spec: { ...config.spec, listenPort: port } };
}

/** A peer that is one of the lab's routers listens where that router does: 179 is meant only where it could be bound. */
function withPeerPort(peer: BGPPeer, lab: Lab, bgpPort: number): BGPPeer {
  const { peerIP } = peer.spec;
  const router = lab.routers.find(({ interfaces }) =>
    interfaces.some(({ address }) => formatIpv4(address) === peerIP),
  );
  if (router === undefined) return peer;
  const port = listenPort(router.bgp) ?? bgpPort;
  return port === BGP_PORT ? peer : { ...peer, spec: { ...peer.spec, peerIP: `${peerIP}:${port}` } };
}
