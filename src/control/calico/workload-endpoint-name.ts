// The name of a WorkloadEndpoint is made of what identifies it: node, orchestrator, workload and endpoint, joined by dashes, every
// dash inside a part doubled. What the workload is depends on the orchestrator: the pod for k8s, the container for cni.
import { err, ok, type Result } from "../../base/result.ts";
import type { WorkloadEndpointSpec } from "./resources.ts";

export interface WorkloadEndpointId {
  readonly node: string;
  readonly orchestrator: string;
  readonly workload: string;
  readonly endpoint: string;
}

/** What identifies an endpoint: the fault names the field of the spec. */
export function workloadEndpointName(
  spec: Pick<WorkloadEndpointSpec, "node" | "orchestrator" | "endpoint" | "pod" | "containerID"> & {
    readonly workload?: string;
  },
): Result<string, { readonly field: string; readonly message: string }> {
  const { node, orchestrator, endpoint } = spec;
  const parts: readonly (readonly [string, string | undefined])[] = [
    ["node", node],
    ["orchestrator", orchestrator],
    workloadOf(spec),
    ["endpoint", endpoint],
  ];
  const escaped: string[] = [];
  for (const [field, value] of parts) {
    if (value === undefined || value === "") return err({ field, message: "field should be assigned" });
    if (value.startsWith("-")) return err({ field, message: "field must not begin with a '-'" });
    if (value.endsWith("-")) return err({ field, message: "field must not end with a '-'" });
    escaped.push(value.replaceAll("-", "--"));
  }
  return ok(escaped.join("-"));
}

function workloadOf(
  spec: Pick<WorkloadEndpointSpec, "orchestrator" | "pod" | "containerID"> & { readonly workload?: string },
): readonly [string, string | undefined] {
  switch (spec.orchestrator) {
    case "k8s":
      return ["pod", spec.pod];
    case "cni":
      return ["containerID", spec.containerID];
    case "libnetwork":
      return ["orchestrator", spec.orchestrator];
    default:
      return ["workload", spec.workload];
  }
}

/** Undoes {@link workloadEndpointName}. Undefined: not the name of an endpoint. */
export function parseWorkloadEndpointName(name: string): WorkloadEndpointId | undefined {
  const parts = splitAtSingleDashes(name);
  const [node, orchestrator, workload, endpoint] = parts;
  if (parts.length !== 4 || !node || !orchestrator || !workload || !endpoint) return undefined;
  return { node, orchestrator, workload, endpoint };
}

function splitAtSingleDashes(name: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (let i = 0; i < name.length; i++) {
    const c = name[i] as string;
    if (c !== "-") {
      part += c;
    } else if (name[i + 1] === "-") {
      part += "-";
      i++;
    } else {
      parts.push(part);
      part = "";
    }
  }
  return [...parts, part];
}
