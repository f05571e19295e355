import { assert } from "../base/assert.ts";
import { DropReason } from "../base/drop-reason.ts";
import { type Ipv4Addr, ipv4 } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import { EtherType } from "../wire/ethernet.ts";
import { type AddressSpec, type IfAddr, inSubnet, kernelRoutes } from "./address.ts";
import { Fib, type RouteMatch } from "./fib.ts";
import { IcmpLayer } from "./icmp.ts";
import { Ipv4Layer } from "./ip/ipv4-layer.ts";
import type { PathMtuTable } from "./ip/path-mtu.ts";
import { Loopback } from "./loopback.ts";
import { Arp } from "./neighbor/arp.ts";
import { NeighTable } from "./neighbor/neigh-table.ts";
import type { DeviceHome, LinkReceiver, NetDevice } from "./net-device.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Route, RouteScope, RouteSpec } from "./route.ts";
import { checkRoute } from "./route-check.ts";
import type { StackContext } from "./stack-context.ts";
import { Sysctl } from "./sysctl.ts";
import { UdpLayer } from "./udp.ts";

/** How near an address is, as rtnetlink numbers it. */
const SCOPE_RANK: { readonly [S in RouteScope]: number } = { global: 0, link: 253, host: 254 };

/** Most packets that wait in one namespace (`net.core.netdev_max_backlog`). */
const BACKLOG_PACKETS = 1000;

/** A network namespace: its devices, addresses, tables and the protocols over them. */
export class Netns implements LinkReceiver, DeviceHome {
  readonly ctx: StackContext;
  readonly name: string;
  readonly sysctl = new Sysctl();
  readonly fib = new Fib();
  readonly neigh: NeighTable;
  readonly arp: Arp;
  readonly ip: Ipv4Layer;
  readonly icmp: IcmpLayer;
  readonly udp: UdpLayer;
  /** Frames that have arrived on a device of this namespace and wait for {@link NetStack.run}. */
  readonly backlog = new Ring<PacketBuffer>(BACKLOG_PACKETS);
  /** The loopback device: ifindex 1, up, 127.0.0.1/8. */
  readonly lo: NetDevice;
  readonly #devices = new Map<string, NetDevice>();
  readonly #byIndex: (NetDevice | undefined)[] = [undefined];
  readonly #addrs = new Map<NetDevice, readonly IfAddr[]>();
  #linkVersion = 0;

  constructor(ctx: StackContext, name: string) {
    this.ctx = ctx;
    this.name = name;
    this.neigh = new NeighTable(this);
    this.arp = new Arp(this);
    this.ip = new Ipv4Layer(this);
    this.icmp = new IcmpLayer(this);
    this.udp = new UdpLayer(this);
    this.lo = new Loopback(ctx);
    this.addDevice(this.lo);
    this.lo.up = true;
    this.lo.everUp = true;
    this.addAddress(this.lo, { addr: ipv4("127.0.0.1"), len: 8, scope: "host" }, 0);
  }

  get pathMtus(): PathMtuTable {
    return this.ip.pmtu;
  }

  /** Takes in what a device received, by protocol. Takes ownership. @drops VLAN_UNKNOWN, UNHANDLED_PROTO */
  receive(pkt: PacketBuffer, now: Instant): void {
    switch (pkt.protocol) {
      case EtherType.IPV4:
        return this.ip.input(pkt, now);
      case EtherType.ARP:
        return this.arp.input(pkt, now);
      case EtherType.VLAN:
        return this.ctx.drop(pkt, DropReason.VLAN_UNKNOWN, now);
      default:
        return this.ctx.drop(pkt, DropReason.UNHANDLED_PROTO, now);
    }
  }

  // Devices

  /** Takes a device in: it gets an ifindex and is down until {@link setLink}. Its name must be free here. */
  addDevice(dev: NetDevice): void {
    assert(!this.#devices.has(dev.name), `netns: a device is called ${dev.name} already`);
    assert(dev.home === undefined, `netns: ${dev.name} lives in a namespace`);
    dev.ifindex = this.#byIndex.length;
    dev.home = this;
    dev.upper = this;
    this.#byIndex.push(dev);
    this.#devices.set(dev.name, dev);
    this.sysctl.addDevice(dev);
  }

  /**
   * Destroys a device (`ip link del`): its addresses, routes and neighbours go with it, and whatever depends on it
   * (a veth's peer, a bridge's ports) follows.
   */
  delDevice(dev: NetDevice, now: Instant): void {
    this.#release(dev, now);
    dev.dispose(now);
  }

  /** Grows whenever a device goes up or down. */
  get linkVersion(): number {
    return this.#linkVersion;
  }

  device(name: string): NetDevice | undefined {
    return this.#devices.get(name);
  }

  deviceByIndex(ifindex: number): NetDevice | undefined {
    return this.#byIndex[ifindex];
  }

  /** All devices, in the order of their ifindex. */
  devices(): Iterable<NetDevice> {
    return this.#devices.values();
  }

  /** Moves a device to another namespace: it arrives down, with neither addresses nor a master (`ip link set netns`). */
  moveDevice(dev: NetDevice, to: Netns, now: Instant): void {
    this.#release(dev, now);
    to.addDevice(dev);
  }

  #release(dev: NetDevice, now: Instant): void {
    assert(dev.home === this, `netns: ${dev.name} does not live here`);
    if (dev.master !== undefined) dev.master.delPort(dev, now);
    // A next hop whose device goes for good takes the whole route with it, as in Linux.
    this.fib.delWhere((route) => route.multipath?.uses(dev) === true);
    this.setLink(dev, false, now);
    this.#addrs.delete(dev);
    this.#disableIp(dev, now);
    this.#devices.delete(dev.name);
    this.#byIndex[dev.ifindex] = undefined;
    this.sysctl.delDevice(dev);
    dev.home = undefined;
    dev.upper = undefined;
  }

  /** Destroys everything in the namespace and releases what it holds, except the backlog, which is its stack's. */
  close(now: Instant): void {
    this.udp.close();
    this.icmp.close();
    this.ip.close();
    for (const dev of this.#devices.values()) if (dev.home === this) this.delDevice(dev, now);
    this.arp.close();
    this.neigh.close(now);
  }

  /**
   * `ip link set DEV up|down`. Down removes the routes through the device (of several next hops only those that leave by it, which
   * come back) and its neighbours, permanent ones too; its addresses stay, and are still answered for. Up puts back what its
   * addresses bring (connected, local and broadcast routes) and nothing else.
   */
  setLink(dev: NetDevice, up: boolean, now: Instant): void {
    if (dev.up === up) return;
    this.#linkVersion++;
    dev.up = up;
    dev.everUp ||= up;
    dev.stateChanged(now);
    if (!up) {
      this.fib.deviceDown(dev);
      this.neigh.flush(dev, now);
      return;
    }
    const addrs = this.addresses(dev);
    for (const route of kernelRoutes(dev, addrs, true)) this.fib.append(route);
    this.fib.deviceUp(dev);
    this.#announce(dev, now);
  }

  /** Who was heard by a wire that is cut is not to be relied on (`neigh_carrier_down`); routes stay. */
  carrierLost(dev: NetDevice, now: Instant): void {
    this.neigh.flush(dev, now, "learnt");
  }

  /** Every neighbour goes, permanent ones too (`neigh_changeaddr`), and with `arp_notify` the others hear the new address. */
  macChanged(dev: NetDevice, now: Instant): void {
    this.neigh.flush(dev, now);
    if (dev.up) this.#announce(dev, now);
  }

  /** `inetdev_send_gratuitous_arp`, where `arp_notify` wants it. */
  #announce(dev: NetDevice, now: Instant): void {
    if (!this.sysctl.conf(dev).arpNotify) return;
    for (const ifa of this.addresses(dev)) this.arp.announce(dev, ifa.addr, now);
  }

  // Addresses

  /** The addresses of a device: primary ones first, each in the order of their coming. */
  addresses(dev: NetDevice): readonly IfAddr[] {
    return this.#addrs.get(dev) ?? [];
  }

  /** Is `addr` one of our own? Covers 127/8. */
  isLocal(addr: Ipv4Addr): boolean {
    return this.fib.addrType(addr) === "local";
  }

  /** `ip address add`. @returns "Address already assigned" */
  addAddress(dev: NetDevice, spec: AddressSpec, now: Instant): Result<void, string> {
    assert(dev.home === this, `netns: ${dev.name} does not live here`);
    const before = this.addresses(dev);
    const ifa: IfAddr = {
      addr: spec.addr,
      len: spec.len,
      scope: spec.scope ?? (dev.kind === "loopback" ? "host" : "global"),
      broadcast: spec.broadcast,
      noPrefixRoute: spec.noPrefixRoute ?? false,
      secondary: before.some((had) => had.len === spec.len && inSubnet(had, spec.addr)),
    };
    if (before.some((had) => had.addr === ifa.addr && had.len === ifa.len)) {
      return err("Address already assigned");
    }
    // A primary one comes behind those of its scope and of nearer ones, and before all others (`__inet_insert_ifa`).
    const at = ifa.secondary
      ? before.length
      : before.findLastIndex((had) => !had.secondary && SCOPE_RANK[had.scope] >= SCOPE_RANK[ifa.scope]) + 1;
    const after = [...before.slice(0, at), ifa, ...before.slice(at)];
    this.#setAddresses(dev, before, after, now);
    return ok(undefined);
  }

  /** `ip address del`; the secondaries of a primary go with it. @returns "Address not found" */
  delAddress(
    dev: NetDevice,
    spec: { readonly addr: Ipv4Addr; readonly len: number },
    now: Instant,
  ): Result<void, string> {
    const before = this.addresses(dev);
    const gone = before.find((ifa) => ifa.addr === spec.addr && ifa.len === spec.len);
    if (gone === undefined) return err("Address not found");
    const after = before.filter(
      (ifa) =>
        ifa !== gone &&
        (gone.secondary || !ifa.secondary || ifa.len !== gone.len || !inSubnet(ifa, gone.addr)),
    );
    this.#setAddresses(dev, before, after, now);
    return ok(undefined);
  }

  /** Brings the kernel's routes in line with a device's new addresses; exactly what went is removed. */
  #setAddresses(dev: NetDevice, before: readonly IfAddr[], after: readonly IfAddr[], now: Instant): void {
    this.#addrs.set(dev, after);
    const had = kernelRoutes(dev, before, dev.up);
    const have = kernelRoutes(dev, after, dev.up);
    for (const route of had) {
      if (have.some((r) => sameRoute(r, route))) continue;
      this.fib.remove(route);
      if (route.type === "broadcast") this.neigh.forget(dev, route.dst.addr, now);
    }
    for (const route of have) {
      if (had.some((r) => sameRoute(r, route))) continue;
      this.fib.append(route);
      // The kind of an address is part of its entry: a broadcast address is never asked for.
      if (route.type === "broadcast") this.neigh.forget(dev, route.dst.addr, now);
    }
    if (dev.up && after.length > before.length) this.fib.deviceUp(dev);
    for (const ifa of before) {
      if (this.isLocal(ifa.addr)) continue;
      this.fib.delWhere((route) => route.src === ifa.addr);
    }
    if (before.length > 0 && after.length === 0) this.#disableIp(dev, now);
  }

  /** A device without an address speaks no IP: every route by it and every neighbour of it goes (`fib_disable_ip`). */
  #disableIp(dev: NetDevice, now: Instant): void {
    this.fib.delByDevice(dev);
    this.neigh.flush(dev, now);
  }

  // Routes

  /**
   * `ip route add`. @returns the kernel's complaint: "Nexthop has invalid gateway", "Device for nexthop is not up",
   * "File exists", …
   */
  addRoute(spec: RouteSpec, _now: Instant): Result<void, string> {
    const route = checkRoute(this, spec);
    return route.ok ? this.fib.add(route.value) : route;
  }

  /** `ip route replace`: like {@link addRoute}, in the place of the route of the same destination and metric. */
  replaceRoute(spec: RouteSpec, _now: Instant): Result<void, string> {
    const route = checkRoute(this, spec);
    return route.ok ? this.fib.replace(route.value) : route;
  }

  /** `ip route change`: like {@link replaceRoute}, where there is one. @returns "No such file or directory" without one */
  changeRoute(spec: RouteSpec, _now: Instant): Result<void, string> {
    const route = checkRoute(this, spec);
    if (!route.ok) return route;
    if (this.#rivals(route.value).length === 0) return err("No such file or directory");
    return this.fib.replace(route.value);
  }

  /** `ip route append`: behind those of the same destination and metric. @returns "File exists" for exactly one of them */
  appendRoute(spec: RouteSpec, _now: Instant): Result<void, string> {
    const route = checkRoute(this, spec);
    if (!route.ok) return route;
    return this.fib.append(route.value) ? ok(undefined) : err("File exists");
  }

  /** `ip route prepend`, and the SIOCADDRT of `route add`: before those of the same destination and metric. */
  prependRoute(spec: RouteSpec, _now: Instant): Result<void, string> {
    const route = checkRoute(this, spec);
    if (!route.ok) return route;
    const rivals = this.#rivals(route.value);
    if (!this.fib.append(route.value)) return err("File exists");
    for (const rival of rivals) {
      this.fib.remove(rival);
      this.fib.append(rival);
    }
    return ok(undefined);
  }

  /** The routes of the same table, destination and metric. */
  #rivals({ table, dst, metric }: Route): Route[] {
    return this.fib
      .dump(table)
      .filter((one) => one.dst.addr === dst.addr && one.dst.len === dst.len && one.metric === metric);
  }

  /** `ip route del`: the first route that agrees in everything given. @returns "No such process" */
  delRoute(match: RouteMatch, _now: Instant): Result<void, string> {
    return this.fib.del(match);
  }

  /**
   * The source address of a packet to `dst` that we make ourselves: the route's, else what {@link selectAddress} says about
   * its device and next hop. As in Linux, `dst` itself has no say: an on-link route without `src` takes the first address.
   */
  selectSource(route: Route, _dst: Ipv4Addr): Ipv4Addr {
    if (route.src !== undefined) return route.src;
    if (route.dev === undefined) return this.#anyAddress();
    return this.selectAddress(route.dev, route.via ?? 0, route.scope);
  }

  /**
   * The address of ours to talk to `target` with on `dev` (`inet_select_addr`): one of its subnet, else the first of the
   * device, else any global address; 0 if there is none. A `target` of 0 asks for the first.
   *
   * @param scope how far it leads: an address of scope link is none to go further with
   */
  selectAddress(dev: NetDevice, target: Ipv4Addr, scope: RouteScope = "link"): Ipv4Addr {
    const addrs = this.addresses(dev);
    let first = 0;
    for (let i = 0; i < addrs.length; i++) {
      const ifa = addrs[i] as IfAddr;
      if (ifa.secondary || (ifa.scope === "host" && dev !== this.lo)) continue;
      if (ifa.scope === "link" && scope === "global") continue;
      if (target !== 0 && inSubnet(ifa, target)) return ifa.addr;
      if (first === 0) first = ifa.addr;
    }
    return first === 0 ? this.#anyAddress() : first;
  }

  /** The first global address there is; `lo` is asked first, since a host's own address is often put there. */
  #anyAddress(): Ipv4Addr {
    for (let i = 1; i < this.#byIndex.length; i++) {
      const dev = this.#byIndex[i];
      if (dev === undefined) continue;
      const addrs = this.addresses(dev);
      for (let j = 0; j < addrs.length; j++) {
        const ifa = addrs[j] as IfAddr;
        if (!ifa.secondary && ifa.scope === "global") return ifa.addr;
      }
    }
    return 0;
  }
}

/** Are two kernel routes of one device the same? */
function sameRoute(a: Route, b: Route): boolean {
  return a.type === b.type && a.dst.addr === b.dst.addr && a.dst.len === b.dst.len && a.src === b.src;
}
