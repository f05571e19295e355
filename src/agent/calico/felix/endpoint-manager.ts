// The pods of a Calico node: each behind a veth pair of its own, with a /32 on both sides and no bridge. What a pod asks by ARP for its
// gateway, 169.254.1.1, the host's end answers as a proxy, as for any address that the host has a route to. Specs on Calico §2.1.
import { formatIpv4, type Ipv4Addr, ipv4 } from "../../../base/ipv4-addr.ts";
import { formatMac, type MacAddr } from "../../../base/mac-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { Instant } from "../../../base/time.ts";
import { CALI_MAC, caliDeviceName } from "../../../control/calico/device-names.ts";
import type { PodRow } from "../../../control/inspect.ts";
import type { NetStack } from "../../../stack/net-stack.ts";
import type { Netns } from "../../../stack/netns.ts";
import type { RouteSpec } from "../../../stack/route.ts";
import { type Veth, vethPair } from "../../../stack/veth.ts";

/** Every pod's gateway. No device has this address. */
export const POD_GATEWAY: Ipv4Addr = ipv4("169.254.1.1");

/** What CNI has found for a pod. */
export interface Workload {
  readonly pod: string;
  readonly namespace: string;
  readonly addr: Ipv4Addr;
  readonly mac: MacAddr;
}

interface Endpoint extends Workload {
  readonly netns: Netns;
  readonly hostEnd: Veth;
  readonly podEnd: Veth;
}

export interface EndpointManagerOptions {
  readonly node: string;
  readonly stack: NetStack;
  readonly host: Netns;
  /** Metric of the routes to pods; 0 before Calico 3.32. */
  readonly routeMetric: number;
  /** Told of each pod's route, to keep it; a `spec` of undefined: keep it no longer. */
  readonly keepRoute: (addr: Ipv4Addr, spec: RouteSpec | undefined) => void;
}

export class EndpointManager {
  readonly #options: EndpointManagerOptions;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(options: EndpointManagerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** Pods by name, sorted. */
  names(): string[] {
    return [...this.#endpoints.keys()].sort();
  }

  netns(pod: string): Netns | undefined {
    return this.#endpoints.get(pod)?.netns;
  }

  lookup(pod: string): Workload | undefined {
    return this.#endpoints.get(pod);
  }

  /** Makes the pod's namespace, its pair, addresses and routes. Undone when any of it fails. @returns why not */
  add(workload: Workload, mtuBytes: number, now: Instant): Result<PodRow, string> {
    const { pod, namespace, addr, mac } = workload;
    const { stack, host } = this.#options;
    if (stack.netns(pod) !== undefined) return err(`the name "${pod}" is taken by another pod of this node`);
    const device = caliDeviceName(namespace, pod);
    if (host.device(device) !== undefined) return err(`${device} exists already`);
    const route = host.fib.lookup(addr);
    if (route?.dst.len === 32 && route.dev !== undefined) {
      return err(
        `route ${formatIpv4(addr)} already exists on ${route.dev.name}: another pod has the address`,
      );
    }
    const netns = stack.addNetns(pod);
    const [hostEnd, podEnd] = vethPair(stack, device, "eth0", CALI_MAC, mac, mtuBytes);
    const endpoint: Endpoint = { ...workload, netns, hostEnd, podEnd };
    this.#endpoints.set(pod, endpoint);
    host.addDevice(hostEnd);
    netns.addDevice(podEnd);
    this.#setHostEnd(hostEnd, now);
    const failed = this.#setPodEnd(endpoint, now);
    if (!failed.ok) {
      this.del(pod, now);
      return err(`pod "${pod}": ${failed.error}`);
    }
    this.#options.keepRoute(addr, {
      dst: { addr, len: 32 },
      dev: hostEnd,
      scope: "link",
      proto: "boot",
      metric: this.#options.routeMetric,
    });
    return ok(this.#row(endpoint));
  }

  /** False when there is no such pod. */
  del(pod: string, now: Instant): boolean {
    const endpoint = this.#endpoints.get(pod);
    if (endpoint === undefined) return false;
    this.#endpoints.delete(pod);
    this.#options.keepRoute(endpoint.addr, undefined);
    this.#options.host.delDevice(endpoint.hostEnd, now);
    this.#options.stack.delNetns(pod, now);
    return true;
  }

  rows(): PodRow[] {
    return this.names().map((pod) => this.#row(this.#endpoints.get(pod) as Endpoint));
  }

  /** Is it the host's end of a pod's pair? */
  isHostEnd(device: string): boolean {
    return device.startsWith("cali");
  }

  /** What Felix writes below /proc/sys for each of them. */
  #setHostEnd(hostEnd: Veth, now: Instant): void {
    const { host } = this.#options;
    const conf = (key: string, value: string): void => {
      const set = host.sysctl.set(`net.ipv4.${key.replace("DEV", hostEnd.name)}`, value);
      if (!set.ok) throw new Error(`${key}: ${set.error}`);
    };
    conf("conf.DEV.proxy_arp", "1");
    conf("neigh.DEV.proxy_delay", "0");
    conf("conf.DEV.forwarding", "1");
    conf("conf.DEV.rp_filter", "1");
    conf("conf.DEV.route_localnet", "1");
    host.setLink(hostEnd, true, now);
  }

  #setPodEnd({ netns, podEnd, addr }: Endpoint, now: Instant): Result<void, string> {
    netns.setLink(podEnd, true, now);
    const added = netns.addAddress(podEnd, { addr, len: 32 }, now);
    if (!added.ok) return added;
    const gateway = netns.addRoute({ dst: { addr: POD_GATEWAY, len: 32 }, dev: podEnd, scope: "link" }, now);
    if (!gateway.ok) return gateway;
    return netns.addRoute({ dst: { addr: 0, len: 0 }, via: POD_GATEWAY, dev: podEnd }, now);
  }

  #row({ pod, namespace, addr, mac, hostEnd, podEnd }: Endpoint): PodRow {
    return {
      name: pod,
      namespace,
      node: this.#options.node,
      ip: formatIpv4(addr),
      mac: formatMac(mac),
      hostDevice: hostEnd.name,
      gateway: formatIpv4(POD_GATEWAY),
      mtu: podEnd.mtuBytes,
    };
  }
}
