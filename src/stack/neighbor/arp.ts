import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { NetDevice } from "../net-device.ts";
import type { Netns } from "../netns.ts";
import type { PacketBuffer } from "../packet-buffer.ts";

/** SHELL: signatures only, bodies follow within the hour. */
export class Arp {
  readonly netns: Netns;
  constructor(netns: Netns) {
    this.netns = netns;
  }
  /** Takes ownership; head at the ARP packet. */
  input(pkt: PacketBuffer, _now: Instant): void {
    this.netns.ctx.consume(pkt);
  }
  request(_dev: NetDevice, _target: Ipv4Addr, _now: Instant): void {}
  announce(_dev: NetDevice, _addr: Ipv4Addr, _now: Instant): void {}
  destroy(_now: Instant): void {}
}
