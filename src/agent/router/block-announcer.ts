// The other way to let gateways know of pods: one component watches the store for nodes and their blocks and announces each block to
// the gateways by BGP, with the node that has it as the next hop. The nodes themselves need no session with the gateways.
import { formatPrefix, type Prefix } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import { L3Routes } from "../../control/calico/calc/l3-routes.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import type { RibPrefix } from "../../routing/bgp/rib/route.ts";
import type { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import { Family } from "../../wire/bgp/family.ts";

/** No node has this name: to nobody are the routes its own. */
const NOBODY = "";

export class BlockAnnouncer {
  readonly #speaker: Pick<BgpSpeaker, "originate" | "withdraw">;
  readonly #routes = new L3Routes(NOBODY);
  readonly #announced = new Set<string>();
  #inSync = false;

  constructor(speaker: Pick<BgpSpeaker, "originate" | "withdraw">) {
    this.#speaker = speaker;
  }

  /** What is announced, sorted. */
  announced(): string[] {
    return [...this.#announced].sort();
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t === "inSync") this.#inSync = true;
    else this.#routes.onUpdate(update);
  }

  /** Tells the speaker what has changed. Nothing before the store is known whole: half a table would withdraw the other half. */
  completeDeferredWork(now: Instant): void {
    if (!this.#inSync) return;
    const { replaced, deleted } = this.#routes.flush();
    for (const dst of deleted) this.#withdraw(dst, now);
    for (const { dst, nodeAddr, pool } of replaced) {
      if (pool.disableBgpExport) {
        this.#withdraw(dst, now);
        continue;
      }
      this.#announced.add(formatPrefix(dst));
      this.#speaker.originate({ prefix: ribPrefix(dst), nextHop: nodeAddr }, now);
    }
  }

  #withdraw(dst: Prefix, now: Instant): void {
    if (this.#announced.delete(formatPrefix(dst))) this.#speaker.withdraw(ribPrefix(dst), now);
  }
}

/** A prefix as the RIB has it. */
export function ribPrefix({ addr, len }: Prefix): RibPrefix {
  return { family: Family.IPV4_UNICAST, a: addr, b: 0, c: 0, d: 0, len };
}
