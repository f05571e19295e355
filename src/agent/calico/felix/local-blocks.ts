// A blackhole for each block that this node owns and whose pool's routes are Felix's: an address that no pod has ends here, and does not
// go round in circles. For the other pools BIRD has them. Specs on Calico §2.2.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import { type Pool, PoolTable } from "../../../control/calico/calc/pool-table.ts";
import type { CalicoUpdate } from "../../../control/calico/calico-updates.ts";
import type { IPPool } from "../../../control/calico/resources.ts";
import type { RouteTable } from "../../route-table.ts";

export class LocalBlocks {
  readonly #routes: RouteTable;
  readonly #programs: (pool: Pool) => boolean;
  readonly #pools = new PoolTable();
  readonly #blocks = new Map<string, Prefix>();
  readonly #installed = new Map<string, Prefix>();
  #dirty = false;
  /** Grows with every change of {@link blocks}. */
  version = 0;

  /** @param programs are the routes of this pool Felix's? */
  constructor(routes: RouteTable, programs: (pool: Pool) => boolean) {
    this.#routes = routes;
    this.#programs = programs;
  }

  /** Which pools are Felix's may have changed. */
  refresh(): void {
    this.#dirty = true;
  }

  /** Every block that this node owns or is about to give up. */
  blocks(): readonly Prefix[] {
    return [...this.#blocks.values()];
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "affinity") {
      const key = formatPrefix(update.cidr);
      if (update.value === undefined || update.value === "pending") this.#blocks.delete(key);
      else this.#blocks.set(key, update.cidr);
      this.version++;
      this.#dirty = true;
    } else if (update.t === "resource" && update.kind === "IPPool") {
      this.#pools.replace(update.name, update.value as IPPool | undefined);
      this.#dirty = true;
    }
  }

  completeDeferredWork(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    for (const [key, cidr] of this.#installed) {
      if (this.#isWanted(key, cidr)) continue;
      this.#installed.delete(key);
      this.#routes.del({ dst: cidr });
    }
    for (const [key, cidr] of this.#blocks) {
      if (this.#installed.has(key) || !this.#isWanted(key, cidr)) continue;
      this.#installed.set(key, cidr);
      this.#routes.replace({ dst: cidr, type: "blackhole", proto: "felix" });
    }
  }

  /** A block of one address is the pod's own route. */
  #isWanted(key: string, cidr: Prefix): boolean {
    if (cidr.len === 32 || !this.#blocks.has(key)) return false;
    const pool = this.#pools.lookup(cidr);
    return pool !== undefined && this.#programs(pool);
  }
}
