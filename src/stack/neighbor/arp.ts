// ARP: who has an address, and who answers for it. Read RFC 826 first, then net/ipv4/arp.c of Linux. Not here: ARP filter,
// private VLANs, entries of `ip neigh add proxy`.
import { DropReason } from "../../base/drop-reason.ts";
import { IPV4_BROADCAST, type Ipv4Addr, isLoopback, isMulticast } from "../../base/ipv4-addr.ts";
import { MAC_BROADCAST, type MacAddr } from "../../base/mac-addr.ts";
import { below } from "../../base/rng.ts";
import type { Instant } from "../../base/time.ts";
import { Timer } from "../../base/timer-queue.ts";
import * as arp from "../../wire/arp.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { inSubnet } from "../address.ts";
import { checkAddresses, validateSource } from "../ip/source-check.ts";
import type { NetDevice } from "../net-device.ts";
import type { Netns } from "../netns.ts";
import { type PacketBuffer, PacketType } from "../packet-buffer.ts";
import type { RouteType } from "../route.ts";
import type { DevConf } from "../sysctl.ts";

/** A request for somebody else's address, waiting for its delayed answer. */
interface Delayed {
  readonly pkt: PacketBuffer;
  readonly timer: Timer;
}

/** ARP of one namespace. */
export class Arp {
  readonly #netns: Netns;
  readonly #delayed = new Set<Delayed>();

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  /**
   * Takes in an ARP packet (`head` behind the Ethernet header): answers what is asked of us or of those we are a proxy
   * for, and learns. Takes ownership.
   *
   * @drops ARP_INHDR (malformed, neither request nor reply, or about an address that ARP is not for)
   * @rfc 826
   */
  input(pkt: PacketBuffer, now: Instant): void {
    const ctx = this.#netns.ctx;
    const dev = pkt.dev as NetDevice;
    if (dev.noArp || pkt.packetType === PacketType.OTHERHOST) {
      // Ours to ignore, nobody's loss: a flood reaches everybody.
      ctx.consume(pkt);
      return;
    }
    if (!this.#isSound(pkt, dev)) {
      ctx.drop(pkt, DropReason.ARP_INHDR, now);
      return;
    }
    if (arp.operation(pkt.view, pkt.head) === arp.Operation.REQUEST && this.#answer(pkt, dev, false, now))
      return;
    this.#learn(pkt, dev, now);
    ctx.consume(pkt);
  }

  #isSound(pkt: PacketBuffer, dev: NetDevice): boolean {
    if (arp.check(pkt.view, pkt.head, pkt.tail) !== DropReason.NOT_DROPPED) return false;
    const operation = arp.operation(pkt.view, pkt.head);
    if (operation !== arp.Operation.REQUEST && operation !== arp.Operation.REPLY) return false;
    const target = arp.targetIp(pkt.view, pkt.head);
    if (isMulticast(target)) return false;
    return !isLoopback(target) || this.#netns.sysctl.conf(dev).routeLocalnet;
  }

  /**
   * Answers a request that is ours to answer. Takes the packet only then.
   *
   * @param again its delay is over
   * @returns is the packet taken?
   */
  #answer(pkt: PacketBuffer, dev: NetDevice, again: boolean, now: Instant): boolean {
    const netns = this.#netns;
    const conf = netns.sysctl.conf(dev);
    const sip = arp.senderIp(pkt.view, pkt.head);
    const tip = arp.targetIp(pkt.view, pkt.head);
    const sha = arp.senderMac(pkt.view, pkt.head);
    if (sip === 0) {
      // Somebody wants the address and asks whether it is free. @rfc 5227#2.1.1
      if (netns.isLocal(tip) && !this.#isIgnored(conf, dev, sip, tip)) this.#reply(dev, sha, sip, tip, now);
      netns.ctx.consume(pkt);
      return true;
    }
    const type = this.#routeType(dev, conf, sip, tip);
    if (type === "local") {
      if (!this.#isIgnored(conf, dev, sip, tip) && netns.neigh.learn(dev, sip, sha, now)) {
        this.#reply(dev, sha, sip, tip, now);
      }
      netns.ctx.consume(pkt);
      return true;
    }
    if (type !== "unicast" || !this.#isProxied(dev, conf, tip)) return false;
    netns.neigh.learn(dev, sip, sha, now);
    const delayUs = netns.sysctl.neigh(dev).proxyDelayUs;
    if (!again && delayUs !== 0 && pkt.packetType !== PacketType.HOST) {
      this.#delay(pkt, dev, delayUs, now);
      return true;
    }
    this.#reply(dev, sha, sip, tip, now);
    netns.ctx.consume(pkt);
    return true;
  }

  /** What an IP packet from `sip` to `tip` would meet here; undefined when it would be dropped (`ip_route_input`). */
  #routeType(dev: NetDevice, conf: DevConf, sip: Ipv4Addr, tip: Ipv4Addr): RouteType | undefined {
    if (tip === IPV4_BROADCAST || checkAddresses(sip, tip, conf) !== DropReason.NOT_DROPPED) return undefined;
    const route = this.#netns.fib.lookup(tip);
    if (route === undefined || validateSource(this.#netns, dev, conf, sip) !== DropReason.NOT_DROPPED) {
      return undefined;
    }
    return route.type;
  }

  /** `arp_ignore`: may a local address stay unanswered on this device? */
  #isIgnored(conf: DevConf, dev: NetDevice, sip: Ipv4Addr, tip: Ipv4Addr): boolean {
    switch (conf.arpIgnore) {
      case 1:
        return !this.#netns.addresses(dev).some((ifa) => ifa.addr === tip);
      case 2:
        return !this.#netns
          .addresses(dev)
          .some((ifa) => ifa.addr === tip && (sip === 0 || inSubnet(ifa, sip)));
      case 8:
        return true;
      default:
        return false;
    }
  }

  /** `arp_fwd_proxy`: do we answer for `tip`, because we would forward to it by another device? @rfc 1027 */
  #isProxied(dev: NetDevice, conf: DevConf, tip: Ipv4Addr): boolean {
    if (!conf.forwarding || !conf.proxyArp) return false;
    return this.#netns.fib.lookup(tip)?.dev !== dev;
  }

  /** `pneigh_enqueue`: the real owner, if there is one, answers first. @drops NEIGH_QUEUEFULL */
  #delay(pkt: PacketBuffer, dev: NetDevice, delayUs: number, now: Instant): void {
    const ctx = this.#netns.ctx;
    if (this.#delayed.size >= this.#netns.sysctl.neigh(dev).proxyQlen) {
      ctx.drop(pkt, DropReason.NEIGH_QUEUEFULL, now);
      return;
    }
    const delayed: Delayed = { pkt, timer: new Timer((at) => this.#resume(delayed, at)) };
    this.#delayed.add(delayed);
    ctx.timers.set(delayed.timer, now + below(ctx.rng, delayUs));
  }

  #resume(delayed: Delayed, now: Instant): void {
    this.#delayed.delete(delayed);
    const pkt = delayed.pkt;
    const dev = pkt.dev as NetDevice;
    // Much may have changed meanwhile: it is asked anew, and what is not ours any more goes unanswered.
    if (dev.home === this.#netns && dev.up && this.#answer(pkt, dev, true, now)) return;
    this.#netns.ctx.consume(pkt);
  }

  /** Updates what is known of the sender; makes a new entry only with `arp_accept`. @rfc 826 */
  #learn(pkt: PacketBuffer, dev: NetDevice, now: Instant): void {
    const netns = this.#netns;
    const view = pkt.view;
    const sip = arp.senderIp(view, pkt.head);
    const sha = arp.senderMac(view, pkt.head);
    const isReply = arp.operation(view, pkt.head) === arp.Operation.REPLY;
    const gratuitous =
      sip === arp.targetIp(view, pkt.head) &&
      (!isReply || arp.targetMac(view, pkt.head) === sha) &&
      this.#isUnicast(sip);
    if (netns.neigh.lookup(dev, sip) === undefined) {
      if (!netns.sysctl.conf(dev).arpAccept) return;
      if (gratuitous || (isReply && this.#isUnicast(sip))) netns.neigh.learn(dev, sip, sha, now);
    }
    // Requests, and replies to everybody, do not prove that the neighbour hears us.
    const solicited = isReply && pkt.packetType === PacketType.HOST;
    netns.neigh.confirm(dev, sip, sha, now, gratuitous, solicited);
  }

  #isUnicast(addr: Ipv4Addr): boolean {
    return addr !== 0 && addr < 0xe000_0000 && this.#netns.fib.addrType(addr) === undefined;
  }

  /** Asks everybody on `dev` for `target`. */
  request(dev: NetDevice, target: Ipv4Addr, now: Instant): void {
    this.solicit(dev, target, undefined, undefined, now);
  }

  /**
   * Asks for `target`: the neighbour itself when `mac` is given, else everybody.
   *
   * @param about borrowed: the IP packet that waits for the answer; its source is what the question bears, if it is ours
   * @rfc 4861#7.2.2
   */
  solicit(
    dev: NetDevice,
    target: Ipv4Addr,
    mac: MacAddr | undefined,
    about: PacketBuffer | undefined,
    now: Instant,
  ): void {
    const source = this.#requestSource(dev, target, about);
    this.#send(dev, arp.Operation.REQUEST, source, 0, target, mac ?? MAC_BROADCAST, now);
  }

  /** Tells everybody on `dev` that `addr` is here: a gratuitous request. @rfc 5227#3 */
  announce(dev: NetDevice, addr: Ipv4Addr, now: Instant): void {
    this.#send(dev, arp.Operation.REQUEST, addr, 0, addr, MAC_BROADCAST, now);
  }

  /** The namespace goes away: what waits is released. */
  close(): void {
    const ctx = this.#netns.ctx;
    for (const { pkt, timer } of this.#delayed) {
      ctx.timers.cancel(timer);
      ctx.consume(pkt);
    }
    this.#delayed.clear();
  }

  /** `arp_announce`: which of our addresses a question bears. 0 when there is none. */
  #requestSource(dev: NetDevice, target: Ipv4Addr, about: PacketBuffer | undefined): Ipv4Addr {
    const netns = this.#netns;
    const level = netns.sysctl.conf(dev).arpAnnounce;
    if (about !== undefined && level < 2) {
      const src = ipv4.src(about.view, about.l3);
      const known = (addr: Ipv4Addr) =>
        netns.addresses(dev).some((ifa) => !ifa.secondary && inSubnet(ifa, target) && inSubnet(ifa, addr));
      if (netns.isLocal(src) && (level === 0 || known(src))) return src;
    }
    return netns.selectAddress(dev, target);
  }

  #reply(dev: NetDevice, sha: MacAddr, sip: Ipv4Addr, tip: Ipv4Addr, now: Instant): void {
    this.#send(dev, arp.Operation.REPLY, tip, sha, sip, sha, now);
  }

  /** Emits a frame from our own address. `targetMac` is what the ARP packet says, `dst` where the frame goes. */
  #send(
    dev: NetDevice,
    operation: number,
    senderIp: Ipv4Addr,
    targetMac: MacAddr,
    targetIp: Ipv4Addr,
    dst: MacAddr,
    now: Instant,
  ): void {
    if (dev.noArp || dev.medium !== "ethernet") return;
    const pkt = this.#netns.ctx.pool.acquire(ethernet.HEADER_LEN + arp.HEADER_LEN);
    if (pkt === undefined) return;
    pkt.l3 = pkt.put(arp.HEADER_LEN);
    arp.emit(pkt.view, pkt.l3, operation, dev.mac, senderIp, targetMac, targetIp);
    pkt.l2 = pkt.push(ethernet.HEADER_LEN);
    ethernet.emit(pkt.view, pkt.l2, dst, dev.mac, ethernet.EtherType.ARP);
    pkt.protocol = ethernet.EtherType.ARP;
    pkt.packetType = PacketType.OUTGOING;
    dev.transmit(pkt, now);
  }
}
