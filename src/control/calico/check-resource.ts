// Resources at the border: what a user has written (`checkResource`), what stands in the store (`readResource`), and the bytes that
// are written there (`emitResource`).
import { err, ok, type Result } from "../../base/result.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";
import { parseAnyCidr } from "./address-text.ts";
import type { ResourceId } from "./calico-keys.ts";
import { isPlainObject, type PlainObject, parsePlainJson } from "./plain-json.ts";
import { quoted } from "./quoted-text.ts";
import { isNamespaced, kindOfDocument } from "./resource-kinds.ts";
import { BLOCK_SIZE_DEFAULT, documentFaults, invariantFaults } from "./resource-rules.ts";
import { schemaOf } from "./resource-schemas.ts";
import {
  checkShape,
  emitShape,
  type FieldPath,
  type ResourceFault,
  type ShapeSource,
} from "./resource-shape.ts";
import type { CalicoKind, CalicoResource, IPPool } from "./resources.ts";

/** `IPPool default: spec.blockSize: IPv4 block size must be …`, as far as the document says what it is. */
export function formatFault(document: unknown, fault: ResourceFault): string {
  const { kind, metadata } = isPlainObject(document) ? document : { kind: undefined, metadata: undefined };
  const name = isPlainObject(metadata) ? metadata.name : undefined;
  const subject = [kind, name].filter((part) => typeof part === "string" && part !== "").join(" ");
  const path = formatPath(fault.path);
  return [subject, path, fault.message].filter((part) => part !== "").join(": ");
}

/** `spec.communities[0].value` */
export function formatPath(path: FieldPath): string {
  return path
    .map((part, i) =>
      typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${quoted(part).slice(1, -1)}`,
    )
    .join("");
}

/**
 * Checks a document that a user applies: a plain object, as JSON or YAML gives it. The answer is normalised and has Calico's
 * defaults; its `metadata.resourceVersion`, if any, says which state of the store it is meant to replace.
 */
export function checkResource(value: unknown): Result<CalicoResource, readonly ResourceFault[]> {
  if (!isPlainObject(value)) {
    return err([{ path: [], message: "must be a mapping with kind, apiVersion, metadata and spec" }]);
  }
  const kind =
    typeof value.kind === "string" ? kindOfDocument(value.kind) : err("must be set: IPPool, BGPPeer, …");
  if (!kind.ok) return err([{ path: ["kind"], message: kind.error }]);
  if (kind.value === "ClusterInformation") {
    return err([
      { path: ["kind"], message: "resource is readonly: calico/node is responsible for managing it" },
    ]);
  }
  const faults: ResourceFault[] = [];
  const resource = shaped(kind.value, value, "document", faults);
  // What fields hold together is worth saying only of fields that hold something.
  if (faults.length === 0) faults.push(...invariantFaults(resource), ...documentFaults(resource));
  return faults.length > 0 ? err(faults) : ok(withDefaults(resource));
}

/**
 * The documents of a list (`kind: IPPoolList` with `items`), which is what `calicoctl get -o yaml` prints, each with the way to it;
 * anything else is a document of its own.
 */
export function documentsOf(
  value: unknown,
): readonly { readonly path: FieldPath; readonly document: unknown }[] {
  const isList = isPlainObject(value) && typeof value.kind === "string" && value.kind.endsWith("List");
  if (!isList || !Array.isArray(value.items)) return [{ path: [], document: value }];
  return value.items.map((document: unknown, i) => ({ path: ["items", i], document }));
}

/** Reads a value of the store: whatever stands there. The error says what is wrong with it, not where. */
export function readResource(id: ResourceId, bytes: Uint8Array): Result<CalicoResource, string> {
  const text = decodeUtf8(bytes);
  if (text === undefined) return err("not UTF-8");
  const parsed = parsePlainJson(text);
  if (!parsed.ok) return err(parsed.error);
  if (!isPlainObject(parsed.value)) return err("not a JSON object");
  const faults: ResourceFault[] = [];
  const resource = shaped(id.kind, parsed.value, "store", faults);
  if (faults.length === 0) faults.push(...invariantFaults(resource), ...identityFaults(id, resource));
  return faults.length > 0 ? err(sumUp(faults)) : ok(resource);
}

/** The bytes that Calico would store. A resource that was read keeps the fields that nobody knows, and its numbers' text. */
export function emitResource(resource: CalicoResource): Uint8Array<ArrayBuffer> {
  // Neither is ever stored: the one is the key's revision, the other is unused.
  const metadata = { ...resource.metadata, resourceVersion: undefined, selfLink: undefined };
  return encodeUtf8(emitShape(schemaOf(resource.kind), { ...resource, metadata }));
}

function shaped(
  kind: CalicoKind,
  value: PlainObject,
  source: ShapeSource,
  faults: ResourceFault[],
): CalicoResource {
  // A resource that sets nothing may leave its spec out; Go finds one whatever its case.
  const hasSpec = Object.keys(value).some((key) => key.toLowerCase() === "spec" && isPlainObject(value[key]));
  const given = hasSpec ? value : { ...value, spec: value.spec ?? {} };
  const whole = checkShape(schemaOf(kind), given, [], source, faults) as PlainObject;
  if (isNamespaced(kind) || !isPlainObject(whole.metadata)) return whole as unknown as CalicoResource;
  // Calico's client drops the namespace of a cluster-scoped resource.
  const { namespace: _, ...metadata } = whole.metadata;
  return { ...whole, metadata } as unknown as CalicoResource;
}

/** A value that says to be another resource than its key must not be taken for either. */
function identityFaults(id: ResourceId, { metadata }: CalicoResource): readonly ResourceFault[] {
  const faults: ResourceFault[] = [];
  if (metadata.name !== id.name) {
    faults.push({
      path: ["metadata", "name"],
      message: `is ${quoted(metadata.name)}, the key says ${quoted(id.name)}`,
    });
  }
  if (metadata.namespace !== id.namespace) {
    const message = `is ${quoted(metadata.namespace ?? "")}, the key says ${quoted(id.namespace ?? "")}`;
    faults.push({ path: ["metadata", "namespace"], message });
  }
  return faults;
}

const SAID_MAX = 3;

function sumUp(faults: readonly ResourceFault[]): string {
  const said = faults.slice(0, SAID_MAX).map((fault) => `${formatPath(fault.path)}: ${fault.message}`);
  const more = faults.length - said.length;
  return more > 0 ? `${said.join("; ")}; and ${more} more` : said.join("; ");
}

function withDefaults(resource: CalicoResource): CalicoResource {
  return resource.kind === "IPPool" ? withPoolDefaults(resource) : resource;
}

/** What Calico's client fills in before it writes a pool. */
export function withPoolDefaults(pool: IPPool): IPPool {
  const { spec } = pool;
  const family = parseAnyCidr(spec.cidr)?.family ?? 4;
  const uses = spec.allowedUses ?? [];
  return {
    ...pool,
    spec: {
      ...spec,
      vxlanMode: spec.vxlanMode ?? "Never",
      ipipMode: spec.ipipMode ?? "Never",
      blockSize: spec.blockSize ?? BLOCK_SIZE_DEFAULT[family],
      nodeSelector: spec.nodeSelector ?? "all()",
      allowedUses: uses.length > 0 ? uses : ["Workload", "Tunnel"],
      assignmentMode: spec.assignmentMode ?? "Automatic",
    },
  };
}
