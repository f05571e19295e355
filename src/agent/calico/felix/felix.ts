// Felix: what the store says, and what BIRD has heard, made into devices, routes and neighbours. Two methods, as all managers:
// onUpdate collects, completeDeferredWork applies. What it needs of others comes out of poll. Specs on Calico §2.
import { DropReason } from "../../../base/drop-reason.ts";
import { formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import { goDurationSec } from "../../../control/calico/calc/go-duration.ts";
import { type L3Route, L3Routes } from "../../../control/calico/calc/l3-routes.ts";
import { PoolTable } from "../../../control/calico/calc/pool-table.ts";
import type { CalicoUpdate } from "../../../control/calico/calico-updates.ts";
import type { FelixConfigurationSpec, IPPool, NodeResource } from "../../../control/calico/resources.ts";
import type { NetDevice } from "../../../stack/net-device.ts";
import type { NetStack } from "../../../stack/net-stack.ts";
import type { Netns } from "../../../stack/netns.ts";
import type { IpipCarrier } from "../../../tunnel/ipip-carrier.ts";
import type { DatagramReceiver, Underlay } from "../../../tunnel/underlay.ts";
import { BIRD_SCAN_US, KernelWatch } from "../../kernel-watch.ts";
import { type ResyncCount, RouteTable } from "../../route-table.ts";
import type { KernelRouteChange } from "../bird/route-exporter.ts";
import { ClusterRoutes, felixSwitch } from "./cluster-routes.ts";
import { EndpointManager } from "./endpoint-manager.ts";
import { IpipManager } from "./ipip-manager.ts";
import { KernelRoutes } from "./kernel-routes.ts";
import { LocalBlocks } from "./local-blocks.ts";
import { type Mtus, mtusOf } from "./mtu.ts";
import { VXLAN_DEVICE, VxlanManager } from "./vxlan-manager.ts";

/** Which Calico is played. */
export type CalicoVersion = "3.31" | "3.32" | "3.33";

const VXLAN_PORT = 4789;
const VXLAN_VNI = 4096;
const ROUTE_REFRESH = "90s";
const REFRESH_MIN_US = 1 * SEC_US;
/** Between two looks at the tunnel devices. */
const DEVICE_CHECK_US = 10 * SEC_US;
/** Metric of a route to a pod, from 3.32 on. */
const POD_METRIC = 1024;

export interface FelixOptions {
  readonly node: string;
  readonly version: CalicoVersion;
  readonly stack: NetStack;
  readonly host: Netns;
  readonly uplink: NetDevice;
  readonly underlay: Ipv4Addr;
  readonly underlayMtuBytes: number;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
  /** There is a route to a pod of this node, or there is none any more. */
  readonly podRoute: (addr: Ipv4Addr, there: boolean) => void;
  /** Open this UDP port for VXLAN, or close it. */
  readonly listen: (port: number) => void;
  readonly unlisten: (port: number) => void;
}

export class Felix {
  readonly pools = new PoolTable();
  readonly endpoints: EndpointManager;
  readonly ipip: IpipManager;
  /** Felix's own routes: those to pods, and what it programs for the cluster. */
  readonly #routes: RouteTable;
  /** BIRD's. */
  readonly #kernel: KernelRoutes;
  readonly #options: FelixOptions;
  readonly #l3: L3Routes;
  readonly #blocks: LocalBlocks;
  readonly #cluster: ClusterRoutes;
  /** By name, to tell the VTEP when it comes. */
  readonly #nodes = new Map<string, NodeResource>();
  readonly #configs = new Map<string, FelixConfigurationSpec>();
  #vxlan: VxlanManager | undefined;
  /** The port that is open for VXLAN, or was asked for. */
  #vxlanAsked: number | undefined;
  /** Its port, which stays open once there was a VTEP. */
  #vxlanUnderlay: Underlay | undefined;
  #vxlanAddr: Ipv4Addr | undefined;
  #ipipAddr: Ipv4Addr | undefined;
  /** Grows with every change of what is behind which node. */
  #l3Version = 0;
  #datastoreReady = true;
  /** Nodes that IPIP has not heard of yet, since the datastore is not ready. */
  readonly #ipipWaits = new Set<string>();
  #refreshAt: Instant = NEVER;
  /** BIRD's looks at the table, Felix's at its tunnels, and what it hears of devices that go up or down. */
  readonly #birdScan: KernelWatch;
  readonly #deviceCheck: KernelWatch;
  readonly #linkMonitor: KernelWatch;
  readonly #watches: readonly KernelWatch[];
  /** What devices are made by may have changed: the configuration, or the carriers that IPIP needs. */
  #devicesStale = false;
  /** The complaints of the last work, so that what stays wrong is told once. */
  #complaints = "";

  constructor(options: FelixOptions) {
    const { node, version, stack, host, uplink } = options;
    this.#options = options;
    this.#routes = new RouteTable({
      host,
      owns: ({ proto, dev }) => proto === "felix" || dev?.name.startsWith("cali") === true,
    });
    this.#kernel = new KernelRoutes(host);
    this.#birdScan = new KernelWatch(BIRD_SCAN_US, () => host.fib.version);
    this.#deviceCheck = new KernelWatch(DEVICE_CHECK_US, () => host.fib.version + host.linkVersion);
    this.#linkMonitor = new KernelWatch(0, () => host.linkVersion);
    this.#watches = [this.#birdScan, this.#deviceCheck, this.#linkMonitor];
    this.endpoints = new EndpointManager({
      node,
      stack,
      host,
      routeMetric: version === "3.31" ? 0 : POD_METRIC,
      keepRoute: (addr, spec) => {
        if (spec === undefined) this.#routes.del({ dst: { addr, len: 32 }, metric: this.#podMetric });
        else this.#routes.replace(spec);
        options.podRoute(addr, spec !== undefined);
      },
    });
    this.ipip = new IpipManager({
      node,
      stack,
      host,
      underlayMtuBytes: options.underlayMtuBytes,
      log: options.log,
    });
    this.#l3 = new L3Routes(node);
    this.#cluster = new ClusterRoutes({ routes: this.#routes, uplink, tunnel: () => this.ipip.device });
    this.#blocks = new LocalBlocks(this.#routes, (pool) => this.#cluster.programs(pool));
  }

  /** Grows whenever {@link reachableBlocks} may have changed. */
  get reachableVersion(): number {
    return this.#l3Version + this.#routes.version + this.#kernel.version + this.#blocks.version;
  }

  get config(): FelixConfigurationSpec {
    return { ...this.#configs.get("default"), ...this.#configs.get(`node.${this.#options.node}`) };
  }

  get mtus(): Mtus {
    const { underlayMtuBytes } = this.#options;
    return mtusOf(underlayMtuBytes, this.ipip.overheadBytes, this.pools.values(), this.config);
  }

  /** False while somebody has closed the store, for a migration say: what it says meanwhile is kept for later. Specs on Calico §1.3. */
  get datastoreReady(): boolean {
    return this.#datastoreReady;
  }

  /** The VTEP, while there is one. */
  get vtep(): NetDevice | undefined {
    return this.#vxlan?.device;
  }

  /** Blocks that are this node's. */
  localBlocks(): readonly Prefix[] {
    return this.#blocks.blocks();
  }

  onUpdate(update: CalicoUpdate): void {
    this.#l3.onUpdate(update);
    this.#blocks.onUpdate(update);
    if (update.t !== "resource") return;
    const { name, value } = update;
    if (update.kind === "IPPool") this.pools.replace(name, value as IPPool | undefined);
    else if (update.kind === "Node") this.#onNode(name, value as NodeResource | undefined);
    else if (update.kind === "ClusterInformation" && name === "default") {
      const wasReady = this.#datastoreReady;
      this.#datastoreReady = value?.kind !== "ClusterInformation" || value.spec.datastoreReady !== false;
      // Felix begins anew, and looks at everything.
      if (this.#datastoreReady && !wasReady) this.#refreshAt = 0;
    } else if (update.kind === "FelixConfiguration") {
      this.#devicesStale = true;
      if (value?.kind === "FelixConfiguration") this.#configs.set(name, value.spec);
      else this.#configs.delete(name);
    }
  }

  /** The way to every block that is not ours, and to addresses that others have borrowed. */
  routes(): L3Route[] {
    return [...this.#l3.dump()];
  }

  /** Blocks, and borrowed addresses, behind a node. */
  blocksBehind(nodeAddr: Ipv4Addr): Prefix[] {
    return this.routes().flatMap((route) => (route.nodeAddr === nodeAddr ? [route.dst] : []));
  }

  /** Of all that stands in blocks and that we know a node of, what there is a route to; own blocks included. Sorted. */
  reachableBlocks(): string[] {
    const routed = new Set<string>();
    for (const dst of this.#kernel.destinations()) routed.add(formatPrefix(dst));
    for (const { dst, type } of this.#routes.dump()) if (type !== "blackhole") routed.add(formatPrefix(dst));
    const reachable = this.localBlocks().map(formatPrefix);
    for (const { dst } of this.#l3.dump()) {
      const text = formatPrefix(dst);
      if (routed.has(text)) reachable.push(text);
    }
    return reachable.sort();
  }

  /** A route that BIRD wants in the kernel, or wants there no more. */
  kernelRoute(change: KernelRouteChange): void {
    this.#kernel.change(change);
  }

  /** BIRD has said all its routes: others of its are an earlier life's. */
  sweep(now: Instant): void {
    this.#kernel.resync(now);
  }

  /** tunl0 has this address; undefined: there is no tunl0. */
  setIpipTunnel(addr: Ipv4Addr | undefined, now: Instant): void {
    this.#ipipAddr = addr;
    this.ipip.configure(addr, this.mtus.ipipBytes, now);
    this.#cluster.refresh();
    this.#kernel.devicesChanged();
  }

  /** vxlan.calico has this address; undefined: there is none. */
  setVxlanTunnel(addr: Ipv4Addr | undefined, now: Instant): void {
    this.#vxlanAddr = addr;
    if (addr === undefined) {
      this.#vxlan?.close(now);
      this.#vxlan = undefined;
    } else if (this.#vxlan !== undefined) this.#vxlan.configure(addr, now);
    else if (this.#vxlanUnderlay !== undefined) this.#makeVxlan(this.#vxlanUnderlay, now);
    else if (this.#vxlanAsked === undefined) {
      this.#vxlanAsked = this.vxlanPort;
      this.#options.listen(this.vxlanPort);
    }
  }

  get vxlanPort(): number {
    return this.config.vxlanPort ?? VXLAN_PORT;
  }

  /** The port that `listen` asked for is open. Its datagrams go to what this answers, for as long as there is a VTEP. */
  vxlanOpened(underlay: Underlay, now: Instant): DatagramReceiver {
    if (underlay.port === this.#vxlanAsked) {
      this.#vxlanUnderlay = underlay;
      this.#makeVxlan(underlay, now);
    } else this.#options.unlisten(underlay.port);
    return {
      receive: (pkt, src, srcPort, at) => {
        if (this.#vxlan === undefined) this.#options.stack.drop(pkt, DropReason.NO_SOCKET, at);
        else this.#vxlan.receive(pkt, src, srcPort, at);
      },
    };
  }

  /** A way for IPIP has opened. */
  ipipOpened(way: IpipCarrier): void {
    this.#devicesStale = true;
    this.ipip.opened(way);
  }

  /** Applies what has come. */
  completeDeferredWork(now: Instant): void {
    const { node, version } = this.#options;
    for (const watch of this.#watches) watch.observe(now);
    if (!this.#datastoreReady) {
      // BIRD is a process of its own, and goes on.
      this.#kernel.apply(now);
      for (const watch of this.#watches) watch.disregard();
      return;
    }
    for (const name of this.#ipipWaits) this.ipip.onNode(name, this.#nodes.get(name));
    this.#ipipWaits.clear();
    if (this.#devicesStale) this.#followConfig(now);
    const changes = this.#l3.flush();
    this.#l3Version += changes.replaced.length + changes.deleted.length;
    this.#cluster.release(changes);
    this.#vxlan?.onRoutes(changes);
    const complaints = this.#vxlan?.completeDeferredWork(now) ?? [];
    if (this.#cluster.setSwitch(felixSwitch(version, this.config))) this.#blocks.refresh();
    this.#cluster.onRoutes(changes);
    this.#blocks.completeDeferredWork();
    complaints.push(...this.#routes.apply(now), ...this.#kernel.apply(now));
    const told = complaints.join("; ");
    if (told !== this.#complaints && told !== "") this.#options.log("warn", `${node}: ${told}`);
    this.#complaints = told;
    if (this.#refreshAt === NEVER) this.#refreshAt = now + this.#refreshUs();
    for (const watch of this.#watches) watch.disregard();
  }

  /** Restores what somebody has changed behind our back. */
  tick(now: Instant): void {
    const refresh = now >= this.#refreshAt;
    if (refresh) this.#refreshAt = now + this.#refreshUs();
    if (this.#birdScan.due(now)) this.#tell("kernel scan", this.#kernel.resync(now));
    const checks = this.#deviceCheck.due(now);
    // Of a device that comes up Felix hears at once.
    const hears = this.#linkMonitor.due(now);
    if (this.#datastoreReady) {
      if (checks || refresh) this.#checkDevices(now);
      if (hears || refresh) {
        this.#vxlan?.resync(now);
        this.#tell("route refresh", this.#routes.resync(now));
      }
    }
    for (const watch of this.#watches) watch.disregard();
  }

  nextDeadline(): Instant {
    return Math.min(
      this.#refreshAt,
      this.#birdScan.nextDeadline(),
      this.#deviceCheck.nextDeadline(),
      this.#linkMonitor.nextDeadline(),
    );
  }

  #tell(what: string, { restored, removed }: ResyncCount): void {
    if (restored + removed === 0) return;
    this.#options.log("warn", `${what}: ${restored} restored, ${removed} foreign ones removed`);
  }

  /** The tunnels have their addresses and MTUs, and are up. */
  #checkDevices(now: Instant): void {
    const { ipipBytes, vxlanBytes } = this.mtus;
    if (this.ipip.device !== undefined) this.ipip.configure(this.#ipipAddr, ipipBytes, now);
    if (this.#vxlan === undefined || this.#vxlanAddr === undefined) return;
    this.#vxlan.configure(this.#vxlanAddr, now);
    this.#vxlan.setMtu(vxlanBytes, now);
  }

  /** Between two looks for what somebody has changed: `routeRefreshInterval`, of which 0 means never. */
  #refreshUs(): number {
    const sec = goDurationSec(this.config.routeRefreshInterval ?? ROUTE_REFRESH);
    // Whatever stands in the store, no node does nothing else.
    return sec === undefined || sec === 0 ? NEVER : Math.max(sec * SEC_US, REFRESH_MIN_US);
  }

  /** Devices that there are become what the configuration says by now. */
  #followConfig(now: Instant): void {
    this.#devicesStale = false;
    this.#refreshAt = Math.min(this.#refreshAt, now + this.#refreshUs());
    const { ipipBytes, vxlanBytes } = this.mtus;
    this.ipip.setMtu(ipipBytes, now);
    const asked = this.#vxlanAsked;
    if (asked !== undefined && asked !== this.vxlanPort) {
      this.#vxlan?.close(now);
      this.#vxlan = undefined;
      this.#vxlanUnderlay = undefined;
      this.#vxlanAsked = this.vxlanPort;
      this.#options.unlisten(asked);
      this.#options.listen(this.vxlanPort);
    }
    if (this.#vxlan === undefined || this.#vxlanUnderlay === undefined) return;
    if (this.#vxlan.vni === this.#vxlanVni) {
      this.#vxlan.setMtu(vxlanBytes, now);
      return;
    }
    // Another VNI is another device.
    this.#vxlan.close(now);
    this.#makeVxlan(this.#vxlanUnderlay, now);
  }

  get #vxlanVni(): number {
    return this.config.vxlanVNI ?? VXLAN_VNI;
  }

  get #podMetric(): number {
    return this.#options.version === "3.31" ? 0 : POD_METRIC;
  }

  #onNode(name: string, node: NodeResource | undefined): void {
    if (node === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, node);
    this.#devicesStale = true;
    this.#vxlan?.onNode(name, node);
    if (this.#datastoreReady) this.ipip.onNode(name, node);
    else this.#ipipWaits.add(name);
  }

  /** A VTEP that comes late is told all that is known. */
  #makeVxlan(underlay: Underlay, now: Instant): void {
    const addr = this.#vxlanAddr;
    if (addr === undefined) return;
    const { node, stack, host, uplink } = this.#options;
    const vni = this.#vxlanVni;
    const mtuBytes = this.mtus.vxlanBytes;
    const vxlan = new VxlanManager(
      { node, stack, host, uplink, routes: this.#routes, vni, mtuBytes },
      underlay,
    );
    this.#vxlan = vxlan;
    vxlan.configure(addr, now);
    for (const [name, resource] of this.#nodes) vxlan.onNode(name, resource);
    vxlan.onRoutes({ replaced: [...this.#l3.dump()], deleted: [] });
    this.#options.log("info", `${VXLAN_DEVICE} listens on UDP port ${underlay.port}, VNI ${vni}`);
  }
}
