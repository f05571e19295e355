// `podloom get KIND [NAME…]`: Calico's resources as calicoctl shows them.

import { stringify } from "yaml";
import { decodeUtf8 } from "../base/utf8.ts";
import { resourceNameFault } from "../control/calico/calico-keys.ts";
import { emitResource } from "../control/calico/check-resource.ts";
import { resourceTable } from "../control/calico/resource-columns.ts";
import { isNamespaced } from "../control/calico/resource-kinds.ts";
import type { StoredResource } from "../control/calico/resource-messages.ts";
import type { CalicoKind, CalicoResource, ResourceOf } from "../control/calico/resources.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { type CalicoClient, refusal } from "../lab/calico-client.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import type { ResourceFormat } from "./output-format.ts";
import { tableLines } from "./table.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** The flags of `get` for a kind of Calico's, read. */
export interface GetResourcesFlags extends WhichStore {
  readonly names: readonly string[];
  readonly format: ResourceFormat;
  readonly namespace: string;
  readonly allNamespaces: boolean;
  /** Leave out what is of this store: uid, creation time, revision. */
  readonly export: boolean;
}

/** Runs the command. Answers the exit code. */
export function getResources(
  kind: CalicoKind,
  flags: GetResourcesFlags,
  cx: CommandContext,
): Promise<number> {
  return withStore(flags, cx, async (client) => {
    const found =
      flags.names.length === 0 ? await listed(kind, flags, client) : await named(kind, flags, client);
    const { format } = flags;
    if (format.t !== "table") {
      const value = documentOf(kind, found, flags);
      if (format.t === "json") cx.terminal.print(JSON.stringify(value, null, 2));
      else cx.terminal.print(stringify(value, { sortMapEntries: true }).trimEnd());
      return ExitCode.DONE;
    }
    const table = resourceTable(kind, resourcesOf(kind, found), {
      wide: format.wide,
      ...(format.columns === undefined ? {} : { headings: format.columns }),
      allNamespaces: flags.allNamespaces,
      ...(await clusterAs(kind, client)),
    });
    if (!table.ok) {
      throw new PodloomError("PL_USAGE", table.error, { remedy: "Headings are written in capitals." });
    }
    const { headings, rows } = table.value;
    for (const line of tableLines(headings, rows)) cx.terminal.print(line);
    return ExitCode.DONE;
  });
}

function listed(
  kind: CalicoKind,
  { namespace, allNamespaces }: GetResourcesFlags,
  client: CalicoClient,
): Promise<readonly StoredResource[]> {
  const one = isNamespaced(kind) && !allNamespaces;
  return one ? client.list(kind, namespace) : client.list(kind);
}

async function named(
  kind: CalicoKind,
  { names, namespace, allNamespaces }: GetResourcesFlags,
  client: CalicoClient,
): Promise<StoredResource[]> {
  const found: StoredResource[] = [];
  for (const name of names) {
    const fault = resourceNameFault(name);
    if (fault !== undefined || allNamespaces) {
      const message = fault === undefined ? "a name and -A do not go together" : `"${name}": ${fault}`;
      throw new PodloomError("PL_USAGE", message, {
        remedy: "Write for example: podloom get ippool default",
      });
    }
    const id = { kind, name, ...(isNamespaced(kind) && { namespace }) };
    const outcome = await client.request({ t: "get", id });
    if (outcome.t !== "found") throw refusal(outcome);
    found.push(outcome.stored);
  }
  return found;
}

function resourcesOf<K extends CalicoKind>(_: K, found: readonly StoredResource[]): ResourceOf<K>[] {
  return found.map(({ resource }) => resource as ResourceOf<K>);
}

/** The AS of nodes that name none, which `get nodes -o wide` puts in brackets. */
async function clusterAs(kind: CalicoKind, client: CalicoClient): Promise<{ readonly asNumber?: number }> {
  if (kind !== "Node") return {};
  const outcome = await client.request({ t: "get", id: { kind: "BGPConfiguration", name: "default" } });
  const config: CalicoResource | undefined = outcome.t === "found" ? outcome.stored.resource : undefined;
  const asNumber = config?.kind === "BGPConfiguration" ? config.spec.asNumber : undefined;
  return asNumber === undefined ? {} : { asNumber };
}

/** One resource that was named is itself; any other answer is a list, which `apply` takes, too. */
function documentOf(kind: CalicoKind, found: readonly StoredResource[], flags: GetResourcesFlags): unknown {
  const items = found.map((stored) => plain(stored, flags.export));
  if (flags.names.length === 1) return items[0];
  return { kind: `${kind}List`, apiVersion: "projectcalico.org/v3", metadata: {}, items };
}

function plain({ resource, modRevision }: StoredResource, isExport: boolean): unknown {
  const value = JSON.parse(decodeUtf8(emitResource(resource)) ?? "") as { metadata: Record<string, unknown> };
  if (!isExport) return { ...value, metadata: { ...value.metadata, resourceVersion: String(modRevision) } };
  const { uid: _, creationTimestamp: __, ...metadata } = value.metadata;
  return { ...value, metadata };
}
