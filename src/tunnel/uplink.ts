import { DropReason } from "../base/drop-reason.ts";
import type { Instant } from "../base/time.ts";
import { type DeviceKind, NetDevice } from "../stack/net-device.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Cable, CableEnd } from "./cable.ts";

/**
 * A node's network card (`eth0`; a router has several): it carries an underlay address, the route to its segment and, for its
 * peers, a name. Tunnels do not send through it but through their own sockets. Frames of its own go on its cable; without one
 * each counts as a carrier error, and nothing is ever received.
 */
export class Uplink extends NetDevice implements CableEnd {
  override readonly kind: DeviceKind = "uplink";
  #cable: Cable | undefined = undefined;

  /** What frames go on and come from. */
  get cable(): Cable | undefined {
    return this.#cable;
  }

  /** Plugs the cable in, in place of any before; undefined only unplugs. */
  attachCable(cable: Cable | undefined): void {
    this.#cable?.plug(undefined);
    this.#cable = cable;
    cable?.plug(this);
  }

  /** Is the address at `off` this card's own? */
  hasMac(view: DataView, off: number): boolean {
    return this.isOwnMac(view, off);
  }

  override dispose(now: Instant): void {
    super.dispose(now);
    this.attachCable(undefined);
  }

  /** @drops UNDERLAY_TX (no cable), and what {@link Cable.send} drops */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    if (this.#cable === undefined) {
      this.stats.txErrors++;
      this.stats.txCarrier++;
      this.ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.stats.txPackets++;
    this.stats.txBytes += pkt.tail - pkt.head;
    this.#cable.send(pkt, now);
  }
}
