// The cable of a segment: Ethernet frames between the network cards of its members, in Geneve over UDP. Read RFC 8926 first.
//
// There is no switch and no registry of members: every frame goes straight to whoever it is for.
// - A frame to a known address goes to the member that it was heard from, outer source and inner source MAC together.
// - An ARP request for an address of the segment goes to that address alone: members have their underlay addresses on the
//   segment, so the target of the question is where to ask it. EVPN suppresses ARP's flooding for the same reason (RFC 7432 section
//   10). Both ends then know each other: the asked one by the request, the asking one by the reply.
// - Anything else (other broadcasts, groups, unknown addresses) goes to each member that was heard, a copy each. One that never
//   sent a frame gets none of these.
//
// A segment's network identifier is a hash of its prefix, so that members agree on it without being told.
import { DropReason } from "../base/drop-reason.ts";
import { contains, type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Instant, SEC_US } from "../base/time.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as geneve from "../wire/geneve.ts";
import { completeChecksum } from "./checksum-completion.ts";
import { flowHash } from "./flow-hash.ts";
import type { DatagramReceiver, Underlay } from "./underlay.ts";
import { Snooped, VxlanFdb } from "./vxlan-fdb.ts";

/** Addresses that are remembered, as a switch does, and for how long unheard. */
const FDB_LIMIT = 16384;
const AGEING_US = 300 * SEC_US;
/** While the table is full, the dead are swept out this often and not for every frame. */
const SWEEP_US = SEC_US;
/** Members that a flooded frame is copied to. */
const MEMBERS_MAX = 4096;

/** The network card at this end. */
export interface CableEnd extends NetDevice {
  /** Is the address at `off` the card's own? */
  hasMac(view: DataView, off: number): boolean;
}

/** The network identifier of a segment: FNV-1a of its address and length, folded to 24 bits. */
export function segmentVni(segment: Prefix): number {
  let hash = 0x811c_9dc5;
  for (const octet of [24, 16, 8, 0].map((shift) => (segment.addr >>> shift) & 0xff).concat(segment.len)) {
    hash = Math.imul(hash ^ octet, 0x0100_0193);
  }
  return ((hash >>> 24) ^ hash) & geneve.VNI_MAX;
}

/** One member's end of the cable. */
export class Cable {
  readonly segment: Prefix;
  readonly vni: number;
  readonly #ctx: StackContext;
  readonly #underlay: Underlay;
  readonly #salt: number;
  readonly #fdb: VxlanFdb;
  readonly #members: Ipv4Addr[] = [];
  readonly #known = new Set<Ipv4Addr>();
  #nic: CableEnd | undefined = undefined;
  #sweptAt: Instant = Number.NEGATIVE_INFINITY;

  /** @param underlay the Geneve port of the card's address, where datagrams go */
  constructor(ctx: StackContext, segment: Prefix, underlay: Underlay) {
    this.segment = segment;
    this.vni = segmentVni(segment);
    this.#ctx = ctx;
    this.#underlay = underlay;
    this.#salt = ctx.rng.u32() | 0;
    this.#fdb = new VxlanFdb(AGEING_US, FDB_LIMIT, ctx.rng.u32());
  }

  /** Underlay address of the card. */
  get local(): Ipv4Addr {
    return this.#underlay.local;
  }

  /** The members that were heard, oldest first. */
  get members(): readonly Ipv4Addr[] {
    return this.#members;
  }

  /** Frames go to `nic` from now on; undefined: to nobody. `Uplink.attachCable` calls it. */
  plug(nic: CableEnd | undefined): void {
    this.#nic = nic;
  }

  /**
   * Carries a frame (`head` at its Ethernet header) to whom it is for. Takes ownership.
   *
   * @drops CABLE_NO_MEMBER, NOMEM (a copy), and what the underlay drops
   */
  send(pkt: PacketBuffer, now: Instant): void {
    const dst = this.#destination(pkt, now);
    if (dst !== 0) {
      this.#sendTo(pkt, dst, now);
      return;
    }
    const members = this.#members;
    if (members.length === 0) {
      this.#ctx.drop(pkt, DropReason.CABLE_NO_MEMBER, now);
      return;
    }
    for (let i = 1; i < members.length; i++) {
      const copy = this.#ctx.pool.clone(pkt);
      if (copy !== undefined) this.#sendTo(copy, members[i] as Ipv4Addr, now);
      else pkt.dev?.countDrop(DropReason.NOMEM);
    }
    this.#sendTo(pkt, members[0] as Ipv4Addr, now);
  }

  /** The one member that a frame is for; 0: it is for everybody, or nobody knows. */
  #destination(pkt: PacketBuffer, now: Instant): Ipv4Addr {
    const view = pkt.view;
    const at = pkt.head;
    if ((view.getUint8(at) & 1) === 0) {
      const entry = this.#fdb.lookup(view, at, now);
      return entry === undefined ? 0 : (entry.remotes[0]?.dst ?? 0);
    }
    if (ethernet.etherType(view, at) !== ethernet.EtherType.ARP) return 0;
    const question = at + ethernet.HEADER_LEN;
    if (arp.check(view, question, pkt.tail) !== DropReason.NOT_DROPPED) return 0;
    if (arp.operation(view, question) !== arp.Operation.REQUEST) return 0;
    const target = arp.targetIp(view, question);
    // An announcement asks for the card's own address, and is for everybody.
    return target !== this.#underlay.local && contains(this.segment, target) ? target : 0;
  }

  /** l3 and l4 stay at the frame's headers: the socket edge needs them to split a super-packet. */
  #sendTo(pkt: PacketBuffer, dst: Ipv4Addr, now: Instant): void {
    const hash = flowHash(pkt.view, pkt.head, pkt.tail, this.#salt);
    geneve.emit(pkt.view, pkt.push(geneve.HEADER_LEN), this.vni);
    this.#underlay.send(pkt, dst, this.#underlay.port, hash, now);
  }

  /**
   * Takes in a datagram of this segment. Takes ownership; head is at a Geneve header that passed its `check`.
   *
   * @param src underlay address that it came from
   * @drops DEV_READY, IP_INVALID_SOURCE (no address of the segment), PKT_TOO_SMALL, LOCAL_MAC (our own frame came back),
   *   MAC_INVALID_SOURCE, and what the card drops
   */
  decapsulate(pkt: PacketBuffer, src: Ipv4Addr, now: Instant): void {
    const nic = this.#nic;
    pkt.dev = nic;
    const reason = nic?.up === true ? this.#accept(nic, pkt, src, now) : DropReason.DEV_READY;
    if (nic === undefined || reason !== DropReason.NOT_DROPPED) {
      if (nic !== undefined) {
        if (nic.up) nic.stats.rxErrors++;
        else nic.stats.rxDropped++;
      }
      this.#ctx.drop(pkt, reason, now);
      return;
    }
    completeChecksum(pkt.view, pkt.head, pkt.tail);
    nic.deliver(pkt, now);
  }

  /** Pulls the header and learns. @returns NOT_DROPPED, or why the frame is not for the card */
  #accept(nic: CableEnd, pkt: PacketBuffer, src: Ipv4Addr, now: Instant): DropReason {
    if (!contains(this.segment, src)) return DropReason.IP_INVALID_SOURCE;
    const view = pkt.view;
    const at = pkt.pull(geneve.headerLen(view, pkt.head));
    const reason = ethernet.check(at, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) return reason;
    const from = at + 6;
    if (nic.hasMac(view, from)) return DropReason.LOCAL_MAC;
    const isZero = view.getUint16(from) === 0 && view.getUint32(from + 2) === 0;
    if (isZero || (view.getUint8(from) & 1) !== 0) return DropReason.MAC_INVALID_SOURCE;
    const snooped = this.#fdb.learn(view, from, src, now);
    if (snooped !== Snooped.REFRESHED) this.#learnt(snooped, src, now);
    return DropReason.NOT_DROPPED;
  }

  #learnt(snooped: number, src: Ipv4Addr, now: Instant): void {
    if (snooped === Snooped.FULL && now - this.#sweptAt >= SWEEP_US) {
      this.#sweptAt = now;
      this.#fdb.sweep(now);
    }
    if (this.#known.has(src) || this.#members.length >= MEMBERS_MAX) return;
    this.#known.add(src);
    this.#members.push(src);
  }
}

/** The Geneve port of one underlay address, and the cables behind it: their segments never see each other's frames. */
export class CablePort implements DatagramReceiver {
  readonly #ctx: StackContext;
  readonly #byVni = new Map<number, Cable>();

  constructor(ctx: StackContext) {
    this.#ctx = ctx;
  }

  /** @returns "File exists" when another cable has the segment's network identifier on this port */
  add(cable: Cable): Result<void, string> {
    const there = this.#byVni.get(cable.vni);
    if (there !== undefined && there !== cable) return err("File exists");
    this.#byVni.set(cable.vni, cable);
    return ok(undefined);
  }

  /** Nothing happens when the cable is not on this port. */
  del(cable: Cable): void {
    if (this.#byVni.get(cable.vni) === cable) this.#byVni.delete(cable.vni);
  }

  /**
   * A datagram that arrived on the port. Takes ownership.
   *
   * @drops PKT_TOO_SMALL, GENEVE_INVALID_HDR, GENEVE_CRITICAL_OPTION, UNHANDLED_PROTO (no Ethernet frame follows),
   *   GENEVE_VNI_NOT_FOUND, and what {@link Cable.decapsulate} drops @rfc 8926#3.4
   */
  receive(pkt: PacketBuffer, src: Ipv4Addr, _srcPort: number, now: Instant): void {
    const { view, head } = pkt;
    const reason = geneve.check(view, head, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) {
      this.#ctx.drop(pkt, reason, now);
      return;
    }
    if (geneve.protocol(view, head) !== geneve.PROTOCOL_ETHERNET || geneve.isControl(view, head)) {
      this.#ctx.drop(pkt, DropReason.UNHANDLED_PROTO, now);
      return;
    }
    const cable = this.#byVni.get(geneve.vni(view, head));
    if (cable === undefined) this.#ctx.drop(pkt, DropReason.GENEVE_VNI_NOT_FOUND, now);
    else cable.decapsulate(pkt, src, now);
  }
}
