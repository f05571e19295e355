// What `podloom get` shows of a Calico node.
import { formatIpv4, formatPrefix, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { InspectNoun, InspectRows, LeaseRow } from "../../control/inspect.ts";
import type { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import type { NetStack } from "../../stack/net-stack.ts";
import type { Netns } from "../../stack/netns.ts";
import type { AgentState } from "../agent-messages.ts";
import { bgpTotals } from "../bgp-totals.ts";
import { inspectFdb, inspectLinks, inspectNeigh, inspectNode, inspectRoutes } from "../inspect.ts";
import type { Felix } from "./felix/felix.ts";

export interface CalicoView {
  readonly name: string;
  readonly underlay: Ipv4Addr;
  readonly stack: NetStack;
  readonly host: Netns;
  readonly felix: Felix;
  readonly speaker: BgpSpeaker;
  readonly state: AgentState;
  readonly ageUs: number;
  readonly now: Instant;
}

export function inspectCalico<N extends InspectNoun>(noun: N, view: CalicoView): readonly InspectRows[N][] {
  const { name, underlay, stack, host, felix, speaker, state, ageUs, now } = view;
  const bgp = bgpTotals(speaker);
  const readers: { readonly [K in InspectNoun]: () => readonly InspectRows[K][] } = {
    nodes: () => [
      inspectNode(state, {
        underlay,
        backend: "calico",
        asNumber: speaker.config.localAs,
        bgp,
        encapsulation: encapsulation(felix),
        device: felix.ipip.device ?? felix.vtep,
        peers: bgp.established,
        routes: host.fib.dump("main").length,
        drops: stack.drops,
        ageUs,
      }),
    ],
    pods: () => felix.endpoints.rows(),
    leases: () => blockRows(view),
    routes: () => inspectRoutes(name, stack),
    neigh: () => inspectNeigh(name, stack),
    fdb: () => inspectFdb(name, host, now),
    links: () => inspectLinks(name, stack),
  };
  return readers[noun]();
}

/** How pods' packets leave the node, the carrier of IPIP included, which is never chosen silently: "IPIP Always (proto4)". */
function encapsulation(felix: Felix): string {
  const words = new Set<string>();
  for (const { ipipMode, vxlanMode, disabled } of felix.pools.values()) {
    if (disabled) continue;
    if (ipipMode !== "Never") words.add(`IPIP ${ipipMode} (${felix.ipip.inUse()})`);
    else words.add(vxlanMode === "Never" ? "none" : `VXLAN ${vxlanMode}`);
  }
  return [...words].join(", ") || "none";
}

/** Blocks: this node's first, then the others'. */
function blockRows({ name, underlay, felix }: CalicoView): LeaseRow[] {
  const own = felix.localBlocks().map((cidr) => ({ cidr, addr: underlay, backend: "local" }));
  const others = felix
    .routes()
    .map(({ dst, nodeAddr, encap }) => ({ cidr: dst, addr: nodeAddr, backend: encap }));
  others.sort((a, b) => a.cidr.addr - b.cidr.addr || a.cidr.len - b.cidr.len);
  return [...own, ...others].map(({ cidr, addr, backend }, i) => ({
    node: name,
    subnet: formatPrefix(cidr),
    publicIp: formatIpv4(addr),
    backend,
    own: i < own.length,
    createRevision: 0,
  }));
}
