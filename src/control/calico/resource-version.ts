// Which state of a resource replaces which: the parts of its metadata that no document decides.

import { formatTimestamp } from "../../base/civil-date.ts";
import type { Rng } from "../../base/rng.ts";
import type { CalicoResource } from "./resources.ts";

/** A random UUID, version 4. */
export function randomUid(rng: Rng): string {
  const words = [rng.u32(), rng.u32(), rng.u32(), rng.u32()];
  words[1] = (((words[1] as number) & 0xffff_0fff) | 0x4000) >>> 0;
  words[2] = (((words[2] as number) & 0x3fff_ffff) | 0x8000_0000) >>> 0;
  const hex = words.map((word) => word.toString(16).padStart(8, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The resource as it is stored for the first time, whatever it was a copy of. */
export function born(resource: CalicoResource, uid: string, wallMs: number): CalicoResource {
  const creationTimestamp = formatTimestamp(wallMs);
  return stored(resource, { ...resource.metadata, uid, creationTimestamp });
}

/** The resource in place of `current`: the same individual. */
export function succeeding(resource: CalicoResource, current: CalicoResource): CalicoResource {
  const { uid, creationTimestamp } = current.metadata;
  const metadata = {
    ...resource.metadata,
    ...(uid === undefined ? {} : { uid }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  };
  // The status is what others have found out about it, and no document's to forget.
  const { status } = current as { readonly status?: unknown };
  const whole: CalicoResource =
    status === undefined || "status" in resource ? resource : Object.assign({ ...resource }, { status });
  return stored(whole, metadata);
}

function stored(resource: CalicoResource, metadata: CalicoResource["metadata"]): CalicoResource {
  const { resourceVersion: _, ...kept } = metadata;
  if (resource.kind !== "WorkloadEndpoint") return { ...resource, metadata: kept };
  // Policies select by these two, so they are never what somebody wrote.
  const labels = {
    ...kept.labels,
    "projectcalico.org/namespace": kept.namespace ?? "",
    "projectcalico.org/orchestrator": resource.spec.orchestrator,
  };
  return { ...resource, metadata: { ...kept, labels } };
}
