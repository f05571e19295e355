// The transactions by which a subnet's key changes hands. Read specs on etcd §4 (claim) first.
import type { Prefix } from "../../base/ipv4-addr.ts";
import type { Compare, KeyValue, LeaseId, StoreOp, TxnReply } from "../datastore/messages.ts";
import { emitSubnetKey, subnetsRange } from "./subnet-key.ts";

/**
 * A subnet to claim. `fresh`: its key must not exist. `seen`: its key must hold `seen` still. `force`: whatever it holds,
 * as flanneld does it.
 */
export type Claim =
  | { readonly kind: "fresh"; readonly subnet: Prefix }
  | { readonly kind: "seen" | "force"; readonly subnet: Prefix; readonly seen: KeyValue };

/** A claim on a key that exists, or its removal because it does not suit the configuration. */
export type Seize = Extract<Claim, { readonly kind: "seen" | "force" }> & { readonly remove: boolean };

/** The transaction of a claim. Its failure branch answers with the list, so that the next try needs no further read. */
export function claimTxn(
  id: number,
  prefix: string,
  claim: Claim,
  value: Uint8Array,
  lease: LeaseId,
): StoreOp {
  const key = emitSubnetKey(prefix, claim.subnet);
  const absent: Compare = { key, target: "create", op: "equal", operand: 0 };
  return {
    t: "txn",
    id,
    compares: claim.kind === "fresh" ? [absent] : claim.kind === "seen" ? [modIs(claim.seen)] : [],
    success: [
      { t: "put", key, value, lease },
      { t: "range", range: { key, rangeEnd: undefined } },
    ],
    failure: [{ t: "range", range: subnetsRange(prefix) }],
  };
}

/** The transaction that deletes a key, if it holds `seen` still, or in any case. */
export function removeTxn(id: number, seen: KeyValue, force: boolean): StoreOp {
  return {
    t: "txn",
    id,
    compares: force ? [] : [modIs(seen)],
    success: [{ t: "delete", range: { key: seen.key, rangeEnd: undefined } }],
    failure: [],
  };
}

function modIs(kv: KeyValue): Compare {
  return { key: kv.key, target: "mod", op: "equal", operand: kv.modRevision };
}

/** The keys of the last range among a transaction's replies. */
export function rangeReply(replies: readonly TxnReply[]): readonly KeyValue[] | undefined {
  return replies.findLast((reply) => reply.t === "range")?.kvs;
}
