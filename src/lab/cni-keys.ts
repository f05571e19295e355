// Which keys of a lab file are for which pod network: one of the other's would be silently without effect, so it is refused.
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";

const FLANNEL_KEYS = {
  network: "Calico's pod network is made of IPPools: write one under calico.resources.",
  lease: "Leave it out: Calico's blocks have no lifetime.",
  etcdPrefix: "Leave it out: Calico's keys are under /calico, always.",
} as const;

const CALICO_KEYS = ["calico", "routers", "announcers"] as const;
const CALICO_NODE_KEYS = ["segment", "labels", "asNumber", "routeReflectorClusterID"] as const;

/** Refuses the keys that the lab's pod network does not have. */
export function checkCniKeys(file: LabFile, faults: DocumentFaults): void {
  if (file.cni === "calico") refuseFlannelKeys(file, faults);
  else refuseCalicoKeys(file, faults);
}

function refuseFlannelKeys(file: LabFile, faults: DocumentFaults): void {
  for (const [key, remedy] of Object.entries(FLANNEL_KEYS)) {
    if (file[key as keyof typeof FLANNEL_KEYS] === undefined) continue;
    faults.add([key], `${key} is Flannel's, and this lab runs Calico`, remedy);
  }
  if (!Array.isArray(file.nodes)) return;
  file.nodes.forEach((node, i) => {
    if (node.subnet === undefined) return;
    const remedy = "Leave it out: a node claims blocks as its pods need addresses. A pod may ask for its ip.";
    faults.add(["nodes", i, "subnet"], "subnet is Flannel's, and this lab runs Calico", remedy);
  });
}

function refuseCalicoKeys(file: LabFile, faults: DocumentFaults): void {
  const refuse = (path: DocPath, key: string): void =>
    faults.add(path, `${key} needs Calico, and this lab runs Flannel`, "Write cni: calico, or leave it out.");
  for (const key of CALICO_KEYS) if (file[key] !== undefined) refuse([key], key);
  if (file.underlay.segments !== undefined) refuse(["underlay", "segments"], "segments");
  if (!Array.isArray(file.nodes)) return;
  file.nodes.forEach((node, i) => {
    for (const key of CALICO_NODE_KEYS) if (node[key] !== undefined) refuse(["nodes", i, key], key);
    if (!Array.isArray(node.pods)) return;
    node.pods.forEach((pod, j) => {
      if (typeof pod !== "string" && pod.namespace !== undefined)
        refuse(["nodes", i, "pods", j, "namespace"], "namespace");
    });
  });
}
