// What flags of `podloom up` change in a lab file that was read.

import { NAME_RULE } from "../base/name-rule.ts";
import { err, ok, type Result } from "../base/result.ts";
import { STORE_CLIENTS } from "../io/etcd/open-transport.ts";
import { type LabFile, labFileSchema, NODES_MAX, PODS_MAX } from "./lab-schema.ts";
import { STORE_FORM, storeRemedy } from "./store-endpoints.ts";

/** The flags; undefined leaves the file's word. */
export interface LabOverrides {
  readonly name: string | undefined;
  readonly nodes: number | undefined;
  readonly pods: number | undefined;
  /** `embedded`, `etcd` or endpoints. */
  readonly store: string | undefined;
  readonly storeClient: string | undefined;
}

/** A flag that does not fit, and what to write instead. */
export interface OverrideFault {
  readonly message: string;
  readonly remedy: string;
}

/** `file` with the flags applied. */
export function applyOverrides(file: LabFile, flags: LabOverrides): Result<LabFile, OverrideFault> {
  let { nodes } = file;
  if (flags.nodes !== undefined || flags.pods !== undefined) {
    if (Array.isArray(nodes)) {
      return err({
        message: "--nodes and --pods do not fit a lab file that lists its nodes by name",
        remedy: "Leave the flags out, or write the nodes as { count, pods, prefix }.",
      });
    }
    nodes = { ...nodes, count: flags.nodes ?? nodes.count, pods: flags.pods ?? nodes.pods };
  }
  const changed = {
    ...file,
    nodes,
    name: flags.name ?? file.name,
    store: flags.store ?? file.store,
    storeClient: flags.storeClient ?? file.storeClient,
  };
  const checked = labFileSchema.safeParse(changed);
  return checked.success ? ok(checked.data) : err(explain(String(checked.error.issues[0]?.path[0]), flags));
}

function explain(key: string, flags: LabOverrides): OverrideFault {
  switch (key) {
    case "store": {
      const store = flags.store ?? "";
      return { message: `--store takes ${STORE_FORM}, not "${store}"`, remedy: storeRemedy(store) };
    }
    case "storeClient":
      return {
        message: `--store-client does not take "${flags.storeClient}"`,
        remedy: `Write ${STORE_CLIENTS.join(" or ")}.`,
      };
    case "name":
      return {
        message: `--lab does not take "${flags.name}"`,
        remedy: `A lab's name has ${NAME_RULE}.`,
      };
    default:
      return {
        message: "--nodes or --pods does not fit",
        remedy: `--nodes takes 1 to ${NODES_MAX}, --pods 0 to ${PODS_MAX}.`,
      };
  }
}
