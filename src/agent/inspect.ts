import type { DropCounters } from "../base/counters.ts";
import { dropReasonName } from "../base/drop-reason.ts";
import { formatIpv4, formatPrefix, type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import { formatMac } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import type { OwnLease, SubnetManager } from "../control/flannel/subnet-manager.ts";
import type {
  BgpTotals,
  FdbRow,
  LeaseRow,
  LinkRow,
  NeighRow,
  NodeRow,
  RouteRow,
} from "../control/inspect.ts";
import { Bridge } from "../stack/bridge.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { NetStack } from "../stack/net-stack.ts";
import type { Netns } from "../stack/netns.ts";
import { type Route, routeFlags } from "../stack/route.ts";
import { IpipDevice } from "../tunnel/ipip.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import type { AgentState } from "./agent-messages.ts";

/** Subnets as a node's state lists them: sorted, each once. */
export function sortLeases(
  installed: readonly Prefix[],
  unused: readonly Prefix[],
): Pick<AgentState, "leases" | "ignored"> {
  const sorted = (subnets: readonly Prefix[]): Set<string> =>
    new Set([...subnets].sort((a, b) => a.addr - b.addr || a.len - b.len).map(formatPrefix));
  const leases = sorted(installed);
  // Of two keys for one subnet one may be good; and what became bad may still be installed as it was.
  const ignored = [...sorted(unused)].filter((subnet) => !leases.has(subnet));
  return { leases: [...leases], ignored };
}

/** What a node's row holds besides its state. */
export interface NodeFacts {
  readonly underlay: Ipv4Addr;
  readonly backend: string | undefined;
  readonly device: NetDevice | undefined;
  readonly peers: number;
  readonly routes: number;
  readonly drops: DropCounters;
  readonly ageUs: number;
  /** Of a node that speaks BGP. */
  readonly asNumber?: number;
  readonly bgp?: BgpTotals;
  /** How pods' packets travel, for people. */
  readonly encapsulation?: string;
}

/** The node itself. */
export function inspectNode(state: AgentState, facts: NodeFacts): NodeRow {
  const ready = state.phase === "ready";
  return {
    name: state.name,
    status: ready ? "Ready" : state.phase === "fenced" ? "Fenced" : "NotReady",
    ...(ready ? {} : { reason: state.reason ?? state.phase }),
    backend: facts.backend ?? "-",
    underlay: formatIpv4(facts.underlay),
    ...(state.subnet === undefined ? {} : { subnet: state.subnet }),
    ...(state.vtepMac === undefined ? {} : { vtepMac: state.vtepMac }),
    ...(facts.asNumber === undefined ? {} : { asNumber: facts.asNumber }),
    ...(facts.bgp === undefined ? {} : { bgp: facts.bgp }),
    ...(facts.encapsulation === undefined ? {} : { encapsulation: facts.encapsulation }),
    pods: state.pods.length,
    peers: facts.peers,
    routes: facts.routes,
    store: state.store,
    rxPackets: facts.device?.stats.rxPackets ?? 0,
    txPackets: facts.device?.stats.txPackets ?? 0,
    drops: Object.fromEntries(facts.drops.entries()),
    ignored: state.ignored,
    restarts: 0,
    ageSec: Math.floor(facts.ageUs / 1_000_000),
  };
}

/** Leases that this node knows: its own first, then its peers' by subnet. */
export function inspectLeases(
  node: string,
  own: OwnLease | undefined,
  manager: SubnetManager,
  now: Instant,
): LeaseRow[] {
  const rows: LeaseRow[] = [];
  const status = manager.status();
  if (own !== undefined) {
    const ttlSec = (status.validUntil - now) / 1_000_000;
    rows.push({
      node,
      subnet: formatPrefix(own.subnet),
      publicIp: formatIpv4(own.attrs.publicIp),
      backend: own.attrs.backendType ?? "",
      ...(own.attrs.vni === undefined ? {} : { vni: own.attrs.vni }),
      ...(own.attrs.vtepMac === undefined ? {} : { vtepMac: formatMac(own.attrs.vtepMac) }),
      own: true,
      createRevision: own.epoch,
      ...(Number.isFinite(ttlSec) ? { ttlSec: Math.max(0, Math.floor(ttlSec)) } : {}),
    });
  }
  for (const peer of [...status.peers].sort((a, b) => a.subnet.addr - b.subnet.addr)) {
    rows.push({
      node,
      subnet: formatPrefix(peer.subnet),
      publicIp: formatIpv4(peer.attrs.publicIp),
      backend: peer.attrs.backendType ?? "",
      ...(peer.attrs.vni === undefined ? {} : { vni: peer.attrs.vni }),
      ...(peer.attrs.vtepMac === undefined ? {} : { vtepMac: formatMac(peer.attrs.vtepMac) }),
      own: false,
      createRevision: peer.createRevision,
    });
  }
  return rows;
}

/** Main-table routes of every namespace. */
export function inspectRoutes(node: string, stack: NetStack): RouteRow[] {
  const rows: RouteRow[] = [];
  for (const netns of stack.namespaces()) {
    for (const route of netns.fib.dump("main")) {
      rows.push({
        node,
        netns: netns.name,
        type: route.type,
        dst: route.dst.len === 0 ? "default" : formatPrefix(route.dst),
        ...nextHopsOf(route),
        ...(route.src === undefined ? {} : { src: formatIpv4(route.src) }),
        scope: route.scope,
        proto: route.proto,
        metric: route.metric,
        onlink: route.multipath === undefined && route.onlink,
      });
    }
  }
  return rows;
}

/** Where a route leads. */
function nextHopsOf({ via, dev, multipath }: Route): Pick<RouteRow, "via" | "dev" | "nextHops"> {
  const viaOf = (addr: Ipv4Addr | undefined) => (addr === undefined ? {} : { via: formatIpv4(addr) });
  if (multipath === undefined) return { ...viaOf(via), ...(dev === undefined ? {} : { dev: dev.name }) };
  const nextHops = multipath.paths.map((path, i) => ({
    ...viaOf(path.via),
    dev: path.dev?.name ?? "",
    weight: multipath.weights[i] as number,
    flags: routeFlags(path, multipath.isDead(i)),
  }));
  return { nextHops };
}

export function inspectNeigh(node: string, stack: NetStack): NeighRow[] {
  const rows: NeighRow[] = [];
  for (const netns of stack.namespaces()) {
    for (const entry of netns.neigh.dump()) {
      rows.push({
        node,
        netns: netns.name,
        ip: formatIpv4(entry.ip),
        dev: entry.dev.name,
        ...(entry.mac === undefined ? {} : { mac: formatMac(entry.mac) }),
        state: entry.state,
      });
    }
  }
  return rows;
}

/** Entries of the host's bridges and vxlan devices. */
export function inspectFdb(node: string, host: Netns, now: Instant): FdbRow[] {
  const rows: FdbRow[] = [];
  for (const dev of host.devices()) {
    if (dev instanceof Bridge) {
      for (const entry of dev.fdb.dump(now)) {
        rows.push({
          node,
          dev: dev.name,
          mac: formatMac(entry.mac),
          port: entry.port?.name ?? dev.name,
          state: entry.state === "learned" ? "dynamic" : entry.state,
        });
      }
    } else if (dev instanceof VxlanDevice) {
      for (const entry of dev.fdb.dump(now)) {
        rows.push({
          node,
          dev: dev.name,
          mac: formatMac(entry.mac),
          dst: formatIpv4(entry.remote),
          state: entry.state === "learned" ? "dynamic" : entry.state,
        });
      }
    }
  }
  return rows;
}

export function inspectLinks(node: string, stack: NetStack): LinkRow[] {
  const rows: LinkRow[] = [];
  for (const netns of stack.namespaces()) {
    for (const dev of netns.devices()) rows.push(linkRow(node, netns, dev));
  }
  return rows;
}

function linkRow(node: string, netns: Netns, dev: NetDevice): LinkRow {
  const { rxPackets, rxBytes, rxErrors, rxDropped, txPackets, txBytes, txErrors, txDropped } = dev.stats;
  const drops: Record<string, number> = {};
  for (const [reason, count] of dev.drops) drops[dropReasonName(reason)] = count;
  const unknown = dev.kind === "loopback" || dev.kind === "vxlan" || dev.kind === "ipip";
  return {
    node,
    netns: netns.name,
    ifindex: dev.ifindex,
    name: dev.name,
    kind: dev.kind,
    mac: formatMac(dev.mac),
    mtu: dev.mtuBytes,
    state: !dev.up ? "DOWN" : unknown ? "UNKNOWN" : dev.running ? "UP" : "DOWN",
    ...(dev.master === undefined ? {} : { master: dev.master.name }),
    addresses: netns.addresses(dev).map(({ addr, len }) => `${formatIpv4(addr)}/${len}`),
    rxPackets,
    rxBytes,
    rxErrors,
    rxDropped,
    txPackets,
    txBytes,
    txErrors,
    txDropped,
    drops,
    ...(dev instanceof IpipDevice ? { outerErrors: { ...dev.outerErrors } } : {}),
  };
}
