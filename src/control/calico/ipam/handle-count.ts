// The count that a handle keeps of its addresses, by block: how they are found again when the handle is released. It is raised
// before the block is written and lowered after, so that a crash in between leaves a handle that counts too many, never an
// address that no handle knows. A write whose outcome stays unknown is therefore taken for the one that counts more.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import type { KeyValue } from "../../datastore/messages.ts";
import { CAS_TRIES, tooManyTries } from "./ipam-context.ts";
import { handleKey } from "./ipam-keys.ts";
import { emitHandle, type IpamHandle, parseHandle } from "./ipam-values.ts";
import { createKey, deleteKey, getKey, IpamFault, type Steps, updateKey, type Write } from "./store-steps.ts";

export function readHandle(kv: KeyValue): IpamHandle {
  const handle = parseHandle(kv.value);
  if (!handle.ok) throw new IpamFault("corrupt", `${kv.key} cannot be used: ${handle.error}`);
  return handle.value;
}

/** Counts `count` addresses more in a block. */
export function* incrementHandle(handle: string, cidr: Prefix, count: number): Steps<void> {
  const name = formatPrefix(cidr);
  for (let i = 0; i < CAS_TRIES; i++) {
    const kv = yield* getKey(handleKey(handle));
    const counts = kv === undefined ? new Map<string, number>() : new Map(readHandle(kv));
    counts.set(name, (counts.get(name) ?? 0) + count);
    const text = emitHandle(counts);
    const write: Write = yield* kv === undefined ? createKey(handleKey(handle), text) : updateKey(kv, text);
    if (write.t === "done") return;
  }
  throw tooManyTries(`handle ${handle}`);
}

/** Counts `count` addresses fewer in a block; "all": the block has none of its addresses any more. At none, the handle goes. */
export function* decrementHandle(handle: string, cidr: Prefix, count: number | "all"): Steps<void> {
  const name = formatPrefix(cidr);
  for (let i = 0; i < CAS_TRIES; i++) {
    const kv = yield* getKey(handleKey(handle));
    if (kv === undefined) return;
    const counts = new Map(readHandle(kv));
    const left = count === "all" ? 0 : (counts.get(name) ?? 0) - count;
    if (left > 0) counts.set(name, left);
    else counts.delete(name);
    const write: Write = yield* counts.size === 0 ? deleteKey(kv) : updateKey(kv, emitHandle(counts));
    if (write.t === "done" || (write.unsure && count !== "all")) return;
  }
  throw tooManyTries(`handle ${handle}`);
}
