import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import * as vxlan from "../wire/vxlan.ts";
import type { DatagramReceiver } from "./underlay.ts";
import type { VniTable, VxlanDevice } from "./vxlan.ts";

/** One UDP port that VXLAN is received on, and the devices behind it: their networks never see each other's frames. */
export class VxlanPort implements DatagramReceiver, VniTable {
  readonly #ctx: StackContext;
  readonly #byVni = new Map<number, VxlanDevice>();

  constructor(ctx: StackContext) {
    this.#ctx = ctx;
  }

  /** How many devices use the port; with none left, it may be closed. */
  get size(): number {
    return this.#byVni.size;
  }

  add(dev: VxlanDevice): Result<void, string> {
    const there = this.#byVni.get(dev.vni);
    if (there !== undefined && there !== dev) return err("File exists");
    this.#byVni.set(dev.vni, dev);
    dev.vnis = this;
    return ok(undefined);
  }

  /** Nothing happens when the device is not on this port. */
  del(dev: VxlanDevice): void {
    if (this.#byVni.get(dev.vni) !== dev) return;
    this.#byVni.delete(dev.vni);
    dev.vnis = undefined;
  }

  lookup(vni: number): VxlanDevice | undefined {
    return this.#byVni.get(vni);
  }

  /**
   * A datagram that arrived on the port. Takes ownership.
   *
   * @drops PKT_TOO_SMALL, VXLAN_INVALID_HDR, VXLAN_VNI_NOT_FOUND, and what {@link VxlanDevice.decapsulate} drops
   */
  receive(pkt: PacketBuffer, src: Ipv4Addr, _srcPort: number, now: Instant): void {
    const reason = vxlan.check(pkt.view, pkt.head, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) {
      this.#ctx.drop(pkt, reason, now);
      return;
    }
    const dev = this.#byVni.get(vxlan.vni(pkt.view, pkt.head));
    if (dev === undefined) {
      this.#ctx.drop(pkt, DropReason.VXLAN_VNI_NOT_FOUND, now);
      return;
    }
    dev.decapsulate(pkt, src, now);
  }
}
