// The pods of one node: an address for each, kept across restarts, and its place on the bridge. There are none before the
// node has a subnet.
import type { Ipv4Addr, Prefix } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Instant } from "../../base/time.ts";
import type { PodRow } from "../../control/inspect.ts";
import type { NetStack } from "../../stack/net-stack.ts";
import type { Netns } from "../../stack/netns.ts";
import { BridgePlugin } from "./bridge-plugin.ts";
import { type FileChange, HostLocal } from "./host-local.ts";

export interface NodePodsOptions {
  /** The node's name. */
  readonly node: string;
  readonly stack: NetStack;
  readonly host: Netns;
  /** State kept from an earlier run, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Told what to write and to remove. */
  readonly keep: (change: FileChange) => void;
}

/** What the pods of a subnet are attached with. */
interface Attached {
  readonly bridge: BridgePlugin;
  readonly addresses: HostLocal;
}

const POD_NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

export class NodePods {
  readonly #options: NodePodsOptions;
  #attached: Attached | undefined;

  constructor(options: NodePodsOptions) {
    this.#options = options;
  }

  /** The node has its subnet: from now on pods can be attached. Reservations outside it are released. Only the first call counts. */
  open(subnet: Prefix, network: Prefix, mtuBytes: number): void {
    if (this.#attached !== undefined) return;
    const { stack, host, files, keep } = this.#options;
    const addresses = new HostLocal(subnet, files);
    for (const path of addresses.stale) keep({ path, text: undefined });
    this.#attached = {
      addresses,
      bridge: new BridgePlugin({ stack, host, subnet, network, mtuBytes }),
    };
  }

  /** CNI ADD. @param wish a particular address, or undefined for any */
  add(name: string, wish: Ipv4Addr | undefined, now: Instant): Result<PodRow, string> {
    const { node } = this.#options;
    if (!POD_NAME.test(name)) {
      return err(
        `"${name}" is not a pod name: use 1 to 63 of a-z, 0-9, "-" and ".", not "-" or "." at the ends`,
      );
    }
    if (this.#attached === undefined) {
      return err(`node "${node}" has no subnet yet, so pods cannot be added`);
    }
    const { bridge, addresses } = this.#attached;
    if (bridge.netns(name) !== undefined) return err(`pod "${name}" exists already`);
    const reserved = addresses.add(name, wish);
    if (!reserved.ok) return reserved;
    this.#keep(reserved.value.changes);
    const added = bridge.add(name, reserved.value.addr, now);
    if (!added.ok) {
      this.#keep(addresses.del(name));
      return added;
    }
    return ok(bridge.row(name, node) as PodRow);
  }

  /** CNI DEL; its address is free again. */
  del(name: string, now: Instant): Result<void, string> {
    if (this.#attached?.bridge.del(name, now) !== true) {
      return err(`no pod "${name}" on node "${this.#options.node}"`);
    }
    this.#keep(this.#attached.addresses.del(name));
    return ok(undefined);
  }

  /** Sorted. */
  names(): string[] {
    return this.#attached?.bridge.names() ?? [];
  }

  netns(name: string): Netns | undefined {
    return this.#attached?.bridge.netns(name);
  }

  rows(): PodRow[] {
    return this.names().map((name) => this.#attached?.bridge.row(name, this.#options.node) as PodRow);
  }

  #keep(changes: readonly FileChange[]): void {
    for (const change of changes) this.#options.keep(change);
  }
}
