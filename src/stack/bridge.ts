// A learning bridge, as Linux's `bridge` with its defaults. Read `br_handle_frame_finish` and `br_dev_xmit` first.
//
// Not implemented: spanning tree (a port forwards at once when it is up, as with `stp_state 0`, so whoever cables a loop gets
// one), VLAN filtering (tagged frames are forwarded as they are), multicast snooping (multicast is flooded), the netfilter
// hooks of br_netfilter.
import { DropReason } from "../base/drop-reason.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Instant, SEC_US } from "../base/time.ts";
import { Timer } from "../base/timer-queue.ts";
import * as ethernet from "../wire/ethernet.ts";
import { BridgeFdb, Learned } from "./bridge-fdb.ts";
import {
  type DeviceKind,
  isForwardable,
  type LinkReceiver,
  NetDevice,
  type PortOwner,
} from "./net-device.ts";
import { type PacketBuffer, PacketType } from "./packet-buffer.ts";
import type { StackContext } from "./stack-context.ts";

export interface BridgeOptions {
  /** How long a learned address lives unheard. Linux: 300. */
  readonly ageingSec?: number;
  /** Most learned addresses. */
  readonly fdbLimit?: number;
}

/** One port of a bridge. */
export interface BridgePort {
  readonly dev: NetDevice;
  /** May a frame leave by the port that it came in by? */
  hairpin: boolean;
}

const AGEING_SEC = 300;
const FDB_LIMIT = 16384;
const PORTS_LIMIT = 1024;
const DEFAULT_MTU_BYTES = 1500;
/** Ageing is exact at every lookup; this is how often the dead are swept out. */
const SWEEP_US = 10 * SEC_US;

/**
 * A bridge is a device of its namespace (give it an address and it is a gateway) and what its ports hand their frames to.
 */
export class Bridge extends NetDevice implements LinkReceiver, PortOwner {
  override readonly kind: DeviceKind = "bridge";
  readonly fdb: BridgeFdb;
  protected override readonly rxBytesUncounted = ethernet.HEADER_LEN;
  readonly #ports: BridgePort[] = [];
  readonly #sweep: Timer;
  #macSet = false;
  #mtuSet = false;

  /** @param mac used until the first port comes, unless {@link setMac} fixes it */
  constructor(
    ctx: StackContext,
    name: string,
    mac: MacAddr,
    mtuBytes = DEFAULT_MTU_BYTES,
    opts: BridgeOptions = {},
  ) {
    super(ctx, name, mac, mtuBytes);
    const ageingUs = (opts.ageingSec ?? AGEING_SEC) * SEC_US;
    this.fdb = new BridgeFdb(ageingUs, opts.fdbLimit ?? FDB_LIMIT, ctx.rng.u32());
    this.fdb.syncLocal([{ mac, port: this }], 0);
    this.#sweep = new Timer((now) => {
      this.fdb.sweep(now);
      if (this.fdb.learnedSize > 0) ctx.timers.set(this.#sweep, now + SWEEP_US);
    });
  }

  /** In the order in which they were added. */
  get ports(): readonly BridgePort[] {
    return this.#ports;
  }

  /** A bridge has carrier when it is up and one of its ports is forwarding. */
  override get carrier(): boolean {
    if (!this.up) return false;
    for (let i = 0; i < this.#ports.length; i++) {
      if ((this.#ports[i] as BridgePort).dev.running) return true;
    }
    return false;
  }

  /** `ip link set <dev> master <bridge>`. @returns the kernel's text when it refuses */
  addPort(dev: NetDevice, now: Instant): Result<void, string> {
    if (dev.master !== undefined) return err("Device or resource busy");
    if (dev.kind === "bridge") return err("Can not enslave a bridge to a bridge");
    if (dev.kind === "loopback" || dev.medium !== "ethernet") return err("Invalid argument");
    if (this.#ports.length >= PORTS_LIMIT) return err("Exchange full");
    this.#ports.push({ dev, hairpin: false });
    dev.master = this;
    dev.upper = this;
    this.#recompute(now);
    return ok(undefined);
  }

  delPort(dev: NetDevice, now: Instant): void {
    const at = this.#ports.findIndex((port) => port.dev === dev);
    if (at < 0) return;
    this.#ports.splice(at, 1);
    dev.master = undefined;
    dev.upper = dev.home;
    this.fdb.flushPort(dev, true);
    this.#recompute(now);
  }

  /** `bridge link set dev <port> hairpin on|off`. False when it is no port. */
  setHairpin(dev: NetDevice, on: boolean): boolean {
    const port = this.#ports.find((one) => one.dev === dev);
    if (port !== undefined) port.hairpin = on;
    return port !== undefined;
  }

  /** From now on the address is this one, whatever the ports' are. */
  override setMac(mac: MacAddr, now: Instant): void {
    this.#macSet = true;
    super.setMac(mac, now);
  }

  /** From now on the MTU is this one, whatever the ports' are. */
  override setMtu(mtuBytes: number, now: Instant): void {
    this.#mtuSet = true;
    super.setMtu(mtuBytes, now);
  }

  override stateChanged(now: Instant): void {
    super.stateChanged(now);
    if (!this.up) for (const port of this.#ports) this.fdb.flushPort(port.dev, false);
    this.#syncLocal(now);
  }

  /** A port without carrier is disabled: what was learned there is forgotten. */
  portChanged(port: NetDevice, now: Instant): void {
    if (!port.running) this.fdb.flushPort(port, false);
    this.#recompute(now);
  }

  override dispose(now: Instant): void {
    super.dispose(now);
    this.ctx.timers.cancel(this.#sweep);
    while (this.#ports.length > 0) this.delPort((this.#ports[0] as BridgePort).dev, now);
  }

  /**
   * A frame from a port. Takes ownership; `l2` is where it starts.
   *
   * @drops DEV_READY (the bridge is down), MAC_INVALID_SOURCE, LOCAL_MAC (our own address came back: a loop),
   *   MAC_IEEE_MAC_CONTROL, UNHANDLED_PROTO (other link-local groups), BRIDGE_NO_PORT, PKT_TOO_BIG
   */
  receive(pkt: PacketBuffer, now: Instant): void {
    const port = pkt.dev as NetDevice;
    const view = pkt.view;
    const at = pkt.l2;
    if (!this.up) {
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (!isValidSource(view, at + 6)) {
      this.ctx.drop(pkt, DropReason.MAC_INVALID_SOURCE, now);
      return;
    }
    const reserved = linkLocalGroup(view, at);
    if (reserved > 0) {
      const reason = reserved === PAUSE ? DropReason.MAC_IEEE_MAC_CONTROL : DropReason.UNHANDLED_PROTO;
      this.ctx.drop(pkt, reason, now);
      return;
    }
    const learned = this.fdb.learn(view, at + 6, port, now);
    if (learned === Learned.LOCAL) {
      this.ctx.drop(pkt, DropReason.LOCAL_MAC, now);
      return;
    }
    if (learned === Learned.NEW && this.#sweep.slot < 0) this.ctx.timers.set(this.#sweep, now + SWEEP_US);
    this.#forward(pkt, port, now);
  }

  /** From this host to its bridge: `br_dev_xmit`. */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    if (!this.carrier) {
      this.stats.txDropped++;
      this.ctx.drop(pkt, DropReason.BRIDGE_NO_PORT, now);
      return;
    }
    this.stats.txPackets++;
    this.stats.txBytes += pkt.length;
    pkt.l2 = pkt.head;
    if (isGroup(pkt.view, pkt.head)) {
      this.#flood(pkt, undefined, false, now);
      return;
    }
    const entry = this.fdb.lookup(pkt.view, pkt.head, now);
    if (entry === undefined) this.#flood(pkt, undefined, false, now);
    else this.#forwardTo(entry.port, pkt, undefined, now);
  }

  /** Where a frame that came in by `ingress` goes. */
  #forward(pkt: PacketBuffer, ingress: NetDevice, now: Instant): void {
    const view = pkt.view;
    const at = pkt.l2;
    if (isGroup(view, at)) {
      const packetType = pkt.packetType;
      if (packetType === PacketType.MULTICAST) this.stats.rxMulticast++;
      pkt.head = at;
      this.#flood(pkt, ingress, true, now);
      pkt.dev = ingress;
      this.#passUp(pkt, packetType, now);
      return;
    }
    const entry = this.fdb.lookup(view, at, now);
    if (entry !== undefined && entry.state === "permanent") {
      this.#passUp(pkt, this.isOwnMac(view, at) ? PacketType.HOST : pkt.packetType, now);
      return;
    }
    pkt.head = at;
    if (entry === undefined) {
      this.#flood(pkt, ingress, false, now);
      return;
    }
    entry.used = now;
    this.#forwardTo(entry.port, pkt, ingress, now);
  }

  /** Up to the namespace, as a frame that this bridge received: `br_pass_frame_up`. */
  #passUp(pkt: PacketBuffer, packetType: number, now: Instant): void {
    pkt.dev = this;
    pkt.iif = this.ifindex;
    if (this.upper === undefined) {
      this.stats.rxDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    pkt.head = pkt.l2 + ethernet.HEADER_LEN;
    this.stats.rxPackets++;
    this.stats.rxBytes += pkt.length;
    if (this.tap !== undefined) this.tap.seen(this, "rx", pkt, pkt.l2, now);
    pkt.packetType = packetType;
    this.upper.receive(pkt, now);
  }

  /** To the port that the forwarding database names. */
  #forwardTo(to: NetDevice, pkt: PacketBuffer, ingress: NetDevice | undefined, now: Instant): void {
    if (to === this || !this.#mayLeave(to, ingress)) {
      this.ctx.drop(pkt, DropReason.BRIDGE_NO_PORT, now);
      return;
    }
    this.#send(to, pkt, now);
  }

  /**
   * To every port but the one that it came in by, each its own copy.
   *
   * @param keep does the caller keep the packet (to pass it up)? Otherwise the last port gets it.
   */
  #flood(pkt: PacketBuffer, ingress: NetDevice | undefined, keep: boolean, now: Instant): void {
    let last: NetDevice | undefined;
    for (let i = 0; i < this.#ports.length; i++) {
      const dev = (this.#ports[i] as BridgePort).dev;
      if (!this.#mayLeave(dev, ingress)) continue;
      if (last !== undefined) this.#sendCopy(last, pkt, now);
      last = dev;
    }
    if (keep) {
      if (last !== undefined) this.#sendCopy(last, pkt, now);
    } else if (last !== undefined) this.#send(last, pkt, now);
    else this.ctx.drop(pkt, DropReason.BRIDGE_NO_PORT, now);
  }

  /** `should_deliver`: the port forwards, and it is another one or a hairpin. */
  #mayLeave(dev: NetDevice, ingress: NetDevice | undefined): boolean {
    if (!dev.running) return false;
    return dev !== ingress || this.#isHairpin(dev);
  }

  #isHairpin(dev: NetDevice): boolean {
    return this.#ports.some((port) => port.dev === dev && port.hairpin);
  }

  /** A frame that the port's MTU forbids is dropped in silence, as Linux does. */
  #send(dev: NetDevice, pkt: PacketBuffer, now: Instant): void {
    if (!isForwardable(dev, pkt)) {
      pkt.dev = dev;
      this.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
      return;
    }
    dev.transmit(pkt, now);
  }

  #sendCopy(dev: NetDevice, pkt: PacketBuffer, now: Instant): void {
    const copy = this.ctx.pool.clone(pkt);
    if (copy === undefined) {
      this.stats.txDropped++;
      this.countDrop(DropReason.NOMEM);
      return;
    }
    this.#send(dev, copy, now);
  }

  /** Address, MTU and permanent entries follow the ports: `br_stp_recalculate_bridge_id`, `br_mtu_auto_adjust`. */
  #recompute(now: Instant): void {
    if (!this.#macSet) {
      // With the last port gone the address is all zero: so does Linux.
      const lowest = this.#ports.reduce((low, { dev }) => (low === 0 || dev.mac < low ? dev.mac : low), 0);
      if (lowest !== this.mac) {
        this.mac = lowest;
        this.home?.macChanged(this, now);
      }
    }
    if (!this.#mtuSet && this.#ports.length > 0) {
      this.mtuBytes = this.#ports.reduce(
        (min, { dev }) => Math.min(min, dev.mtuBytes),
        Number.POSITIVE_INFINITY,
      );
    }
    this.#syncLocal(now);
    this.checkCarrier(now);
  }

  #syncLocal(now: Instant): void {
    const owners: { mac: MacAddr; port: NetDevice }[] = this.#ports.map(({ dev }) => ({
      mac: dev.mac,
      port: dev,
    }));
    owners.push({ mac: this.mac, port: this });
    this.fdb.syncLocal(owners, now);
  }
}

/** Of the group 01:80:c2:00:00:0x: MAC control (PAUSE). */
const PAUSE = 1;

/**
 * The last octet of a link-local group address (01:80:c2:00:00:01…0f), which no bridge forwards; 0 for any other address.
 * 01:80:c2:00:00:00, spanning tree's, counts as any other: without spanning tree Linux forwards it, so that others see loops.
 */
function linkLocalGroup(view: DataView, off: number): number {
  if (view.getUint16(off) !== 0x0180) return 0;
  const low = view.getUint32(off + 2);
  return (low & 0xffff_fff0) >>> 0 === 0xc200_0000 ? low & 0xf : 0;
}

function isGroup(view: DataView, off: number): boolean {
  return (view.getUint8(off) & 1) !== 0;
}

/** `is_valid_ether_addr`: neither a group nor all zero. */
function isValidSource(view: DataView, off: number): boolean {
  const high = view.getUint16(off);
  return (high & 0x100) === 0 && (high !== 0 || view.getInt32(off + 2) !== 0);
}
