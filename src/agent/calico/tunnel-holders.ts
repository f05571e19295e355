// The addresses of both tunnel devices, `tunl0` and `vxlan.calico`, behind one door.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { IpamAnswer } from "../../control/calico/ipam/ipam-messages.ts";
import type { NodeSpec } from "../../control/calico/resources.ts";
import type { Felix } from "./felix/felix.ts";
import { TunnelHolder, type TunnelHolderOptions } from "./tunnel-holder.ts";

export interface TunnelHoldersOptions extends Omit<TunnelHolderOptions, "kind" | "settled"> {
  /** Whose devices they are. */
  readonly felix: Felix;
}

export class TunnelHolders {
  readonly #ipip: TunnelHolder;
  readonly #vxlan: TunnelHolder;

  constructor({ felix, ...options }: TunnelHoldersOptions) {
    this.#ipip = new TunnelHolder({
      ...options,
      kind: "ipip",
      settled: (addr, now) => felix.setIpipTunnel(addr, now),
    });
    this.#vxlan = new TunnelHolder({
      ...options,
      kind: "vxlan",
      settled: (addr, now) => felix.setVxlanTunnel(addr, now),
    });
  }

  get isSettled(): boolean {
    return this.#ipip.isSettled && this.#vxlan.isSettled;
  }

  /** What the node's resource is to say. */
  addrs(): { readonly ipipTunnelAddr: Ipv4Addr | undefined; readonly vxlanTunnelAddr: Ipv4Addr | undefined } {
    return { ipipTunnelAddr: this.#ipip.addr, vxlanTunnelAddr: this.#vxlan.addr };
  }

  /** What the node's resource says at the start: addresses of an earlier life. */
  recall(spec: NodeSpec): void {
    this.#ipip.recall(spec.bgp?.ipv4IPIPTunnelAddr);
    this.#vxlan.recall(spec.ipv4VXLANTunnelAddr);
  }

  /** Goes on as far as it can. */
  work(now: Instant): void {
    this.#ipip.work(now);
    this.#vxlan.work(now);
  }

  /** Answers false when the request is somebody else's. */
  onIpam(request: number, answer: IpamAnswer, now: Instant): boolean {
    return this.#ipip.onIpam(request, answer, now) || this.#vxlan.onIpam(request, answer, now);
  }

  nextDeadline(): Instant {
    return Math.min(this.#ipip.nextDeadline(), this.#vxlan.nextDeadline());
  }
}
