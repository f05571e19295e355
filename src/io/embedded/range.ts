import type { Mvcc } from "./mvcc.ts";
import { type KeyValue, type RangeOp, type RangeReply, SortOrder, SortTarget } from "./operations.ts";

type Order = (a: KeyValue, b: KeyValue) => number;

const ORDERS: Readonly<Record<number, Order>> = {
  [SortTarget.KEY]: (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  [SortTarget.VERSION]: (a, b) => a.version - b.version,
  [SortTarget.CREATE]: (a, b) => a.createRevision - b.createRevision,
  [SortTarget.MOD]: (a, b) => a.modRevision - b.modRevision,
  [SortTarget.VALUE]: (a, b) => Buffer.compare(a.value, b.value),
};

/** Are the sort fields among those that etcd defines? */
export function isSortKnown(op: RangeOp): boolean {
  return op.sortTarget in ORDERS && op.sortOrder >= SortOrder.NONE && op.sortOrder <= SortOrder.DESCEND;
}

/** Reads: range, then bounds, then sort, then limit. Refuses with COMPACTED or FUTURE_REVISION. */
export function range(mvcc: Mvcc, op: RangeOp): RangeReply {
  const bounded =
    op.minModRevision !== 0 ||
    op.maxModRevision !== 0 ||
    op.minCreateRevision !== 0 ||
    op.maxCreateRevision !== 0;
  // Without bounds and order the first keys are the answer; one more tells whether there is more. (A sort target without an
  // order sorts what the limit left: that is how etcd does it.)
  const early = op.limit > 0 && !bounded && op.sortOrder === SortOrder.NONE;
  const found = mvcc.range(op.span, op.revision, op.countOnly ? 1 : early ? op.limit + 1 : 0);
  const revision = mvcc.readRevision;
  if (op.countOnly) {
    return { t: "range", revision, kvs: [], keysOnly: false, more: false, count: found.count };
  }
  let kvs = bounded ? found.kvs.filter((kv) => inBounds(op, kv)) : found.kvs;
  sort(kvs, op);
  const more = op.limit > 0 && kvs.length > op.limit;
  if (more) kvs = kvs.slice(0, op.limit);
  return { t: "range", revision, kvs, keysOnly: op.keysOnly, more, count: found.count };
}

function inBounds(op: RangeOp, kv: KeyValue): boolean {
  return (
    (op.maxModRevision === 0 || kv.modRevision <= op.maxModRevision) &&
    (op.minModRevision === 0 || kv.modRevision >= op.minModRevision) &&
    (op.maxCreateRevision === 0 || kv.createRevision <= op.maxCreateRevision) &&
    (op.minCreateRevision === 0 || kv.createRevision >= op.minCreateRevision)
  );
}

/** Sorts in place. Equal elements stay in key order. */
function sort(kvs: KeyValue[], op: RangeOp): void {
  // They come in key order already.
  if (op.sortTarget === SortTarget.KEY && op.sortOrder !== SortOrder.DESCEND) return;
  const order = ORDERS[op.sortTarget] as Order;
  kvs.sort(op.sortOrder === SortOrder.DESCEND ? (a, b) => order(b, a) : order);
}
