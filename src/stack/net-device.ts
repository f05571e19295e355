import { DropReason } from "../base/drop-reason.ts";
import { isGroupMac, MAC_BROADCAST, type MacAddr } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import * as ethernet from "../wire/ethernet.ts";
import { type PacketBuffer, PacketType } from "./packet-buffer.ts";
import type { StackContext } from "./stack-context.ts";

/** Who gets what a device received: its namespace, or the bridge that the device is a port of. */
export interface LinkReceiver {
  /** Takes ownership. `head` is at layer 3; `l2`, `protocol`, `packetType`, `dev` are set. */
  receive(pkt: PacketBuffer, now: Instant): void;
}

/** Sees copies of nothing: looks at frames in passing. Must not keep, change or release them. */
export interface DeviceTap {
  /** `pkt` is borrowed; its frame runs from `off` to `pkt.tail`. */
  seen(dev: NetDevice, direction: "rx" | "tx", pkt: PacketBuffer, off: number, now: Instant): void;
}

/** The counters of `ip -s link`. */
export interface LinkStats {
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDropped: number;
  rxMulticast: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDropped: number;
  txCarrier: number;
}

export type DeviceKind = "loopback" | "veth" | "bridge" | "vxlan" | "uplink";

/** The part of a namespace that a device may know. */
export interface DeviceHome extends LinkReceiver {
  readonly name: string;
}

/**
 * A network interface, as `struct net_device`. Subclasses give `xmit`; everything that all interfaces do alike is here.
 *
 * Transmit side: `head` at the link-layer header (Ethernet; for a `medium` of "ip", at the IP header).
 * Receive side: a subclass calls {@link deliver} with `head` at the link-layer header.
 */
export abstract class NetDevice {
  abstract readonly kind: DeviceKind;
  readonly ctx: StackContext;
  /** Set when the device is added to a namespace, unique there. 0 before. */
  ifindex = 0;
  name: string;
  mac: MacAddr;
  /** Largest layer-3 packet, in bytes, without the link-layer header. */
  mtuBytes: number;
  /** Administratively up (`ip link set … up`). Change it through the namespace, which does what Linux does to routes. */
  up = false;
  /** No ARP on this device (loopback, point-to-point). */
  noArp = false;
  /** Frames are Ethernet, or bare IP packets. */
  readonly medium: "ethernet" | "ip" = "ethernet";
  /** The namespace that the device lives in; undefined between namespaces. */
  home: DeviceHome | undefined = undefined;
  /** Who receives: the namespace, or a bridge port. */
  upper: LinkReceiver | undefined = undefined;
  /** The bridge that this device is a port of. */
  master: NetDevice | undefined = undefined;
  tap: DeviceTap | undefined = undefined;
  readonly stats: LinkStats = {
    rxBytes: 0,
    rxPackets: 0,
    rxErrors: 0,
    rxDropped: 0,
    rxMulticast: 0,
    txBytes: 0,
    txPackets: 0,
    txErrors: 0,
    txDropped: 0,
    txCarrier: 0,
  };
  /** Packets dropped at this device, by {@link DropReason}. */
  readonly drops = new Map<DropReason, number>();

  constructor(ctx: StackContext, name: string, mac: MacAddr, mtuBytes: number) {
    this.ctx = ctx;
    this.name = name;
    this.mac = mac;
    this.mtuBytes = mtuBytes;
  }

  /** Is there something at the other end of the wire (Linux's LOWER_UP)? */
  get carrier(): boolean {
    return this.up;
  }

  /** Up and with carrier: packets can leave. */
  get running(): boolean {
    return this.up && this.carrier;
  }

  /** Sends a frame. Takes ownership. @drops DEV_READY when the device is down */
  transmit(pkt: PacketBuffer, now: Instant): void {
    pkt.dev = this;
    if (!this.up) {
      this.stats.txDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (this.tap !== undefined) this.tap.seen(this, "tx", pkt, pkt.head, now);
    this.xmit(pkt, now);
  }

  /** The driver: puts the frame on the wire and counts it. Takes ownership. */
  protected abstract xmit(pkt: PacketBuffer, now: Instant): void;

  /**
   * Takes in a frame from the wire whose link-layer header starts at `head`: counts, classifies (`eth_type_trans`) and
   * hands it up. Takes ownership. @drops PKT_TOO_SMALL, DEV_READY
   */
  deliver(pkt: PacketBuffer, now: Instant): void {
    pkt.dev = this;
    pkt.iif = this.ifindex;
    if (!this.up || this.upper === undefined) {
      this.stats.rxDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (this.medium === "ethernet") {
      const reason = ethernet.check(pkt.head, pkt.tail);
      if (reason !== DropReason.NOT_DROPPED) {
        this.stats.rxErrors++;
        this.ctx.drop(pkt, reason, now);
        return;
      }
    }
    this.stats.rxPackets++;
    this.stats.rxBytes += pkt.tail - pkt.head;
    if (this.tap !== undefined) this.tap.seen(this, "rx", pkt, pkt.head, now);
    pkt.l2 = pkt.head;
    if (this.medium === "ethernet") {
      const dst = ethernet.dst(pkt.view, pkt.head);
      pkt.protocol = ethernet.etherType(pkt.view, pkt.head);
      pkt.packetType = this.#classify(dst);
      pkt.pull(ethernet.HEADER_LEN);
    } else {
      pkt.protocol = ethernet.EtherType.IPV4;
      pkt.packetType = PacketType.HOST;
    }
    pkt.l3 = pkt.head;
    this.upper.receive(pkt, now);
  }

  #classify(dst: MacAddr): number {
    if (dst === this.mac) return PacketType.HOST;
    if (dst === MAC_BROADCAST) return PacketType.BROADCAST;
    if (isGroupMac(dst)) {
      this.stats.rxMulticast++;
      return PacketType.MULTICAST;
    }
    return PacketType.OTHERHOST;
  }

  /** Counts a drop at this device; called by the context's `drop`. */
  countDrop(reason: DropReason): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}
