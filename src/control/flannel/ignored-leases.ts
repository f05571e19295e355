// The keys that a watcher has read and reports to nobody, for good reason: a value that makes no sense, host bits in the
// key, a subnet that overlaps this node's own, this node's own address. Kept so that whoever compares the node with the
// store can tell a lease that is ignored from one that has not arrived.
import type { Prefix } from "../../base/ipv4-addr.ts";
import { parseSubnetKey } from "./subnet-key.ts";

export class IgnoredLeases {
  readonly #byKey = new Map<string, Prefix>();
  #version = 0;

  /** Grows with each change. */
  get version(): number {
    return this.#version;
  }

  /** Notes a key. One that names no subnet is no lease, and so none that is ignored. */
  add(key: string): void {
    const subnet = parseSubnetKey(key)?.subnet;
    if (subnet === undefined || this.#byKey.has(key)) return;
    this.#byKey.set(key, subnet);
    this.#version++;
  }

  /** The key is gone, or it is good now. */
  delete(key: string): void {
    if (this.#byKey.delete(key)) this.#version++;
  }

  /** Forgets every key that is not in `present`. */
  keep(present: ReadonlySet<string>): void {
    for (const key of this.#byKey.keys()) if (!present.has(key)) this.delete(key);
  }

  /** Subnets of the keys, host bits cleared; the same one twice when two keys name it. */
  subnets(): Prefix[] {
    return [...this.#byKey.values()];
  }
}
