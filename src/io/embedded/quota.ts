// What a request may add to the store, as etcd reckons it before it lets the request through.
import type { PutOp, TxnOp } from "./operations.ts";

/** What a put costs beside its key and value. */
const PUT_OVERHEAD_BYTES = 256;

/** What a lease costs. */
export const LEASE_COST_BYTES = 64;

export function putCost(op: PutOp): number {
  return PUT_OVERHEAD_BYTES + op.key.length + op.value.length;
}

/** The dearer branch of a transaction; 0 when neither puts. Nested ones count nothing, as in etcd. */
export function txnCost(op: TxnOp): number {
  let success = 0;
  let failure = 0;
  for (const inner of op.success) if (inner.t === "put") success += putCost(inner);
  for (const inner of op.failure) if (inner.t === "put") failure += putCost(inner);
  return Math.max(success, failure);
}
