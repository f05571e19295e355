// Flannel's vxlan backend: one VTEP device, and for each peer's lease an ARP entry, an FDB entry and a route, in that
// order. Read specs on flannel §2.1 first. Not here: DirectRouting, IPv6.
import { formatIpv4, formatPrefix, type Ipv4Addr, type Prefix } from "../../base/ipv4-addr.ts";
import { formatMac, type MacAddr, randomMac } from "../../base/mac-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Instant } from "../../base/time.ts";
import { type LeaseAttrs, type PeerLease, vxlanBackendData } from "../../control/flannel/lease-attrs.ts";
import type { NetConf } from "../../control/flannel/net-conf.ts";
import type { NetStack } from "../../stack/net-stack.ts";
import type { Netns } from "../../stack/netns.ts";
import type { Underlay } from "../../tunnel/underlay.ts";
import { VxlanDevice } from "../../tunnel/vxlan.ts";
import { VxlanPort } from "../../tunnel/vxlan-port.ts";

/** Linux's default when flannel's config names no port. */
export const LINUX_VXLAN_PORT = 8472;

/** Bytes that VXLAN over IPv4 adds to an IP packet: outer IP 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const VXLAN_OVERHEAD_BYTES = 50;

/** What is installed for a peer, so that exactly this is removed. */
interface Installed {
  readonly subnet: Prefix;
  readonly mac: MacAddr;
  readonly remote: Ipv4Addr;
}

export type LeaseUpdate =
  | { readonly t: "added"; readonly lease: PeerLease }
  | { readonly t: "removed"; readonly lease: PeerLease };

export interface VxlanBackendOptions {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly config: NetConf;
  /** MTU of the underlay interface. */
  readonly underlayMtuBytes: number;
  /** Keep the original's quirks: a changed MAC leaves its old FDB entry behind. */
  readonly strict: boolean;
}

/** A two-method manager: collect lease events, then apply them in the order in which they came. */
export class VxlanBackend {
  readonly device: VxlanDevice;
  /** Where the socket edge delivers the datagrams of the VXLAN port. */
  readonly port: VxlanPort;
  readonly #options: VxlanBackendOptions;
  readonly #installed = new Map<string, Installed>();
  /** What should be there; kept so that it can be replayed after a fence. */
  readonly #desired = new Map<string, PeerLease>();
  /** Subnets of leases that no VTEP can be made of, by key. */
  readonly #unusable = new Map<string, Prefix>();
  #pending: LeaseUpdate[] = [];
  #fenced = false;

  constructor(options: VxlanBackendOptions, underlay: Underlay) {
    this.#options = options;
    const { stack, host, config, underlayMtuBytes } = options;
    const backend = config.backend;
    this.device = new VxlanDevice(
      stack,
      `flannel.${backend.vni}`,
      randomMac(stack.rng),
      (backend.mtuBytes ?? underlayMtuBytes) - VXLAN_OVERHEAD_BYTES,
      {
        vni: backend.vni,
        learning: backend.learning,
        gbp: backend.gbp,
        ageingSec: 300,
        local: underlay.local,
        dstPort: underlay.port,
      },
      underlay,
    );
    this.port = new VxlanPort(stack);
    this.port.add(this.device);
    host.addDevice(this.device);
  }

  /** What this node's lease says of its VTEP. */
  leaseAttrs(publicIp: Ipv4Addr): LeaseAttrs {
    const { vni } = this.#options.config.backend;
    const { mac } = this.device;
    return {
      publicIp,
      backendType: "vxlan",
      vni,
      vtepMac: mac,
      backendData: vxlanBackendData(vni, mac),
    };
  }

  /** Subnets of the peers that are installed. */
  get peers(): number {
    return this.#installed.size;
  }

  peerSubnets(): Prefix[] {
    return [...this.#installed.values()].map((peer) => peer.subnet);
  }

  /** Subnets of leases that are rightly not installed: another backend's, or without a VTEP's MAC. */
  unusableSubnets(): Prefix[] {
    return [...this.#unusable.values()];
  }

  /** Subnets of the peers behind `remote`. */
  subnetsBehind(remote: Ipv4Addr): Prefix[] {
    return [...this.#installed.values()].flatMap((peer) => (peer.remote === remote ? [peer.subnet] : []));
  }

  /** Gives the device its address (the subnet's base, /32) and brings it up. */
  configure(subnet: Prefix, now: Instant): Result<void, string> {
    const host = this.#options.host;
    for (const had of host.addresses(this.device).slice()) {
      if (had.addr !== subnet.addr) host.delAddress(this.device, had, now);
    }
    if (!host.addresses(this.device).some((had) => had.addr === subnet.addr)) {
      const added = host.addAddress(this.device, { addr: subnet.addr, len: 32 }, now);
      if (!added.ok) return added;
    }
    // A fenced device comes up with `unfence`, and not a moment earlier.
    if (!this.#fenced) host.setLink(this.device, true, now);
    return ok(undefined);
  }

  onUpdate(update: LeaseUpdate): void {
    this.#pending.push(update);
  }

  /** Applies what came. @returns the complaints, one a lease; the rest is applied all the same */
  completeDeferredWork(now: Instant): Result<void, readonly string[]> {
    const updates = this.#pending;
    if (updates.length === 0) return ok(undefined);
    this.#pending = [];
    const complaints: string[] = [];
    for (const update of updates) {
      const complaint =
        update.t === "added" ? this.#add(update.lease, now) : this.#remove(update.lease.key, now);
      if (complaint !== undefined) complaints.push(complaint);
    }
    return complaints.length === 0 ? ok(undefined) : err(complaints);
  }

  /**
   * Stops forwarding to and from the overlay, visibly: the device goes down, and Linux's rules take its routes and ARP
   * entries away.
   */
  fence(now: Instant): void {
    if (this.#fenced) return;
    this.#fenced = true;
    this.#options.host.setLink(this.device, false, now);
  }

  /** Takes up forwarding again and installs every peer anew, since a device that comes up restores nothing. */
  unfence(now: Instant): void {
    if (!this.#fenced) return;
    this.#fenced = false;
    this.#options.host.setLink(this.device, true, now);
    for (const lease of this.#desired.values()) this.#pending.push({ t: "added", lease });
  }

  #add(lease: PeerLease, now: Instant): string | undefined {
    const attrs = lease.attrs;
    this.#unusable.set(lease.key, lease.subnet);
    if (attrs.backendType !== "vxlan") {
      return `ignoring non-vxlan v4Subnet(${formatPrefix(lease.subnet)}): type=${attrs.backendType ?? ""}`;
    }
    if (attrs.vtepMac === undefined) {
      return `lease ${lease.key} has no VtepMAC in its BackendData; the peer is not reachable until it writes one`;
    }
    this.#unusable.delete(lease.key);
    this.#desired.set(lease.key, lease);
    if (this.#fenced) return undefined;
    const next: Installed = { subnet: lease.subnet, mac: attrs.vtepMac, remote: attrs.publicIp };
    const had = this.#installed.get(lease.key);
    const failed = this.#install(next, now);
    if (failed !== undefined) {
      this.#installed.delete(lease.key);
      return `${formatPrefix(lease.subnet)} via ${formatIpv4(attrs.publicIp)}: ${failed}`;
    }
    this.#installed.set(lease.key, next);
    // The original leaves the entry of the old MAC behind; it would send to a VTEP that is gone.
    if (had !== undefined && had.mac !== next.mac && !this.#options.strict) this.#delFdb(had.mac);
    return undefined;
  }

  /** ARP, FDB, route; what was done is undone when a later one fails. @returns what failed */
  #install(peer: Installed, now: Instant): string | undefined {
    const { host } = this.#options;
    const arp = host.neigh.replace(
      { dev: this.device, ip: peer.subnet.addr, mac: peer.mac, state: "PERMANENT" },
      now,
    );
    if (!arp.ok) return `ARP entry for ${formatIpv4(peer.subnet.addr)}: ${arp.error}`;
    const fdb = this.device.fdb.replace(peer.mac, peer.remote, "permanent", now);
    if (!fdb.ok) {
      host.neigh.del(this.device, peer.subnet.addr, now);
      return `FDB entry for ${formatMac(peer.mac)}: ${fdb.error}`;
    }
    const route = host.replaceRoute(
      { dst: peer.subnet, via: peer.subnet.addr, dev: this.device, onlink: true, proto: "boot" },
      now,
    );
    if (!route.ok) {
      host.neigh.del(this.device, peer.subnet.addr, now);
      this.device.fdb.del(peer.mac);
      return `route to ${formatPrefix(peer.subnet)}: ${route.error}`;
    }
    return undefined;
  }

  /** ARP, FDB, route: all are attempted. */
  #remove(key: string, now: Instant): string | undefined {
    this.#desired.delete(key);
    this.#unusable.delete(key);
    const had = this.#installed.get(key);
    if (had === undefined) return undefined;
    this.#installed.delete(key);
    const { host } = this.#options;
    host.neigh.del(this.device, had.subnet.addr, now);
    this.#delFdb(had.mac);
    // The route of a device that is down is gone already.
    if (this.#fenced) return undefined;
    const route = host.delRoute({ dst: had.subnet, via: had.subnet.addr, dev: this.device }, now);
    return route.ok ? undefined : `route to ${formatPrefix(had.subnet)}: ${route.error}`;
  }

  /** An FDB entry belongs to a MAC, not to a lease: it goes with the last lease that names it. */
  #delFdb(mac: MacAddr): void {
    for (const peer of this.#installed.values()) if (peer.mac === mac) return;
    this.device.fdb.del(mac);
  }
}
