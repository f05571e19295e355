// What calico-node's startup writes into a store that is empty. Specs on Calico §1.1 and §1.2.
import type { Rng } from "../../base/rng.ts";
import { withPoolDefaults } from "./check-resource.ts";
import { API_VERSION } from "./resource-schemas.ts";
import type {
  BGPConfiguration,
  BGPConfigurationSpec,
  ClusterInformation,
  FelixConfiguration,
  FelixConfigurationSpec,
  IPPool,
  IPPoolSpec,
} from "./resources.ts";

/** The release that the documents are those of. */
export const CALICO_VERSION = "v3.32.1";

const POOL_CIDR_DEFAULT = "192.168.0.0/16";

/** `datastoreReady` lets Felix begin. */
export function defaultClusterInformation(rng: Rng): ClusterInformation {
  const words = Array.from({ length: 4 }, () => rng.u32().toString(16).padStart(8, "0"));
  return {
    kind: "ClusterInformation",
    apiVersion: API_VERSION,
    metadata: { name: "default" },
    spec: {
      clusterGUID: words.join(""),
      clusterType: "k8s,bgp",
      calicoVersion: CALICO_VERSION,
      datastoreReady: true,
    },
  };
}

/** The first pool. What is not given is as startup's environment has it by default: IPIP everywhere, masquerading. */
export function defaultIpPool(
  spec: Partial<
    Pick<IPPoolSpec, "cidr" | "blockSize" | "ipipMode" | "vxlanMode" | "natOutgoing" | "nodeSelector">
  > = {},
): IPPool {
  const vxlanMode = spec.vxlanMode ?? "Never";
  return withPoolDefaults({
    kind: "IPPool",
    apiVersion: API_VERSION,
    metadata: { name: "default-ipv4-ippool" },
    spec: {
      ...spec,
      cidr: spec.cidr ?? POOL_CIDR_DEFAULT,
      vxlanMode,
      // The two exclude each other.
      ipipMode: spec.ipipMode ?? (vxlanMode === "Never" ? "Always" : "Never"),
      natOutgoing: spec.natOutgoing ?? true,
    },
  });
}

export function defaultBgpConfiguration(spec: BGPConfigurationSpec = {}): BGPConfiguration {
  return {
    kind: "BGPConfiguration",
    apiVersion: API_VERSION,
    metadata: { name: "default" },
    spec: { logSeverityScreen: "Info", nodeToNodeMeshEnabled: true, asNumber: 64_512, ...spec },
  };
}

export function defaultFelixConfiguration(spec: FelixConfigurationSpec = {}): FelixConfiguration {
  // Startup logs to the screen and turns Felix's own reports off.
  const startup: FelixConfigurationSpec & Readonly<Record<string, unknown>> = {
    logSeverityScreen: "Info",
    reportingInterval: "0s",
  };
  return {
    kind: "FelixConfiguration",
    apiVersion: API_VERSION,
    metadata: { name: "default" },
    spec: { ...startup, ...spec },
  };
}
