// A VXLAN device, as Linux 6.18 makes it. Read RFC 7348 sections 4 and 5, then `vxlan_rcv` and `vxlan_xmit`.
//
//     outer Ethernet, IPv4, UDP      VXLAN        inner Ethernet     inner packet
//     the host kernel's              8 bytes      14 bytes           at most mtuBytes
//                                    ^ what the underlay takes and gives, as one UDP payload
//
// What the outer headers carry is the host kernel's business. So two rules of Linux cannot be kept: the inner ECN bits do not
// reach the outer header, and an outer CE is not seen and not merged into the inner header (RFC 6040). Like Linux's, the device
// itself does not check its MTU: the IP layer and the bridge do.
//
// The path MTU of the underlay is not looked at. Linux's outer header bears no don't-fragment, so routers fragment what is too long,
// and `skb_tunnel_check_pmtu` answers senders behind a bridge port alone; where packets are routed to the device, as Flannel and
// Calico do, it tells the node's own sockets and no pod. Here nobody is told. The host kernel's sockets do set don't-fragment, until a
// router objects: from then on they fragment.
//
// Group policy (GBP) follows Linux to the letter: the policy id and its two flags travel in the packet's mark, and "don't
// learn" is carried but does not keep a learning device from learning.
//
// Not implemented: multicast groups for flooding (give the all-zero address default destinations instead), l2miss/l3miss,
// ARP proxy, external (collect metadata) mode, IPv6 underlay.
import { assert } from "../base/assert.ts";
import { DropReason } from "../base/drop-reason.ts";
import { type Ipv4Addr, isLoopback } from "../base/ipv4-addr.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import type { Result } from "../base/result.ts";
import { type Instant, SEC_US } from "../base/time.ts";
import { Timer } from "../base/timer-queue.ts";
import { type DeviceKind, NetDevice } from "../stack/net-device.ts";
import { type PacketBuffer, PacketType } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as vxlan from "../wire/vxlan.ts";
import { completeChecksum } from "./checksum-completion.ts";
import { flowHash } from "./flow-hash.ts";
import type { Underlay } from "./underlay.ts";
import { Snooped, VxlanFdb, type VxlanRemote } from "./vxlan-fdb.ts";

export interface VxlanOptions {
  /** Network identifier, 0..2^24-1. */
  readonly vni: number;
  /** Learn inner source MAC → outer source address. */
  readonly learning: boolean;
  /** Group policy extension. */
  readonly gbp: boolean;
  /** How long a learned address lives unheard, in seconds; 0 = for ever. */
  readonly ageingSec: number;
  /** Outer source address; 0 = the underlay's. Any other address than the underlay's can receive but not send. */
  readonly local: Ipv4Addr;
  /** UDP port of the peers. */
  readonly dstPort: number;
}

/** The VXLAN devices of one UDP port: {@link VxlanPort} is the one implementation. */
export interface VniTable {
  lookup(vni: number): VxlanDevice | undefined;
  /** @returns "File exists" when another device has the identifier on this port */
  add(dev: VxlanDevice): Result<void, string>;
  del(dev: VxlanDevice): void;
}

const FDB_LIMIT = 16384;
const IPV6_HEADER_LEN = 40;
/** What Linux calls the peer of a frame that never left the host: 127.0.0.1. */
const LOOPBACK_ADDR = 0x7f00_0001;
/** Ageing is exact at every lookup; this is how often the dead are swept out. */
const SWEEP_US = 10 * SEC_US;

/** A tunnel endpoint (VTEP) for one network identifier. */
export class VxlanDevice extends NetDevice {
  override readonly kind: DeviceKind = "vxlan";
  protected override readonly rxBytesUncounted = ethernet.HEADER_LEN;
  readonly vni: number;
  readonly learning: boolean;
  readonly gbp: boolean;
  readonly ageingSec: number;
  readonly local: Ipv4Addr;
  readonly dstPort: number;
  readonly fdb: VxlanFdb;
  /** The devices on the same port; set while this one is among them. */
  vnis: VniTable | undefined = undefined;
  readonly #underlay: Underlay;
  readonly #salt: number;
  readonly #sweep: Timer;

  /** @param underlay where datagrams go */
  constructor(
    ctx: StackContext,
    name: string,
    mac: MacAddr,
    mtuBytes: number,
    opts: VxlanOptions,
    underlay: Underlay,
  ) {
    super(ctx, name, mac, mtuBytes);
    assert(Number.isInteger(opts.vni) && opts.vni >= 0 && opts.vni <= vxlan.VNI_MAX, "a VNI has 24 bits");
    this.vni = opts.vni;
    this.learning = opts.learning;
    this.gbp = opts.gbp;
    this.ageingSec = opts.ageingSec;
    this.local = opts.local === 0 ? underlay.local : opts.local;
    this.dstPort = opts.dstPort;
    this.#underlay = underlay;
    this.#salt = ctx.rng.u32() | 0;
    this.fdb = new VxlanFdb(opts.ageingSec * SEC_US, FDB_LIMIT, ctx.rng.u32());
    this.#sweep = new Timer((now) => {
      this.fdb.sweep(now);
      if (this.fdb.learnedSize > 0) ctx.timers.set(this.#sweep, now + SWEEP_US);
    });
  }

  /** Where its datagrams go: another device on the same UDP port sends there too. */
  get underlay(): Underlay {
    return this.#underlay;
  }

  /** Going down forgets what was learned; what was configured stays. */
  override stateChanged(now: Instant): void {
    super.stateChanged(now);
    if (this.up) return;
    this.fdb.flushLearned();
    this.ctx.timers.cancel(this.#sweep);
  }

  override dispose(now: Instant): void {
    super.dispose(now);
    this.ctx.timers.cancel(this.#sweep);
    this.vnis?.del(this);
  }

  /**
   * Takes in one datagram for this device's identifier: `vxlan_rcv` after the device is found. Takes ownership; head is at a
   * VXLAN header that passed its `check`.
   *
   * @param src outer source address
   * @drops DEV_READY, VXLAN_INVALID_HDR (a reserved bit is set), PKT_TOO_SMALL (inner frame cut short), LOCAL_MAC (our own
   *   frame came back), and with learning MAC_INVALID_SOURCE and VXLAN_ENTRY_EXISTS (a static address from another peer)
   */
  decapsulate(pkt: PacketBuffer, src: Ipv4Addr, now: Instant): void {
    pkt.dev = this;
    const view = pkt.view;
    if (!this.up) {
      this.stats.rxDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (!vxlan.reservedBitsAreZero(view, pkt.head, this.gbp)) {
      this.stats.rxErrors++;
      this.ctx.drop(pkt, DropReason.VXLAN_INVALID_HDR, now);
      return;
    }
    if (this.gbp) pkt.mark = groupPolicy(view, pkt.head);
    const inner = pkt.pull(vxlan.HEADER_LEN);
    if (isCutShort(view, inner, pkt.tail)) {
      this.stats.rxErrors++;
      this.ctx.drop(pkt, DropReason.PKT_TOO_SMALL, now);
      return;
    }
    if (this.isOwnMac(view, inner + 6)) {
      this.ctx.drop(pkt, DropReason.LOCAL_MAC, now);
      return;
    }
    if (this.learning) {
      const reason = this.#snoop(view, inner + 6, src, now);
      if (reason !== DropReason.NOT_DROPPED) {
        this.ctx.drop(pkt, reason, now);
        return;
      }
    }
    completeChecksum(view, inner, pkt.tail);
    pkt.tunnelRemote = src;
    this.deliver(pkt, now);
  }

  /**
   * Encapsulates a frame and sends it to whoever the forwarding database names; to several, a copy each.
   *
   * @drops VXLAN_NO_REMOTE (unknown address and no default destination), IP_OUTNOROUTES (our local address is not the
   *   node's), VXLAN_VNI_NOT_FOUND (the peer is this node, and has no such device)
   */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    const entry = this.fdb.lookup(pkt.view, pkt.head, now);
    if (entry === undefined) {
      this.stats.txDropped++;
      this.ctx.drop(pkt, DropReason.VXLAN_NO_REMOTE, now);
      return;
    }
    const remotes = entry.remotes;
    for (let i = 1; i < remotes.length; i++) this.#transmitCopy(pkt, remotes[i] as VxlanRemote, now);
    this.#transmitTo(pkt, remotes[0] as VxlanRemote, now);
  }

  #transmitCopy(pkt: PacketBuffer, remote: VxlanRemote, now: Instant): void {
    const copy = this.ctx.pool.clone(pkt);
    if (copy === undefined) {
      this.stats.txDropped++;
      this.countDrop(DropReason.NOMEM);
      return;
    }
    this.#transmitTo(copy, remote, now);
  }

  /** `vxlan_xmit_one`. l3 and l4 stay at the inner headers: the socket edge needs them to split a super-packet. */
  #transmitTo(pkt: PacketBuffer, remote: VxlanRemote, now: Instant): void {
    const underlay = this.#underlay;
    if (remote.dst === 0) {
      this.stats.txDropped++;
      this.ctx.drop(pkt, DropReason.VXLAN_NO_REMOTE, now);
      return;
    }
    if (this.local !== underlay.local) {
      this.stats.txErrors++;
      this.stats.txCarrier++;
      this.ctx.drop(pkt, DropReason.IP_OUTNOROUTES, now);
      return;
    }
    const port = remote.port === 0 ? this.dstPort : remote.port;
    const vni = remote.vni < 0 ? this.vni : remote.vni;
    if (remote.dst === underlay.local || isLoopback(remote.dst)) {
      this.#bypass(pkt, vni, port, now);
      return;
    }
    const hash = flowHash(pkt.view, pkt.head, pkt.tail, this.#salt);
    this.stats.txPackets++;
    this.stats.txBytes += pkt.tail - pkt.head - ethernet.HEADER_LEN;
    const at = pkt.push(vxlan.HEADER_LEN);
    if (this.gbp && pkt.mark !== 0) vxlan.emitGroupPolicy(pkt.view, at, vni, pkt.mark);
    else vxlan.emit(pkt.view, at, vni);
    underlay.send(pkt, remote.dst, port, hash, now);
  }

  /**
   * The peer is this very node: no datagram, the frame goes to the local device of that identifier
   * (`encap_bypass_if_local`), which takes it for its own whatever MAC address it carries.
   */
  #bypass(pkt: PacketBuffer, vni: number, port: number, now: Instant): void {
    const dev = port === this.#underlay.port ? this.vnis?.lookup(vni) : undefined;
    if (dev === undefined) {
      this.stats.txErrors++;
      this.ctx.drop(pkt, DropReason.VXLAN_VNI_NOT_FOUND, now);
      return;
    }
    this.stats.txPackets++;
    this.stats.txBytes += pkt.tail - pkt.head - ethernet.HEADER_LEN;
    if (dev.up && dev.learning) dev.#snoop(pkt.view, pkt.head + 6, LOOPBACK_ADDR, now);
    pkt.packetType = PacketType.LOOPBACK;
    pkt.tunnelRemote = LOOPBACK_ADDR;
    this.ctx.netifRx(pkt, dev, now);
  }

  /** `vxlan_snoop`: learns the source address at `off` from the peer `src`. */
  #snoop(view: DataView, off: number, src: Ipv4Addr, now: Instant): DropReason {
    const high = view.getUint16(off);
    if ((high & 0x100) !== 0 || (high === 0 && view.getInt32(off + 2) === 0)) {
      return DropReason.MAC_INVALID_SOURCE;
    }
    const snooped = this.fdb.learn(view, off, src, now);
    if (snooped === Snooped.EXISTS) return DropReason.VXLAN_ENTRY_EXISTS;
    if (snooped === Snooped.NEW && this.#sweep.slot < 0) this.ctx.timers.set(this.#sweep, now + SWEEP_US);
    return DropReason.NOT_DROPPED;
  }
}

/** The mark that a received header stands for; 0 without the G flag. */
function groupPolicy(view: DataView, off: number): number {
  if (!vxlan.hasGroupPolicy(view, off)) return 0;
  let mark = vxlan.groupPolicyId(view, off);
  if (vxlan.dontLearn(view, off)) mark |= vxlan.Flag.GBP_DONT_LEARN;
  if (vxlan.policyApplied(view, off)) mark |= vxlan.Flag.GBP_POLICY_APPLIED;
  return mark;
}

/** Does the inner frame lack an Ethernet header, or the network header that it promises (`pskb_inet_may_pull`)? */
function isCutShort(view: DataView, off: number, end: number): boolean {
  if (end - off < ethernet.HEADER_LEN) return true;
  const type = ethernet.etherType(view, off);
  if (type === ethernet.EtherType.IPV4) return end - off < ethernet.HEADER_LEN + ipv4.HEADER_LEN;
  return type === ethernet.EtherType.IPV6 && end - off < ethernet.HEADER_LEN + IPV6_HEADER_LEN;
}
