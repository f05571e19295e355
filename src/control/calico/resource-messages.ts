// What is asked of the resources in the store, and what comes of it. The engine is `resource-writer.ts`.
import type { StoreOp } from "../datastore/messages.ts";
import type { LogOutput } from "../log.ts";
import type { ResourceId } from "./calico-keys.ts";
import type { ResourceFault } from "./resource-shape.ts";
import type { CalicoKind, CalicoResource } from "./resources.ts";

export interface StoredResource {
  readonly resource: CalicoResource;
  readonly modRevision: number;
}

export type ResourceRequest =
  /**
   * `apply`: create it, or replace it as `update` does. Its `metadata.resourceVersion`, if it has one, must be the present one;
   * without, a conflict is retried. Labels, annotations and spec become the document's; uid, creation time and status stay.
   */
  | { readonly t: "create" | "update" | "apply"; readonly resource: CalicoResource }
  /**
   * Reads, changes and writes back, again if somebody else was faster. `change` is given undefined when there is none, and
   * answers undefined to leave things as they are.
   */
  | {
      readonly t: "edit";
      readonly id: ResourceId;
      readonly change: (current: CalicoResource | undefined) => CalicoResource | undefined;
    }
  /** @param modRevision only if the resource still is the one of this revision */
  | { readonly t: "delete"; readonly id: ResourceId; readonly modRevision?: number }
  | { readonly t: "get"; readonly id: ResourceId }
  | { readonly t: "list"; readonly kind: CalicoKind; readonly namespace?: string };

export type ResourceErrorCode =
  | "alreadyExists"
  | "doesNotExist"
  | "updateConflict"
  /** Calico would not write it; `faults` say why. */
  | "invalid"
  /** What stands in the store cannot be read. */
  | "corrupt"
  /** The store refuses, or did not answer in time: then nobody knows whether it was done. */
  | "unavailable";

export type ResourceOutcome =
  /** `change` none: it already was so, and nothing was written. */
  | {
      readonly t: "written";
      readonly change: "created" | "updated" | "none";
      readonly stored: StoredResource;
    }
  | { readonly t: "deleted"; readonly id: ResourceId }
  | { readonly t: "found"; readonly stored: StoredResource }
  /** In order of name. What cannot be read is left out, and logged. */
  | { readonly t: "listed"; readonly stored: readonly StoredResource[]; readonly revision: number }
  | {
      readonly t: "refused";
      readonly code: ResourceErrorCode;
      readonly message: string;
      readonly faults: readonly ResourceFault[];
    };

export type ResourceOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** Ends the request of this number. */
  | { readonly t: "done"; readonly request: number; readonly outcome: ResourceOutcome }
  | LogOutput;
