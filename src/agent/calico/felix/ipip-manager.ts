// tunl0, and how what it sends leaves the node: as IP protocol 4 where both ends can, else in UDP. Specs on Calico §2.3.

import { DropReason } from "../../../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import { ipipCarriersOf } from "../../../control/calico/own-node.ts";
import type { NodeResource } from "../../../control/calico/resources.ts";
import type { NetStack } from "../../../stack/net-stack.ts";
import type { Netns } from "../../../stack/netns.ts";
import type { PacketBuffer } from "../../../stack/packet-buffer.ts";
import { FOU_OVERHEAD_BYTES, IPIP_OVERHEAD_BYTES, IpipDevice } from "../../../tunnel/ipip.ts";
import type { IpipCarrier, IpipCarrierKind, IpipReceiver } from "../../../tunnel/ipip-carrier.ts";
import type { OuterError, OuterErrorReceiver } from "../../../tunnel/outer-error.ts";

const IPIP_DEVICE = "tunl0";

export interface IpipManagerOptions {
  readonly node: string;
  readonly stack: NetStack;
  readonly host: Netns;
  readonly underlayMtuBytes: number;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
}

interface Peer {
  readonly addr: Ipv4Addr;
  /** The carriers that it takes. */
  readonly carriers: readonly string[];
}

export class IpipManager implements IpipReceiver, OuterErrorReceiver {
  readonly #options: IpipManagerOptions;
  readonly #ways = new Map<IpipCarrierKind, IpipCarrier>();
  readonly #peers = new Map<string, Peer>();
  /** By address: which way leads to a node; undefined: none does. Nodes alone are in it. */
  readonly #wayTo = new Map<Ipv4Addr, IpipCarrier | undefined>();
  #device: IpipDevice | undefined;
  /** All ways that this node will have are open: before, nobody can be called unreachable. */
  #settled = false;
  /** Those that the log names as unreachable. */
  #told = "";

  constructor(options: IpipManagerOptions) {
    this.#options = options;
  }

  get device(): IpipDevice | undefined {
    return this.#device;
  }

  /** The carriers that this node has. */
  ways(): IpipCarrierKind[] {
    return (["proto4", "fou"] as const).filter((kind) => this.#ways.has(kind));
  }

  /** Bytes that are added to a packet: more where it goes in UDP to anybody. */
  get overheadBytes(): number {
    const inUdp = !this.#ways.has("proto4") || [...this.#wayTo.values()].some((way) => way?.kind === "fou");
    return inUdp ? FOU_OVERHEAD_BYTES : IPIP_OVERHEAD_BYTES;
  }

  /** Nodes that cannot be reached, for there is no carrier that both ends have. */
  unreachable(): string[] {
    return [...this.#peers]
      .flatMap(([name, { addr }]) => (this.#wayTo.get(addr) === undefined ? [name] : []))
      .sort();
  }

  /** The carriers in use, and how many nodes are reached by each: what `podloom get nodes` shows. */
  inUse(): string {
    const counts = new Map<string, number>();
    for (const way of this.#wayTo.values()) {
      const kind = way?.kind ?? "unreachable";
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    if (counts.size === 0) return [...this.#ways.keys()].join("+") || "none";
    return [...counts].map(([kind, count]) => (counts.size === 1 ? kind : `${kind}:${count}`)).join(" ");
  }

  /** A way out of the node has opened. */
  opened(way: IpipCarrier): void {
    this.#ways.set(way.kind, way);
    this.#decide();
  }

  /** No further way will open. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#decide();
  }

  onNode(name: string, node: NodeResource | undefined): void {
    if (name === this.#options.node) return;
    const addr = parseIpv4(node?.spec.bgp?.ipv4Address?.split("/")[0] ?? "");
    if (node === undefined || addr === undefined) this.#peers.delete(name);
    else this.#peers.set(name, { addr, carriers: ipipCarriersOf(node) });
    this.#decide();
  }

  /** The device has this address and MTU; undefined: there is no device. */
  configure(addr: Ipv4Addr | undefined, mtuBytes: number, now: Instant): void {
    const { stack, host } = this.#options;
    if (addr === undefined) {
      if (this.#device !== undefined) host.delDevice(this.#device, now);
      this.#device = undefined;
      return;
    }
    let device = this.#device;
    if (device === undefined) {
      const { underlayMtuBytes } = this.#options;
      device = new IpipDevice(stack, IPIP_DEVICE, mtuBytes, { underlayMtuBytes }, (dst) =>
        this.#wayTo.get(dst),
      );
      device.allowSource = (src) => this.#wayTo.has(src);
      this.#device = device;
      host.addDevice(device);
    }
    const before = host.addresses(device).slice();
    if (!before.some((had) => had.addr === addr)) host.addAddress(device, { addr, len: 32 }, now);
    for (const had of before) if (had.addr !== addr) host.delAddress(device, had, now);
    this.setMtu(mtuBytes, now);
    if (!device.up) host.setLink(device, true, now);
  }

  /** Of the device, while there is one. */
  setMtu(mtuBytes: number, now: Instant): void {
    const device = this.#device;
    if (device !== undefined && device.mtuBytes !== mtuBytes) device.setMtu(mtuBytes, now);
  }

  /** @drops NO_SOCKET without a device, and what the device drops */
  receiveIpip(pkt: PacketBuffer, src: Ipv4Addr, tos: number, now: Instant): void {
    if (this.#device === undefined) this.#options.stack.drop(pkt, DropReason.NO_SOCKET, now);
    else this.#device.receiveIpip(pkt, src, tos, now);
  }

  /** @drops NO_SOCKET without a device, and what the device drops */
  outerTooBig(pkt: PacketBuffer, dst: Ipv4Addr, mtuBytes: number, now: Instant): void {
    if (this.#device === undefined) this.#options.stack.drop(pkt, DropReason.NO_SOCKET, now);
    else this.#device.outerTooBig(pkt, dst, mtuBytes, now);
  }

  receiveOuterError(error: OuterError, now: Instant): void {
    this.#device?.receiveOuterError(error, now);
  }

  /** Protocol 4 where both can, for that is what a kernel takes. */
  #decide(): void {
    this.#wayTo.clear();
    for (const { addr, carriers } of this.#peers.values()) {
      const kind = (["proto4", "fou"] as const).find((one) => this.#ways.has(one) && carriers.includes(one));
      this.#wayTo.set(addr, kind === undefined ? undefined : this.#ways.get(kind));
    }
    if (!this.#settled || this.#ways.size === 0) return;
    const names = this.unreachable();
    const told = this.#told;
    this.#told = names.join(", ");
    if (names.length === 0 || this.#told === told) return;
    const ours = [...this.#ways.keys()].join(" or ");
    const theirs = names.map((name) => {
      const peer = this.#peers.get(name) as Peer;
      return `${name} (${formatIpv4(peer.addr)}) takes ${peer.carriers.join(" or ")}`;
    });
    this.#options.log("error", `no IPIP to ${theirs.join("; ")}: this node can send ${ours} alone`);
  }
}
