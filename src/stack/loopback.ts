import type { Instant } from "../base/time.ts";
import * as ethernet from "../wire/ethernet.ts";
import { type DeviceKind, NetDevice } from "./net-device.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { StackContext } from "./stack-context.ts";

const LOOPBACK_MTU_BYTES = 65536;

/** `lo`: what goes out comes in, through the backlog. Frames are Ethernet with zero addresses, as in Linux. */
export class Loopback extends NetDevice {
  override readonly kind: DeviceKind = "loopback";
  override noArp = true;
  protected override readonly rxBytesUncounted = ethernet.HEADER_LEN;

  constructor(ctx: StackContext, name = "lo") {
    super(ctx, name, 0, LOOPBACK_MTU_BYTES);
  }

  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    this.stats.txPackets++;
    this.stats.txBytes += pkt.length - ethernet.HEADER_LEN;
    this.ctx.netifRx(pkt, this, now);
  }
}
