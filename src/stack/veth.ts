import { assert } from "../base/assert.ts";
import { DropReason } from "../base/drop-reason.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import { type DeviceKind, isForwardable, NetDevice } from "./net-device.ts";
import { type PacketBuffer, PacketType } from "./packet-buffer.ts";
import type { StackContext } from "./stack-context.ts";

/** One end of a virtual cable. Made in pairs by {@link vethPair}. */
export class Veth extends NetDevice {
  override readonly kind: DeviceKind = "veth";
  #peer: Veth | undefined = undefined;

  /** The other end; undefined once the pair is deleted. */
  get peer(): Veth | undefined {
    return this.#peer;
  }

  /** The cable has a signal when both ends are up. */
  override get carrier(): boolean {
    return this.up && this.#peer !== undefined && this.#peer.up;
  }

  /** Plugs the cable in; only {@link vethPair} does. */
  connect(peer: Veth): void {
    assert(this.#peer === undefined && peer !== this, "a veth has one peer, and not itself");
    this.#peer = peer;
  }

  /** The peer's carrier changes with this end's `up`, so its namespace and its bridge are told as well. */
  override stateChanged(now: Instant): void {
    super.stateChanged(now);
    const peer = this.#peer;
    if (peer === undefined) return;
    peer.checkCarrier(now);
    if (peer.master !== undefined) peer.master.portChanged(peer, now);
  }

  /** Deleting one end deletes the other, in whatever namespace it is. */
  override dispose(now: Instant): void {
    super.dispose(now);
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#peer = undefined;
    peer.#peer = undefined;
    if (peer.home !== undefined) peer.home.delDevice(peer, now);
    else peer.dispose(now);
  }

  /**
   * Hands the frame, or a super-packet whole, to the peer's backlog. The mark does not cross into another namespace.
   *
   * @drops DEV_READY (peer down or gone), PKT_TOO_BIG (larger than the peer's MTU allows), CPU_BACKLOG
   */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    const peer = this.#peer;
    if (peer === undefined || !peer.up) {
      this.stats.txDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (!isForwardable(peer, pkt)) {
      this.stats.txDropped++;
      peer.stats.rxDropped++;
      this.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
      return;
    }
    if (peer.home !== this.home) pkt.mark = 0;
    pkt.packetType = PacketType.HOST;
    pkt.iif = 0;
    pkt.tunnelRemote = 0;
    const bytes = pkt.length;
    if (this.ctx.netifRx(pkt, peer, now)) {
      this.stats.txPackets++;
      this.stats.txBytes += bytes;
    } else {
      this.stats.txDropped++;
    }
  }
}

/** A pair of connected ends, both down and in no namespace. */
export function vethPair(
  ctx: StackContext,
  nameA: string,
  nameB: string,
  macA: MacAddr,
  macB: MacAddr,
  mtuBytes: number,
): [Veth, Veth] {
  const a = new Veth(ctx, nameA, macA, mtuBytes);
  const b = new Veth(ctx, nameB, macB, mtuBytes);
  a.connect(b);
  b.connect(a);
  return [a, b];
}
