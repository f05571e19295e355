// What flags of `podloom up` change in a lab file that was read.
import { err, ok, type Result } from "../base/result.ts";
import { type LabFile, labFileSchema } from "./lab-schema.ts";

/** The flags; undefined leaves the file's word. */
export interface LabOverrides {
  readonly name: string | undefined;
  readonly nodes: number | undefined;
  readonly pods: number | undefined;
  /** `embedded`, `etcd` or endpoints. */
  readonly store: string | undefined;
}

/** `file` with the flags applied, or a sentence about the flag that does not fit. */
export function applyOverrides(file: LabFile, flags: LabOverrides): Result<LabFile, string> {
  let { nodes } = file;
  if (flags.nodes !== undefined || flags.pods !== undefined) {
    if (Array.isArray(nodes)) {
      return err(
        "--nodes and --pods need a lab file whose nodes are { count, pods, prefix }; this one lists its nodes by name",
      );
    }
    nodes = { ...nodes, count: flags.nodes ?? nodes.count, pods: flags.pods ?? nodes.pods };
  }
  const changed = { ...file, nodes, name: flags.name ?? file.name, store: flags.store ?? file.store };
  const checked = labFileSchema.safeParse(changed);
  if (checked.success) return ok(checked.data);
  const issue = checked.error.issues[0];
  const flag =
    { nodes: "--nodes or --pods", name: "--lab", store: "--store" }[String(issue?.path[0])] ?? "a flag";
  return err(`${flag} has a value that does not fit: ${overrideRule(String(issue?.path[0]))}`);
}

function overrideRule(key: string): string {
  if (key === "nodes") return "--nodes takes 1 to 2000, --pods 0 to 250";
  if (key === "store") return "it takes embedded, etcd or http://host:port[,http://…]";
  return "it takes 1 to 63 lower-case letters, digits and dashes";
}
