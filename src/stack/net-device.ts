import { DropReason } from "../base/drop-reason.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import type { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import * as ethernet from "../wire/ethernet.ts";
import { gsoNetworkLen } from "./gso.ts";
import type { PathMtuTable } from "./ip/path-mtu.ts";
import { macHigh, macLow } from "./mac-table.ts";
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

export type DeviceKind = "loopback" | "veth" | "bridge" | "vxlan" | "ipip" | "uplink";

/** Sends ICMP errors: `IcmpLayer` is the one implementation. */
export interface IcmpReporter {
  /** Borrows `about`, whose l3 is right. `info` fills the header's second word. */
  send(type: number, code: number, about: PacketBuffer, info: number, now: Instant): void;
}

/** The part of a namespace that a device may know. */
export interface DeviceHome extends LinkReceiver {
  readonly name: string;
  /** Reports a packet that a device cannot carry (`icmp_ndo_send`). */
  readonly icmp: IcmpReporter;
  /** What it has learnt of the paths to other hosts, for packets of its own: those of a tunnel are. */
  readonly pathMtus: PathMtuTable;
  /** Frames that wait until the stack runs: what {@link StackContext.netifRx} fills. */
  readonly backlog: Ring<PacketBuffer>;
  /** Removes a device for good: forgets it, then calls its {@link NetDevice.dispose}. */
  delDevice(dev: NetDevice, now: Instant): void;
  /** The device is still up, but there is nothing at the other end of the wire any more (Linux's NETDEV_CHANGE). */
  carrierLost(dev: NetDevice, now: Instant): void;
  /** The device's link-layer address was set, or followed its ports' (Linux's NETDEV_CHANGEADDR). */
  macChanged(dev: NetDevice, now: Instant): void;
}

/** What a device that other devices are ports of (a bridge) does for them. */
export interface PortOwner {
  /** The port's `up`, MAC or MTU changed, or its carrier did. */
  portChanged(port: NetDevice, now: Instant): void;
  /** Lets go of the port, which receives for its namespace again. Nothing happens when it is not a port. */
  delPort(port: NetDevice, now: Instant): void;
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
  /** Largest layer-3 packet, in bytes, without the link-layer header. Change it by {@link setMtu}. */
  mtuBytes: number;
  /**
   * Administratively up (`ip link set … up`). Change it through the namespace, which does what Linux does to routes and
   * then calls {@link stateChanged}.
   */
  up = false;
  /** Has it been up at any time? Only then it has a queue to show. Set by the namespace. */
  everUp = false;
  /** Made by a command (`ip link add`), which may take it away again; all others are an agent's. */
  byCommand = false;
  /** No ARP on this device (loopback, point-to-point). */
  noArp = false;
  /** Frames are Ethernet, or bare IP packets. */
  readonly medium: "ethernet" | "ip" = "ethernet";
  /** The namespace that the device lives in; undefined between namespaces. */
  home: DeviceHome | undefined = undefined;
  /** Who receives: the namespace, or a bridge port. */
  upper: LinkReceiver | undefined = undefined;
  /** The bridge that this device is a port of. */
  master: (NetDevice & PortOwner) | undefined = undefined;
  tap: DeviceTap | undefined = undefined;
  /** Link-layer bytes that rxBytes leaves out, as Linux does for its software devices: 14 for loopback, bridge and vxlan. */
  protected readonly rxBytesUncounted: number = 0;
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
  #mac: MacAddr;
  // The address in halves that are small integers: comparing them with a frame's makes no heap number.
  #macHigh: number;
  #macLow: number;
  /** Whether it was {@link running} when last looked at: losing the carrier is a change, not a state. */
  #wasRunning = false;

  constructor(ctx: StackContext, name: string, mac: MacAddr, mtuBytes: number) {
    this.ctx = ctx;
    this.name = name;
    this.#mac = mac;
    this.#macHigh = macHigh(mac);
    this.#macLow = macLow(mac);
    this.mtuBytes = mtuBytes;
  }

  /** Link-layer address. Assigning tells nobody; see {@link setMac}. */
  get mac(): MacAddr {
    return this.#mac;
  }

  set mac(mac: MacAddr) {
    this.#mac = mac;
    this.#macHigh = macHigh(mac);
    this.#macLow = macLow(mac);
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
    this.stats.rxBytes += pkt.tail - pkt.head - this.rxBytesUncounted;
    if (this.tap !== undefined) this.tap.seen(this, "rx", pkt, pkt.head, now);
    pkt.l2 = pkt.head;
    if (this.medium === "ethernet") {
      pkt.protocol = ethernet.etherType(pkt.view, pkt.head);
      pkt.packetType = this.#classify(pkt);
      pkt.pull(ethernet.HEADER_LEN);
    } else {
      pkt.protocol = ethernet.EtherType.IPV4;
      pkt.packetType = PacketType.HOST;
    }
    pkt.l3 = pkt.head;
    this.upper.receive(pkt, now);
  }

  /** `eth_type_trans`. What a tunnel looped back to this node is for us, whatever its destination says. */
  #classify(pkt: PacketBuffer): number {
    if (this.isOwnMac(pkt.view, pkt.head)) return PacketType.HOST;
    const high = pkt.view.getUint16(pkt.head);
    if ((high & 0x100) !== 0) {
      const broadcast = high === 0xffff && pkt.view.getInt32(pkt.head + 2) === -1;
      return broadcast ? PacketType.BROADCAST : PacketType.MULTICAST;
    }
    return pkt.packetType === PacketType.LOOPBACK ? PacketType.HOST : PacketType.OTHERHOST;
  }

  /** Are the six bytes at `off` this device's address? */
  protected isOwnMac(view: DataView, off: number): boolean {
    return view.getInt32(off + 2) === this.#macLow && view.getUint16(off) === this.#macHigh;
  }

  /** Gives the device another address (`ip link set … address`) and tells those who depend on it. */
  setMac(mac: MacAddr, now: Instant): void {
    this.mac = mac;
    this.stateChanged(now);
    this.home?.macChanged(this, now);
  }

  /** Gives the device another MTU (`ip link set … mtu`) and tells those who depend on it. */
  setMtu(mtuBytes: number, now: Instant): void {
    this.mtuBytes = mtuBytes;
    this.stateChanged(now);
  }

  /** `up`, the carrier, the address or the MTU changed. The namespace calls it after every change of `up`. */
  stateChanged(now: Instant): void {
    this.checkCarrier(now);
    if (this.master !== undefined) this.master.portChanged(this, now);
  }

  /**
   * Tells the namespace when a device that is up has lost its carrier. To be called by whoever changes it: the device itself,
   * a veth's peer, a bridge's ports.
   */
  protected checkCarrier(now: Instant): void {
    const had = this.#wasRunning;
    this.#wasRunning = this.running;
    if (had && this.up && !this.#wasRunning) this.home?.carrierLost(this, now);
  }

  /**
   * The device left its namespace for good: gives up what it holds (its bridge, its timers, a veth's peer). The namespace
   * calls it, with `home` already undefined. May be called again.
   */
  dispose(now: Instant): void {
    this.up = false;
    if (this.master !== undefined) this.master.delPort(this, now);
  }

  /** Counts a drop at this device; called by the context's `drop`. */
  countDrop(reason: DropReason): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}

/**
 * May the frame head..tail go out by `dev` as it is? Linux's `is_skb_forwardable`: its MTU, an Ethernet header and room for
 * a VLAN tag; of a super-packet, each segment must fit.
 */
export function isForwardable(dev: NetDevice, pkt: PacketBuffer): boolean {
  if (pkt.tail - pkt.head <= dev.mtuBytes + ethernet.HEADER_LEN + ethernet.VLAN_TAG_LEN) return true;
  return pkt.gsoSize !== 0 && gsoNetworkLen(pkt) <= dev.mtuBytes;
}
