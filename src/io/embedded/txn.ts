// The rules of a transaction, in etcd's order: check() looks at the request alone, decide() evaluates every compare on the
// state before the transaction, validate() refuses what could fail, and only then does the store apply. So a refused
// transaction has changed nothing.

import { NO_LEASE } from "../../control/datastore/messages.ts";
import { type ByteKey, KEYSPACE_END, type Span, spanContains } from "./byte-key.ts";
import { Refused, refuse } from "./errors.ts";
import type { Lessor } from "./lessor.ts";
import type { Mvcc } from "./mvcc.ts";
import {
  type CompareOp,
  CompareResult,
  CompareTarget,
  type KeyValue,
  type PutOp,
  type RequestOp,
  type TxnOp,
} from "./operations.ts";

/**
 * Refuses a request whose shape is wrong, whatever the state.
 * @param opsMax operations on one level; what a level uses is not there for the levels below it
 */
export function checkTxn(txn: TxnOp, opsMax: number): void {
  const ops = Math.max(txn.compares.length, txn.success.length, txn.failure.length);
  if (ops > opsMax) refuse(Refused.TOO_MANY_OPS);
  for (const compare of txn.compares) if (compare.span.key === "") refuse(Refused.EMPTY_KEY);
  for (const op of txn.success) checkOp(op, opsMax - ops);
  for (const op of txn.failure) checkOp(op, opsMax - ops);
}

/** Refuses puts of one key twice, and of a key that the same transaction deletes. Comes after {@link checkTxn}. */
export function checkOverlaps(txn: TxnOp): void {
  collectWrites(txn.success);
  collectWrites(txn.failure);
}

/** Refuses an operation whose shape is wrong. @param opsMax for a nested transaction */
export function checkOp(op: RequestOp, opsMax: number): void {
  switch (op.t) {
    case "range":
    case "delete":
      if (op.span.key === "") refuse(Refused.EMPTY_KEY);
      return;
    case "put":
      if (op.key === "") refuse(Refused.EMPTY_KEY);
      if (op.ignoreValue && op.value.length !== 0) refuse(Refused.VALUE_PROVIDED);
      if (op.ignoreLease && op.lease !== NO_LEASE) refuse(Refused.LEASE_PROVIDED);
      return;
    case "txn":
      checkTxn(op, opsMax);
      return;
    case "empty":
      refuse(Refused.KEY_NOT_FOUND);
  }
}

interface Writes {
  readonly puts: Set<ByteKey>;
  readonly deletes: Span[];
}

function collectWrites(ops: readonly RequestOp[]): Writes {
  const puts = new Set<ByteKey>();
  const deletes: Span[] = [];
  for (const op of ops) if (op.t === "delete") deletes.push(op.span);
  for (const op of ops) {
    if (op.t !== "txn") continue;
    const success = collectWrites(op.success);
    const failure = collectWrites(op.failure);
    const before = new Set(puts);
    // The two branches exclude each other, so they may write the same key.
    for (const key of success.puts) addPut(key, before, puts, deletes);
    for (const key of failure.puts) addPut(key, before, puts, deletes);
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const op of ops) if (op.t === "put") addPut(op.key, puts, puts, deletes);
  return { puts, deletes };
}

function addPut(
  key: ByteKey,
  taken: ReadonlySet<ByteKey>,
  puts: Set<ByteKey>,
  deletes: readonly Span[],
): void {
  if (taken.has(key) || deletes.some((span) => overlaps(span, key))) refuse(Refused.DUPLICATE_KEY);
  puts.add(key);
}

/**
 * Does a delete overlap the put of `key`? As etcd sees it: a delete "from this key on" has the literal range_end "\0" in
 * this check, so that it overlaps nothing, and the operations apply in their order. A client that does so must get the same.
 */
function overlaps(span: Span, key: ByteKey): boolean {
  return span.end !== KEYSPACE_END && spanContains(span, key);
}

/** Which branch each transaction takes, outer before inner, in the order in which they are reached. */
export function decide(mvcc: Mvcc, txn: TxnOp, path: boolean[] = []): boolean[] {
  const succeeded = txn.compares.every((compare) => holds(mvcc, compare));
  path.push(succeeded);
  for (const op of succeeded ? txn.success : txn.failure) if (op.t === "txn") decide(mvcc, op, path);
  return path;
}

/** Walks the operations that `path` selects. */
function forEachChosen(txn: TxnOp, path: readonly boolean[], visit: (op: RequestOp) => void): void {
  walk(txn, path, 0, visit);
}

function walk(txn: TxnOp, path: readonly boolean[], at: number, visit: (op: RequestOp) => void): number {
  let next = at + 1;
  for (const op of path[at] === true ? txn.success : txn.failure) {
    if (op.t === "txn") next = walk(op, path, next, visit);
    else visit(op);
  }
  return next;
}

/** Refuses what would fail while the chosen operations are applied. Puts first, then reads, as etcd does. */
export function validate(mvcc: Mvcc, lessor: Lessor, txn: TxnOp, path: readonly boolean[]): void {
  forEachChosen(txn, path, (op) => {
    if (op.t === "put") validatePut(mvcc, lessor, op);
  });
  forEachChosen(txn, path, (op) => {
    // Unlike in a plain read, a negative revision is not "now" here: etcd compares it as it is.
    if (op.t !== "range" || op.revision === 0) return;
    if (op.revision > mvcc.revision) refuse(Refused.FUTURE_REVISION);
    if (op.revision < mvcc.compactRevision) refuse(Refused.COMPACTED);
  });
}

function validatePut(mvcc: Mvcc, lessor: Lessor, op: PutOp): void {
  if ((op.ignoreValue || op.ignoreLease) && mvcc.get(op.key) === undefined) refuse(Refused.KEY_NOT_FOUND);
  if (op.lease !== NO_LEASE && !lessor.has(op.lease)) refuse(Refused.LEASE_NOT_FOUND);
}

/** Does the compare hold for every key of its range? Of an empty range, values never compare and the rest is 0. */
function holds(mvcc: Mvcc, compare: CompareOp): boolean {
  if (compare.span.end === undefined) return compareKey(compare, mvcc.get(compare.span.key));
  const { kvs } = mvcc.range(compare.span, 0, 0);
  if (kvs.length === 0) return compareKey(compare, undefined);
  return kvs.every((kv) => compareKey(compare, kv));
}

function compareKey(compare: CompareOp, kv: KeyValue | undefined): boolean {
  if (kv === undefined && compare.target === CompareTarget.VALUE) return false;
  const order = orderOf(compare, kv);
  switch (compare.result) {
    case CompareResult.EQUAL:
      return order === 0;
    case CompareResult.NOT_EQUAL:
      return order !== 0;
    case CompareResult.GREATER:
      return order > 0;
    case CompareResult.LESS:
      return order < 0;
    default:
      return true;
  }
}

/** Negative when what the store has is less than the operand. */
function orderOf(compare: CompareOp, kv: KeyValue | undefined): number {
  switch (compare.target) {
    case CompareTarget.VERSION:
      return (kv?.version ?? 0) - compare.number;
    case CompareTarget.CREATE:
      return (kv?.createRevision ?? 0) - compare.number;
    case CompareTarget.MOD:
      return (kv?.modRevision ?? 0) - compare.number;
    case CompareTarget.VALUE:
      return kv === undefined ? 0 : Buffer.compare(kv.value, compare.value);
    case CompareTarget.LEASE: {
      const lease = kv?.lease ?? NO_LEASE;
      if (lease === compare.lease) return 0;
      return BigInt(lease) < BigInt(compare.lease) ? -1 : 1;
    }
    default:
      return 0;
  }
}
