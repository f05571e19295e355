// What the cluster calls a pod: the WorkloadEndpoint that CNI writes, and the handle of its address. Specs on Calico §1.2, §1.3.
import { formatIpv4, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import { formatMac, type MacAddr } from "../../base/mac-addr.ts";
import { caliDeviceName } from "../../control/calico/device-names.ts";
import type { WorkloadEndpoint } from "../../control/calico/resources.ts";

export interface PodIdentity {
  readonly pod: string;
  readonly namespace: string;
  readonly containerId: string;
  readonly addr: Ipv4Addr;
  readonly mac: MacAddr;
}

export function podHandle(containerId: string): string {
  return `k8s-pod-network.${containerId}`;
}

/** A dash inside a part is doubled, so that the parts can be told apart. */
export function podEndpointName(node: string, pod: string): string {
  return [node, "k8s", pod, "eth0"].map((part) => part.replaceAll("-", "--")).join("-");
}

export function podEndpoint(
  node: string,
  { pod, namespace, containerId, addr, mac }: PodIdentity,
): WorkloadEndpoint {
  return {
    kind: "WorkloadEndpoint",
    apiVersion: "projectcalico.org/v3",
    metadata: {
      name: podEndpointName(node, pod),
      namespace,
      labels: {
        "projectcalico.org/namespace": namespace,
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": "default",
      },
    },
    spec: {
      orchestrator: "k8s",
      node,
      pod,
      containerID: containerId,
      endpoint: "eth0",
      interfaceName: caliDeviceName(namespace, pod),
      mac: formatMac(mac),
      ipNetworks: [`${formatIpv4(addr)}/32`],
      profiles: [`kns.${namespace}`, `ksa.${namespace}.default`],
      serviceAccountName: "default",
    },
  };
}
