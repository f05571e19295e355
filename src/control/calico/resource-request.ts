// Requests to the resource writer: what they are about, and those that belong together.
import { SEC_US } from "../../base/time.ts";
import { type ResourceId, resourceNameFault } from "./calico-keys.ts";
import { isNamespaced } from "./resource-kinds.ts";
import type { ResourceRequest } from "./resource-messages.ts";
import type { ResourceFault } from "./resource-shape.ts";

/** Deleting a pool: disable it, wait so long for addresses that are being assigned, release its affinities, delete it. */
export const POOL_DRAIN_US = SEC_US / 2;

/** The first step of deleting a pool: nobody gets an address from it any more. */
export function disablePool(name: string): ResourceRequest {
  return {
    t: "edit",
    id: { kind: "IPPool", name },
    change: (pool) =>
      pool?.kind === "IPPool" && pool.spec.disabled !== true
        ? { ...pool, spec: { ...pool.spec, disabled: true } }
        : undefined,
  };
}

/** What Calico's texts call a resource: `IPPool(default)`, `WorkloadEndpoint(shop/web)`. */
export function formatId(id: ResourceId): string {
  return `${id.kind}(${id.namespace === undefined ? "" : `${id.namespace}/`}${id.name})`;
}

/** The one resource that a request is about. */
export function idOf(request: ResourceRequest): ResourceId | undefined {
  switch (request.t) {
    case "list":
      return undefined;
    case "create":
    case "update":
    case "apply": {
      const { kind, metadata } = request.resource;
      const { name, namespace } = metadata;
      return namespace === undefined || !isNamespaced(kind) ? { kind, name } : { kind, name, namespace };
    }
    default:
      return request.id;
  }
}

/** A name may come straight from a command line, and must not lead to another key. */
export function identityFault(id: ResourceId): ResourceFault | undefined {
  const name = resourceNameFault(id.name);
  if (name !== undefined) return { path: ["metadata", "name"], message: name };
  if (!isNamespaced(id.kind)) return undefined;
  const message =
    id.namespace === undefined
      ? "namespace is not specified on namespaced resource"
      : resourceNameFault(id.namespace);
  return message === undefined ? undefined : { path: ["metadata", "namespace"], message };
}
