// Calico's keys in etcd, to the byte. Specs on Calico §1.1:
//   /calico/resources/v3/projectcalico.org/<plural>/<name>             cluster-scoped
//   /calico/resources/v3/projectcalico.org/<plural>/<namespace>/<name> namespaced
// Those of IPAM are in ipam/ipam-keys.ts.
import { type KeyRange, prefixEnd } from "../datastore/messages.ts";
import { isNamespaced, kindOfPlural, pluralOf } from "./resource-kinds.ts";
import type { CalicoKind } from "./resources.ts";

const RESOURCES = "/calico/resources/v3/projectcalico.org/";

/** What names a resource. `namespace` is that of a namespaced kind, and of no other. */
export interface ResourceId {
  readonly kind: CalicoKind;
  readonly name: string;
  readonly namespace?: string;
}

/** A name that may stand in a key: anything else could name somebody else's key. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME_LENGTH_MAX = 253;

/** Why `name` cannot be a resource's name, in Calico's words. */
export function resourceNameFault(name: string): string | undefined {
  if (name === "") return "field must be set: give the resource a name";
  if (name.length > NAME_LENGTH_MAX) return `name is too long by ${name.length - NAME_LENGTH_MAX} bytes`;
  if (!NAME.test(name)) return "name must consist of lower case alphanumeric characters, '-' or '.'";
  return undefined;
}

export function emitResourceKey(id: ResourceId): string {
  const { kind, name, namespace } = id;
  const folder = isNamespaced(kind) ? `${pluralOf(kind)}/${namespace ?? ""}` : pluralOf(kind);
  return `${RESOURCES}${folder}/${name}`;
}

/** What a key names. Undefined: no resource, or of a kind that we do not read. */
export function parseResourceKey(key: string): ResourceId | undefined {
  if (!key.startsWith(RESOURCES)) return undefined;
  const parts = key.slice(RESOURCES.length).split("/");
  const kind = kindOfPlural(parts[0] as string);
  if (kind === undefined) return undefined;
  const [first, second] = parts.slice(1);
  if (isNamespaced(kind)) {
    return parts.length === 3 && first && second ? { kind, name: second, namespace: first } : undefined;
  }
  return parts.length === 2 && first ? { kind, name: first } : undefined;
}

/** All resources of a kind, or of a kind in one namespace. */
export function kindRange(kind: CalicoKind, namespace?: string): KeyRange {
  const inOne = isNamespaced(kind) && namespace !== undefined && namespace !== "";
  return rangeOfPrefix(`${RESOURCES}${pluralOf(kind)}/${inOne ? `${namespace}/` : ""}`);
}

/** Everything that configures the network: all resources that sort before the endpoints, which are by far the most. */
export function configurationRange(): KeyRange {
  return { key: RESOURCES, rangeEnd: `${RESOURCES}${pluralOf("WorkloadEndpoint")}/` };
}

function rangeOfPrefix(key: string): KeyRange {
  return { key, rangeEnd: prefixEnd(key) };
}
