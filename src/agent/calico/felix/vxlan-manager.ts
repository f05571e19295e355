// vxlan.calico: one VTEP that learns nothing; for each node an ARP entry and an FDB entry, for each of its blocks a route. Specs on
// Calico §2.2, §2.3.
import { DropReason } from "../../../base/drop-reason.ts";
import { formatIpv4, formatPrefix, type Ipv4Addr, type Prefix, parseIpv4 } from "../../../base/ipv4-addr.ts";
import { formatMac, type MacAddr, parseMac } from "../../../base/mac-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { L3Changes, L3Route } from "../../../control/calico/calc/l3-routes.ts";
import { vtepMac } from "../../../control/calico/device-names.ts";
import type { NodeResource } from "../../../control/calico/resources.ts";
import type { NetDevice } from "../../../stack/net-device.ts";
import type { NetStack } from "../../../stack/net-stack.ts";
import type { Netns } from "../../../stack/netns.ts";
import type { PacketBuffer } from "../../../stack/packet-buffer.ts";
import type { DatagramReceiver, Underlay } from "../../../tunnel/underlay.ts";
import { VxlanDevice } from "../../../tunnel/vxlan.ts";
import { VxlanPort } from "../../../tunnel/vxlan-port.ts";
import type { RouteTable } from "../../route-table.ts";

export const VXLAN_DEVICE = "vxlan.calico";

/** The VTEP of another node, as its Node resource tells. */
interface Vtep {
  readonly tunnelAddr: Ipv4Addr;
  readonly mac: MacAddr;
  readonly nodeAddr: Ipv4Addr;
}

export interface VxlanManagerOptions {
  readonly node: string;
  readonly stack: NetStack;
  readonly host: Netns;
  readonly uplink: NetDevice;
  /** Felix's routes; those to blocks are put there. */
  readonly routes: RouteTable;
  readonly vni: number;
  readonly mtuBytes: number;
}

export class VxlanManager implements DatagramReceiver {
  readonly device: VxlanDevice;
  readonly #options: VxlanManagerOptions;
  readonly #port: VxlanPort;
  readonly #vteps = new Map<string, Vtep>();
  readonly #installed = new Map<string, Vtep>();
  /** Routes to blocks in VXLAN pools, by destination, and those of each node. */
  readonly #routes = new Map<string, L3Route>();
  readonly #byNode = new Map<string, Set<string>>();
  readonly #dirtyNodes = new Set<string>();
  readonly #dirtyRoutes = new Map<string, Prefix>();
  /** Nodes that VXLAN is taken from. */
  readonly #sources = new Set<Ipv4Addr>();

  constructor(options: VxlanManagerOptions, underlay: Underlay) {
    this.#options = options;
    const { node, stack, host, vni, mtuBytes } = options;
    this.device = new VxlanDevice(
      stack,
      VXLAN_DEVICE,
      vtepMac(node),
      mtuBytes,
      { vni, learning: false, gbp: false, ageingSec: 0, local: underlay.local, dstPort: underlay.port },
      underlay,
    );
    this.#port = new VxlanPort(stack);
    this.#port.add(this.device);
    host.addDevice(this.device);
  }

  /** Takes a datagram of the port, from nodes of the cluster alone. @drops NETFILTER_DROP */
  receive(pkt: PacketBuffer, src: Ipv4Addr, srcPort: number, now: Instant): void {
    if (this.#sources.has(src)) this.#port.receive(pkt, src, srcPort, now);
    else this.#options.stack.drop(pkt, DropReason.NETFILTER_DROP, now);
  }

  /** Gives the device its address, a /32 of a VXLAN pool, and brings it up. Routes and neighbours follow with the next work. */
  configure(addr: Ipv4Addr, now: Instant): void {
    const { host } = this.#options;
    const before = host.addresses(this.device).slice();
    // The new one first: a device without any address would lose its neighbours and routes.
    if (!before.some((had) => had.addr === addr)) host.addAddress(this.device, { addr, len: 32 }, now);
    for (const had of before) if (had.addr !== addr) host.delAddress(this.device, had, now);
    if (this.device.up) return;
    host.setLink(this.device, true, now);
    this.#installed.clear();
    for (const node of this.#vteps.keys()) this.#dirtyNodes.add(node);
  }

  get vni(): number {
    return this.#options.vni;
  }

  setMtu(mtuBytes: number, now: Instant): void {
    if (this.device.mtuBytes !== mtuBytes) this.device.setMtu(mtuBytes, now);
  }

  onNode(name: string, node: NodeResource | undefined): void {
    if (name === this.#options.node) return;
    const vtep = node === undefined ? undefined : vtepOf(name, node);
    if (vtep === undefined) this.#vteps.delete(name);
    else this.#vteps.set(name, vtep);
    this.#dirtyNodes.add(name);
  }

  onRoutes({ replaced, deleted }: L3Changes): void {
    for (const dst of deleted) this.#forget(dst);
    for (const route of replaced) {
      this.#forget(route.dst);
      if (route.pool.vxlanMode === "Never") continue;
      const key = formatPrefix(route.dst);
      this.#dirtyRoutes.set(key, route.dst);
      this.#routes.set(key, route);
      const blocks = this.#byNode.get(route.node);
      if (blocks === undefined) this.#byNode.set(route.node, new Set([key]));
      else blocks.add(key);
    }
  }

  /** Neighbours first, then what leads through them. @returns complaints, one a node */
  completeDeferredWork(now: Instant): string[] {
    const complaints: string[] = [];
    for (const name of this.#dirtyNodes) {
      const complaint = this.#applyVtep(name, now);
      if (complaint !== undefined) complaints.push(complaint);
      for (const key of this.#byNode.get(name) ?? []) {
        const route = this.#routes.get(key);
        if (route !== undefined) this.#dirtyRoutes.set(key, route.dst);
      }
    }
    this.#dirtyNodes.clear();
    for (const [key, dst] of this.#dirtyRoutes) this.#applyRoute(this.#routes.get(key), dst);
    this.#dirtyRoutes.clear();
    return complaints;
  }

  /** Compares neighbours and forwarding entries with what there is: the next work restores what is missing or different. */
  resync(now: Instant): void {
    if (!this.device.up) return;
    const { host } = this.#options;
    const there = new Set<string>();
    for (const { mac, remote } of this.device.fdb.dump(now))
      there.add(`${formatMac(mac)} ${formatIpv4(remote)}`);
    for (const [name, { tunnelAddr, mac, nodeAddr }] of this.#installed) {
      const entry = host.neigh.lookup(this.device, tunnelAddr);
      const known = entry?.mac === mac && entry.state === "PERMANENT";
      if (known && there.has(`${formatMac(mac)} ${formatIpv4(nodeAddr)}`)) continue;
      this.#installed.delete(name);
      this.#sources.delete(nodeAddr);
      this.#dirtyNodes.add(name);
    }
  }

  /** Takes the device away, and all that it needs. */
  close(now: Instant): void {
    for (const { dst } of this.#routes.values()) this.#options.routes.del({ dst });
    this.#port.del(this.device);
    this.#options.host.delDevice(this.device, now);
  }

  #forget(dst: Prefix): void {
    const key = formatPrefix(dst);
    const had = this.#routes.get(key);
    // What was never ours may be another's by now.
    if (had === undefined) return;
    this.#dirtyRoutes.set(key, dst);
    this.#routes.delete(key);
    this.#byNode.get(had.node)?.delete(key);
  }

  #applyRoute(route: L3Route | undefined, dst: Prefix): void {
    const { routes, uplink } = this.#options;
    if (route === undefined) {
      routes.del({ dst });
      return;
    }
    if (route.encap === "none") {
      routes.replace({ dst, via: route.nodeAddr, dev: uplink, onlink: true, proto: "felix" });
      return;
    }
    const vtep = this.#installed.get(route.node);
    if (vtep === undefined) routes.del({ dst });
    else routes.replace({ dst, via: vtep.tunnelAddr, dev: this.device, onlink: true, proto: "felix" });
  }

  #applyVtep(name: string, now: Instant): string | undefined {
    const wanted = this.#vteps.get(name);
    const had = this.#installed.get(name);
    if (wanted !== undefined && had !== undefined && sameVtep(wanted, had)) return undefined;
    const { host } = this.#options;
    if (had !== undefined) {
      host.neigh.del(this.device, had.tunnelAddr, now);
      this.device.fdb.del(had.mac, had.nodeAddr);
      this.#sources.delete(had.nodeAddr);
      this.#installed.delete(name);
    }
    if (wanted === undefined || !this.device.up) return undefined;
    const { tunnelAddr, mac, nodeAddr } = wanted;
    const neigh = host.neigh.replace({ dev: this.device, ip: tunnelAddr, mac, state: "PERMANENT" }, now);
    if (!neigh.ok) return `node ${name}: ARP entry for ${formatIpv4(tunnelAddr)}: ${neigh.error}`;
    const fdb = this.device.fdb.replace(mac, nodeAddr, "permanent", now);
    if (!fdb.ok) return `node ${name}: FDB entry for ${formatIpv4(nodeAddr)}: ${fdb.error}`;
    this.#sources.add(nodeAddr);
    this.#installed.set(name, wanted);
    return undefined;
  }
}

/** Undefined while the node has no VTEP. */
function vtepOf(name: string, { spec }: NodeResource): Vtep | undefined {
  const tunnelAddr = parseIpv4(spec.ipv4VXLANTunnelAddr ?? "");
  const nodeAddr = parseIpv4(spec.bgp?.ipv4Address?.split("/")[0] ?? "");
  if (tunnelAddr === undefined || nodeAddr === undefined) return undefined;
  const mac = spec.vxlanTunnelMACAddr === undefined ? vtepMac(name) : parseMac(spec.vxlanTunnelMACAddr);
  return mac === undefined ? undefined : { tunnelAddr, mac, nodeAddr };
}

function sameVtep(a: Vtep, b: Vtep): boolean {
  return a.tunnelAddr === b.tunnelAddr && a.mac === b.mac && a.nodeAddr === b.nodeAddr;
}
