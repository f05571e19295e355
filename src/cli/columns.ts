// What `podloom get` shows of each noun. A table is for eyes and may change; the JSON is the contract.
import type { InspectNoun, InspectRows, NextHopRow } from "../control/inspect.ts";
import { BGP_COLUMNS, type BgpNoun } from "./bgp-columns.ts";
import { type Column, text } from "./column.ts";
import { formatAge, formatBytes, formatTime } from "./format.ts";

type Columns = { readonly [N in InspectNoun]: readonly Column<InspectRows[N]>[] };

const bytes = (value: number | undefined): string => (value === undefined ? "-" : formatBytes(value));
const netnsOf = (row: { readonly netns: string }): string => (row.netns === "" ? "(host)" : row.netns);

/** As kubectl writes what is to be known besides: `Ready,StoreAway`. */
function statusOf({ status, storeAwaySince }: InspectRows["nodes"]): string {
  return storeAwaySince === undefined ? status : `${status},StoreAway`;
}

/** Since when, not for how long: what goes on without a change is no news to -w. */
function storeOf({ status, store, storeAwaySince }: InspectRows["nodes"]): string {
  if (status === "Dead") return "-";
  return storeAwaySince === undefined ? store : `away since ${formatTime(storeAwaySince)}`;
}

const LAB_COLUMNS: Columns = {
  nodes: [
    { head: "NAME", cell: (r) => r.name, key: true },
    { head: "STATUS", cell: statusOf },
    { head: "ROLE", cell: (r) => r.role ?? "node" },
    { head: "UNDERLAY", cell: (r) => r.underlay },
    { head: "SUBNET", cell: (r) => text(r.subnet) },
    { head: "PODS", cell: (r) => text(r.pods) },
    { head: "PEERS", cell: (r) => text(r.peers) },
    { head: "ROUTES", cell: (r) => text(r.routes), wide: true },
    { head: "BACKEND", cell: (r) => text(r.backend), wide: true },
    { head: "AS", cell: (r) => text(r.asNumber), wide: true },
    { head: "ENCAPSULATION", cell: (r) => text(r.encapsulation), wide: true },
    { head: "VTEP-MAC", cell: (r) => text(r.vtepMac), wide: true },
    { head: "STORE", cell: storeOf, wide: true },
    { head: "STORE-CLIENT", cell: (r) => text(r.storeClient), wide: true },
    { head: "RX", cell: (r) => text(r.rxPackets), wide: true, volatile: true },
    { head: "TX", cell: (r) => text(r.txPackets), wide: true, volatile: true },
    { head: "DROPS", cell: (r) => reasons(r.drops), wide: true, volatile: true },
    { head: "IGNORED-LEASES", cell: (r) => text(r.ignored.join(",")), wide: true },
    { head: "PID", cell: (r) => text(r.pid) },
    { head: "RSS", cell: (r) => bytes(r.rssBytes), volatile: true },
    { head: "PSS", cell: (r) => bytes(r.pssBytes), wide: true, volatile: true },
    { head: "RESTARTS", cell: (r) => text(r.restarts) },
    { head: "AGE", cell: (r) => (r.status === "Dead" ? "-" : formatAge(r.ageSec)), volatile: true },
    { head: "REASON", cell: (r) => r.reason ?? "", wide: true },
  ],
  pods: [
    { head: "NAME", cell: (r) => r.name, key: true },
    { head: "NODE", cell: (r) => r.node },
    { head: "IP", cell: (r) => r.ip },
    { head: "NAMESPACE", cell: (r) => text(r.namespace), wide: true },
    { head: "MAC", cell: (r) => r.mac, wide: true },
    { head: "HOST-DEVICE", cell: (r) => r.hostDevice, wide: true },
    { head: "GATEWAY", cell: (r) => r.gateway, wide: true },
    { head: "MTU", cell: (r) => text(r.mtu), wide: true },
  ],
  leases: [
    { head: "SUBNET", cell: (r) => r.subnet, key: true },
    { head: "PUBLIC-IP", cell: (r) => r.publicIp },
    { head: "BACKEND", cell: (r) => text(r.backend) },
    { head: "VNI", cell: (r) => text(r.vni) },
    { head: "VTEP-MAC", cell: (r) => text(r.vtepMac) },
    { head: "NODE", cell: (r) => r.node },
    { head: "OWN", cell: (r) => (r.own ? "yes" : "no") },
    {
      head: "TTL",
      cell: (r) => (r.ttlSec === undefined ? "-" : `${Math.round(r.ttlSec)}s`),
      wide: true,
      volatile: true,
    },
    { head: "EPOCH", cell: (r) => text(r.createRevision), wide: true },
  ],
  routes: [
    { head: "NODE", cell: (r) => r.node, key: true },
    { head: "NETNS", cell: netnsOf, key: true },
    {
      head: "DESTINATION",
      key: true,
      cell: (r) => (r.type === "unicast" || r.type === "" ? r.dst : `${r.type} ${r.dst}`),
    },
    { head: "VIA", cell: (r) => (r.nextHops === undefined ? text(r.via) : hopCells(r.nextHops, "via")) },
    { head: "DEV", cell: (r) => (r.nextHops === undefined ? text(r.dev) : hopCells(r.nextHops, "dev")) },
    { head: "PROTO", cell: (r) => r.proto },
    { head: "SCOPE", cell: (r) => r.scope, wide: true },
    { head: "SRC", cell: (r) => text(r.src), wide: true },
    { head: "METRIC", cell: (r) => text(r.metric), wide: true, key: true },
    { head: "ONLINK", cell: (r) => (r.onlink ? "onlink" : ""), wide: true },
    { head: "NEXTHOPS", cell: (r) => (r.nextHops ?? []).map(nextHopText).join("; "), wide: true },
  ],
  neigh: [
    { head: "NODE", cell: (r) => r.node, key: true },
    { head: "NETNS", cell: netnsOf, key: true },
    { head: "IP", cell: (r) => r.ip, key: true },
    { head: "DEV", cell: (r) => r.dev, key: true },
    { head: "LLADDR", cell: (r) => text(r.mac) },
    { head: "STATE", cell: (r) => r.state },
  ],
  fdb: [
    { head: "NODE", cell: (r) => r.node, key: true },
    { head: "DEV", cell: (r) => r.dev, key: true },
    { head: "MAC", cell: (r) => r.mac, key: true },
    { head: "PORT", cell: (r) => text(r.port) },
    { head: "DST", cell: (r) => text(r.dst) },
    { head: "STATE", cell: (r) => r.state },
  ],
  links: [
    { head: "NODE", cell: (r) => r.node, key: true },
    { head: "NETNS", cell: netnsOf, key: true },
    { head: "NAME", cell: (r) => r.name, key: true },
    { head: "KIND", cell: (r) => r.kind },
    { head: "STATE", cell: (r) => r.state },
    { head: "MTU", cell: (r) => text(r.mtu) },
    { head: "ADDRESSES", cell: (r) => text(r.addresses.join(",")) },
    { head: "INDEX", cell: (r) => text(r.ifindex), wide: true },
    { head: "MAC", cell: (r) => r.mac, wide: true },
    { head: "MASTER", cell: (r) => text(r.master), wide: true },
    { head: "RX", cell: (r) => text(r.rxPackets), volatile: true },
    { head: "TX", cell: (r) => text(r.txPackets), volatile: true },
    { head: "RX-BYTES", cell: (r) => text(r.rxBytes), wide: true, volatile: true },
    { head: "TX-BYTES", cell: (r) => text(r.txBytes), wide: true, volatile: true },
    { head: "RX-DROPPED", cell: (r) => text(r.rxDropped), wide: true, volatile: true },
    { head: "TX-DROPPED", cell: (r) => text(r.txDropped), wide: true, volatile: true },
    { head: "DROPS", cell: (r) => reasons(r.drops), wide: true, volatile: true },
  ],
};

/** `10.1.0.1,10.2.0.1`; of what all have in common one is enough. */
function hopCells(hops: readonly NextHopRow[], of: "via" | "dev"): string {
  const cells = hops.map((hop) => text(hop[of]));
  return new Set(cells).size === 1 ? (cells[0] as string) : cells.join(",");
}

/** In the words of `ip route`. */
function nextHopText({ via, dev, weight, flags }: NextHopRow): string {
  return [...(via === undefined ? [] : [`via ${via}`]), `dev ${dev}`, `weight ${weight}`, ...flags].join(" ");
}

function reasons(drops: Readonly<Record<string, number>>): string {
  const counts = Object.entries(drops).map(([reason, count]) => `${reason}=${count}`);
  return counts.length === 0 ? "0" : counts.join(",");
}

const COLUMNS = { ...LAB_COLUMNS, ...BGP_COLUMNS };

/** What rows may be of. */
export type RowNoun = InspectNoun | BgpNoun;

/** A table of rows: heads, cells, and for each row what tells that it changed. */
export interface RenderedRows {
  readonly head: readonly string[];
  readonly cells: readonly (readonly string[])[];
  /** One text a row without its volatile columns: equal texts mean nothing worth showing has changed. */
  readonly fingerprints: readonly string[];
  /** One text a row that says which it is. Rows may share one (two entries of one MAC address). */
  readonly keys: readonly string[];
}

/** Renders rows of `noun`. */
export function renderRows(noun: RowNoun, rows: readonly unknown[], wide: boolean): RenderedRows {
  const all = COLUMNS[noun] as readonly Column<never>[] as readonly Column<unknown>[];
  const columns = all.filter((column) => wide || column.wide !== true);
  const lasting = all.filter((column) => column.volatile !== true);
  const naming = all.filter((column) => column.key === true);
  const line = (row: unknown, of: readonly Column<unknown>[]): string =>
    of.map((column) => column.cell(row)).join("\t");
  return {
    head: columns.map((column) => column.head),
    cells: rows.map((row) => columns.map((column) => column.cell(row))),
    fingerprints: rows.map((row) => line(row, lasting)),
    keys: rows.map((row) => line(row, naming)),
  };
}
