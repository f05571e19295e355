import { DropReason } from "../base/drop-reason.ts";
import type { Instant } from "../base/time.ts";
import { type DeviceKind, NetDevice } from "../stack/net-device.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";

/**
 * The node's eth0: it carries the underlay address, the route to its segment and, for its peers, a name. Tunnels do not send
 * through it but through their own sockets. Frames of its own have no cable to go on in this version: each counts as a
 * carrier error, and nothing is ever received.
 */
export class Uplink extends NetDevice {
  override readonly kind: DeviceKind = "uplink";

  /** @drops UNDERLAY_TX */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    this.stats.txErrors++;
    this.stats.txCarrier++;
    this.ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
  }
}
