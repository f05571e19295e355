// What `ip -d` adds: of the kernel's many words those that mean something here.
import { formatIpv4 } from "../base/ipv4-addr.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import { formatMac } from "../base/mac-addr.ts";
import { Bridge } from "../stack/bridge.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { Veth } from "../stack/veth.ts";
import { IpipDevice } from "../tunnel/ipip.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import { lowerDevice } from "./link-state.ts";

/** Follows the link/ether line. @param link `ip link`, which says a word more than `ip address` */
export function linkDetails(netns: Netns, dev: NetDevice, link: boolean): string {
  const loopback = dev.kind === "loopback";
  const port = dev.master === undefined ? 0 : 1;
  const limits = loopback || dev.kind === "ipip" ? "minmtu 0 maxmtu 0" : "minmtu 68 maxmtu 65535";
  const common = ` promiscuity ${port}  allmulti ${port} ${limits} `;
  const kind = kindDetails(netns, dev);
  const slave = slaveDetails(dev);
  const mode = link ? "addrgenmode eui64 " : "";
  const queues = `${mode}numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 `;
  return common + (kind === "" ? "" : `\n    ${kind}`) + (slave === "" ? "" : `\n    ${slave}`) + queues;
}

function kindDetails(netns: Netns, dev: NetDevice): string {
  if (dev instanceof Veth) return "veth ";
  if (dev instanceof IpipDevice) return ipipDetails(dev);
  if (dev instanceof VxlanDevice) return vxlanDetails(netns, dev);
  return dev instanceof Bridge ? bridgeDetails(dev) : "";
}

/** As of the `tunl0` that comes with the kernel's module: of any protocol, to and from anywhere. */
function ipipDetails(dev: IpipDevice): string {
  const tos = dev.tos === 0 ? "" : `tos ${dev.tos === 1 ? "inherit" : `0x${dev.tos.toString(16)}`} `;
  const discovery = dev.pmtudisc ? "pmtudisc" : "nopmtudisc";
  return `ipip any remote any local any ttl ${dev.ttl === 0 ? "inherit" : dev.ttl} ${tos}${discovery} `;
}

function vxlanDetails(netns: Netns, dev: VxlanDevice): string {
  const lower = lowerDevice(netns, dev);
  const words = [
    `vxlan id ${dev.vni} local ${formatIpv4(dev.local)}`,
    ...(lower === undefined ? [] : [`dev ${lower.name}`]),
    `srcport 0 0 dstport ${dev.dstPort}`,
    ...(dev.learning ? [] : ["nolearning"]),
    `ttl auto ageing ${dev.ageingSec === 0 ? "none" : dev.ageingSec} udpcsum noudp6zerocsumtx noudp6zerocsumrx`,
    ...(dev.gbp ? ["gbp"] : []),
  ];
  return `${words.join(" ")} `;
}

function bridgeDetails(dev: Bridge): string {
  const id = bridgeId(dev.mac);
  const ageing = Math.round(dev.fdb.ageingUs / 10_000);
  return `bridge ageing_time ${ageing} stp_state 0 priority 32768 vlan_filtering 0 bridge_id ${id} designated_root ${id} root_port 0 root_path_cost 0 mcast_snooping 0 `;
}

function slaveDetails(dev: NetDevice): string {
  if (!(dev.master instanceof Bridge)) return "";
  const port = dev.master.ports.find((one) => one.dev === dev);
  const state = dev.running ? "forwarding" : "disabled";
  const hairpin = port?.hairpin === true ? "on" : "off";
  return `bridge_slave state ${state} priority 32 cost 2 hairpin ${hairpin} guard off root_block off fastleave off learning on flood on `;
}

/** A bridge's id: its priority, and its address without leading zeros. */
function bridgeId(mac: MacAddr): string {
  return `8000.${formatMac(mac).replaceAll(/\b0/g, "")}`;
}
