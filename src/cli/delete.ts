// `podloom delete -f FILE` and `podloom delete KIND NAME…`: Calico's resources out of the store, as Calico's client deletes them.
import { type ResourceId, resourceNameFault } from "../control/calico/calico-keys.ts";
import { isNamespaced, kindOfWord } from "../control/calico/resource-kinds.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { deleteResource } from "../lab/resource-deletion.ts";
import { oneByOne, readResources } from "./apply.ts";
import type { CommandContext } from "./command-context.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** The flags of `delete`, read. */
export interface DeleteFlags extends WhichStore {
  readonly file: string | undefined;
  readonly kind: string | undefined;
  readonly names: readonly string[];
  readonly namespace: string;
  /** What does not exist is no fault. */
  readonly skipNotExists: boolean;
}

/** Runs the command. Answers the exit code. */
export function deleteResources(flags: DeleteFlags, cx: CommandContext): Promise<number> {
  const ids = flags.file === undefined ? namedIds(flags) : fileIds(flags.file, flags, cx);
  return withStore(flags, cx, (client) =>
    oneByOne(ids, { verb: "delete", done: "deleted" }, cx, async (id) => {
      const outcome = await deleteResource(client, id);
      if (outcome.t !== "refused") return undefined;
      return outcome.code === "doesNotExist" && flags.skipNotExists ? undefined : outcome.message;
    }),
  );
}

function fileIds(file: string, flags: DeleteFlags, cx: CommandContext): ResourceId[] {
  if (flags.kind !== undefined) throw usage("delete takes -f FILE or a kind and names, not both");
  return readResources(file, flags.namespace, cx).map(({ kind, metadata: { name, namespace } }) => ({
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
  }));
}

function namedIds({ kind, names, namespace }: DeleteFlags): ResourceId[] {
  if (kind === undefined || names.length === 0) throw usage("delete needs a kind and a name, or -f FILE");
  const found = kindOfWord(kind);
  if (!found.ok) throw usage(found.error);
  return names.map((name) => {
    const fault = resourceNameFault(name);
    if (fault !== undefined) throw usage(`"${name}": ${fault}`);
    return { kind: found.value, name, ...(isNamespaced(found.value) && { namespace }) };
  });
}

function usage(message: string): PodloomError {
  return new PodloomError("PL_USAGE", message, {
    remedy: "Write for example: podloom delete ippool default-ipv4-ippool",
  });
}
