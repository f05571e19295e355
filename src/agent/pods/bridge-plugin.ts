// Attaching pods as the CNI bridge plugin does under flannel's delegate: `isGateway`, `isDefaultGateway` and
// `hairpinMode` set. Read specs on flannel §4 first.
import { formatIpv4, type Ipv4Addr, type Prefix } from "../../base/ipv4-addr.ts";
import { formatMac, randomMac } from "../../base/mac-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Instant } from "../../base/time.ts";
import type { PodRow } from "../../control/inspect.ts";
import { Bridge } from "../../stack/bridge.ts";
import type { NetStack } from "../../stack/net-stack.ts";
import type { Netns } from "../../stack/netns.ts";
import { type Veth, vethPair } from "../../stack/veth.ts";

export const BRIDGE_NAME = "cni0";

interface Pod {
  readonly name: string;
  readonly netns: Netns;
  readonly addr: Ipv4Addr;
  readonly hostEnd: Veth;
  readonly podEnd: Veth;
}

export interface BridgePluginOptions {
  readonly stack: NetStack;
  readonly host: Netns;
  /** The node's pod subnet; its first address becomes the bridge's. */
  readonly subnet: Prefix;
  /** The whole pod network: the pod's second route. */
  readonly network: Prefix;
  readonly mtuBytes: number;
}

/** cni0 and the pods on it. */
export class BridgePlugin {
  readonly #options: BridgePluginOptions;
  readonly #pods = new Map<string, Pod>();
  #bridge: Bridge | undefined;

  constructor(options: BridgePluginOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pods.size;
  }

  names(): string[] {
    return [...this.#pods.keys()].sort();
  }

  netns(name: string): Netns | undefined {
    return this.#pods.get(name)?.netns;
  }

  /** CNI ADD: the namespace, its veth pair, cni0's port, the pod's address and routes, one gratuitous ARP. */
  add(name: string, addr: Ipv4Addr, now: Instant): Result<void, string> {
    if (this.#pods.has(name)) return err(`pod "${name}" exists already`);
    const { stack, host, subnet, network, mtuBytes } = this.#options;
    if (stack.netns(name) !== undefined) return err(`the name "${name}" is taken by another namespace`);
    const bridge = this.#ensureBridge(now);
    const netns = stack.addNetns(name);
    const [hostEnd, podEnd] = vethPair(
      stack,
      this.#freeVethName(),
      "eth0",
      randomMac(stack.rng),
      randomMac(stack.rng),
      mtuBytes,
    );
    host.addDevice(hostEnd);
    netns.addDevice(podEnd);
    bridge.addPort(hostEnd, now);
    bridge.setHairpin(hostEnd, true);
    host.setLink(hostEnd, true, now);
    const gateway = (subnet.addr + 1) >>> 0;
    netns.setLink(podEnd, true, now);
    const steps = [
      netns.addAddress(podEnd, { addr, len: subnet.len }, now),
      netns.addRoute({ dst: network, via: gateway, dev: podEnd, proto: "boot" }, now),
      netns.addRoute({ dst: { addr: 0, len: 0 }, via: gateway, dev: podEnd, proto: "boot" }, now),
    ];
    this.#pods.set(name, { name, netns, addr, hostEnd, podEnd });
    const failed = steps.find((step) => !step.ok);
    if (failed !== undefined && !failed.ok) {
      this.del(name, now);
      return err(`pod "${name}": ${failed.error}`);
    }
    netns.arp.announce(podEnd, addr, now);
    return ok(undefined);
  }

  /** CNI DEL: everything that ADD made except cni0, which stays as it does in a cluster. False when there was no such pod. */
  del(name: string, now: Instant): boolean {
    const pod = this.#pods.get(name);
    if (pod === undefined) return false;
    this.#pods.delete(name);
    this.#bridge?.delPort(pod.hostEnd, now);
    this.#options.host.delDevice(pod.hostEnd, now);
    this.#options.stack.delNetns(name);
    return true;
  }

  row(name: string, node: string): PodRow | undefined {
    const pod = this.#pods.get(name);
    if (pod === undefined) return undefined;
    return {
      name,
      node,
      ip: formatIpv4(pod.addr),
      mac: formatMac(pod.podEnd.mac),
      hostDevice: pod.hostEnd.name,
      gateway: formatIpv4((this.#options.subnet.addr + 1) >>> 0),
      mtu: pod.podEnd.mtuBytes,
    };
  }

  #ensureBridge(now: Instant): Bridge {
    const { stack, host, subnet, mtuBytes } = this.#options;
    const gateway = { addr: (subnet.addr + 1) >>> 0, len: subnet.len };
    if (this.#bridge !== undefined) {
      // With every pod the plugin sees to it again: somebody may have taken the address away, or set the bridge down.
      host.addAddress(this.#bridge, gateway, now);
      host.setLink(this.#bridge, true, now);
      return this.#bridge;
    }
    const bridge = new Bridge(stack, BRIDGE_NAME, randomMac(stack.rng), mtuBytes);
    host.addDevice(bridge);
    host.setLink(bridge, true, now);
    host.addAddress(bridge, gateway, now);
    // As the plugin does: otherwise the gateway's MAC would change with the lowest of its ports, under the pods' feet.
    bridge.setMac(bridge.mac, now);
    this.#bridge = bridge;
    return bridge;
  }

  #freeVethName(): string {
    for (;;) {
      const name = `veth${this.#options.stack.rng.u32().toString(16).padStart(8, "0")}`;
      if (this.#options.host.device(name) === undefined) return name;
    }
  }
}
