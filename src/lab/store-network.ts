// What a lab's pod network has in the store, whichever network it is: written before the nodes start, and read to judge them.
import { type EtcdTransport, StoreError } from "../io/etcd/etcd-transport.ts";
import type { LabStatus } from "./lab-protocol.ts";

/** What nodes are compared with. */
export type StoreSubnets = Pick<LabStatus, "storeLeases" | "storeOptional">;

/** A pod network's part of the store. Every call rejects with a StoreError when the store does not answer. */
export interface StoreNetwork {
  /**
   * Writes the configuration before the nodes start.
   *
   * @param force replace a different one that a store has which was there before us
   * @throws PodloomError PL_CONFIG_FOREIGN
   */
  configure(transport: EtcdTransport, force: boolean): Promise<void>;
  /** Writes what is no longer there: our own store was started again, and may have lost its data. */
  configureAgain(transport: EtcdTransport): Promise<void>;
  /** What stands there now. */
  subnets(transport: EtcdTransport): Promise<StoreSubnets>;
}

/** Tries again a few times what failed because the store was not there yet. Only for what may safely be done twice. */
export async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (thrown) {
      const again =
        thrown instanceof StoreError && (thrown.reason === "unavailable" || thrown.reason === "timeout");
      if (!again || attempt === 4) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    }
  }
}

/** Do two JSON texts say the same? The order of keys does not matter. */
export function sameJson(a: string, b: string): boolean {
  try {
    return canonical(JSON.parse(a)) === canonical(JSON.parse(b));
  } catch {
    return a === b;
  }
}

/** A value as JSON with its keys in order: equal texts are equal values. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(",")}}`;
}
