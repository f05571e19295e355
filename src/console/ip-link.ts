// `ip link show` and `ip address show`.
import { dropReasonName } from "../base/drop-reason.ts";
import { formatIpv4 } from "../base/ipv4-addr.ts";
import { formatMac, MAC_BROADCAST, MAC_ZERO } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import type { IfAddr } from "../stack/address.ts";
import type { LinkStats, NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { Veth } from "../stack/veth.ts";
import type { CommandContext } from "./command.ts";
import { type IpOptions, readFilters } from "./ip-filter.ts";
import { linkDetails } from "./ip-link-details.ts";
import { adminFlags, linkName, operState } from "./link-state.ts";
import type { Printed } from "./printed-command.ts";

const FILTERS = { valued: ["dev", "type", "master"], flags: ["up"], bare: "dev" };

type Words = readonly string[];

/** `ip link show [dev DEV] [up] [type TYPE] [master BRIDGE]`. */
export function showLinks(words: Words, options: IpOptions, cx: CommandContext, _now: Instant): Printed {
  return showDevices(words, cx, (dev) => {
    const head = `${dev.ifindex}: ${linkName(cx.netns, dev)}`;
    if (options.brief) return `${brief(cx.netns, dev)}${linkAddress(dev)} ${flags(cx.netns, dev)} \n`;
    const lines = [
      `${head}: ${summary(cx.netns, dev, "mode DEFAULT ")}`,
      `    ${hardware(cx.netns, dev)}${options.details ? linkDetails(cx.netns, dev, true) : ""}`,
      ...(options.stats ? statistics(dev) : []),
    ];
    return joined(lines, options);
  });
}

/** `ip address show [dev DEV] [up] [type TYPE] [master BRIDGE]`. */
export function showAddresses(words: Words, options: IpOptions, cx: CommandContext, _now: Instant): Printed {
  return showDevices(words, cx, (dev) => {
    const addrs = cx.netns.addresses(dev);
    if (options.inet && addrs.length === 0) return "";
    if (options.brief) return `${brief(cx.netns, dev)}${addrs.map((ifa) => `${cidr(ifa)} `).join("")}\n`;
    if (options.oneline) return addrs.map((ifa) => oneLine(dev, ifa)).join("");
    const peer = options.inet ? netnsOfPeer(cx.netns, dev) : "";
    const lines = [`${dev.ifindex}: ${linkName(cx.netns, dev)}: ${summary(cx.netns, dev, "")}${peer}`];
    if (!options.inet) {
      lines.push(`    ${hardware(cx.netns, dev)}${options.details ? linkDetails(cx.netns, dev, false) : ""}`);
    }
    for (const ifa of addrs) lines.push(`    ${inet(dev, ifa)}`, `       ${LIFETIME}`);
    if (options.stats) lines.push(...statistics(dev));
    return joined(lines, options);
  });
}

const LIFETIME = "valid_lft forever preferred_lft forever";

function showDevices(words: Words, cx: CommandContext, show: (dev: NetDevice) => string): Printed {
  const filters = readFilters(words, FILTERS);
  if (!filters.ok) return filters.error;
  const name = filters.value.get("dev");
  const type = filters.value.get("type");
  const master = filters.value.get("master");
  for (const wanted of [name, master]) {
    if (wanted === undefined || cx.netns.device(wanted) !== undefined) continue;
    return { stderr: `Device "${wanted}" does not exist.\n`, exitCode: 1 };
  }
  let stdout = "";
  for (const dev of cx.netns.devices()) {
    if (name !== undefined && dev.name !== name) continue;
    if (type !== undefined && dev.kind !== type) continue;
    if (master !== undefined && dev.master?.name !== master) continue;
    if (filters.value.has("up") && !dev.up) continue;
    stdout += show(dev);
  }
  return { stdout, exitCode: 0 };
}

function joined(lines: readonly string[], { oneline }: IpOptions): string {
  return `${lines.join(oneline ? "\\" : "\n")}\n`;
}

function flags(netns: Netns, dev: NetDevice): string {
  return `<${adminFlags(netns, dev).join(",")}>`;
}

function summary(netns: Netns, dev: NetDevice, mode: string): string {
  const master = dev.master === undefined ? "" : `master ${dev.master.name} `;
  const state = operState(dev);
  return `${flags(netns, dev)} mtu ${dev.mtuBytes} qdisc ${qdisc(dev)} ${master}state ${state} ${mode}group default qlen 1000`;
}

/** What never was up has none yet; software devices queue nothing. */
function qdisc(dev: NetDevice): string {
  if (dev.kind === "uplink") return "fq_codel";
  return dev.everUp || dev.up ? "noqueue" : "noop";
}

function hardware(netns: Netns, dev: NetDevice): string {
  if (dev.kind === "ipip") return `link/ipip ${linkAddress(dev)} brd 0.0.0.0`;
  const loopback = dev.kind === "loopback";
  const broadcast = formatMac(loopback ? MAC_ZERO : MAC_BROADCAST);
  const type = loopback ? "loopback" : "ether";
  return `link/${type} ${linkAddress(dev)} brd ${broadcast}${netnsOfPeer(netns, dev)}`;
}

/** An ipip device has its local address for a link-layer one, and `tunl0` has none. */
function linkAddress(dev: NetDevice): string {
  return dev.kind === "ipip" ? formatIpv4(0) : formatMac(dev.mac);
}

/** Where a veth's other end is, if it is not here. The node's own namespace has no name. */
function netnsOfPeer(netns: Netns, dev: NetDevice): string {
  const home = dev instanceof Veth ? dev.peer?.home : undefined;
  if (home === undefined || home === netns) return "";
  return home.name === "" ? " link-netnsid 0" : ` link-netns ${home.name}`;
}

function brief(netns: Netns, dev: NetDevice): string {
  return `${linkName(netns, dev).padEnd(16)} ${operState(dev).padEnd(14)} `;
}

function cidr({ addr, len }: IfAddr): string {
  return `${formatIpv4(addr)}/${len}`;
}

function inet(dev: NetDevice, ifa: IfAddr): string {
  const brd = ifa.broadcast === undefined ? "" : ` brd ${formatIpv4(ifa.broadcast)}`;
  const secondary = ifa.secondary ? " secondary" : "";
  const noPrefix = ifa.noPrefixRoute ? " noprefixroute" : "";
  return `inet ${cidr(ifa)}${brd} scope ${ifa.scope}${secondary}${noPrefix} ${dev.name}`;
}

function oneLine(dev: NetDevice, ifa: IfAddr): string {
  return `${dev.ifindex}: ${dev.name}    ${inet(dev, ifa)}\\       ${LIFETIME}\n`;
}

/** The columns of `-s`, as wide as their widest number. Then what the emulated device lost, and why. */
function statistics(dev: NetDevice): string[] {
  const stats: LinkStats = dev.stats;
  const { rxBytes, rxPackets, rxErrors, rxDropped, rxMulticast } = stats;
  const { txBytes, txPackets, txErrors, txDropped, txCarrier } = stats;
  const rx = [rxBytes, rxPackets, rxErrors, rxDropped, 0, rxMulticast];
  const tx = [txBytes, txPackets, txErrors, txDropped, txCarrier, 0];
  const widths = [10, 7, 6, 7, 7, 7].map((least, i) =>
    Math.max(least, String(rx[i]).length, String(tx[i]).length),
  );
  const row = (values: readonly (string | number)[], first: number) =>
    values.map((value, i) => String(value).padStart((widths[i] as number) - (i === 0 ? first : 0))).join(" ");
  const header = (label: string, names: readonly string[]) =>
    `    ${label} ${row(names, 4)} ${" ".repeat(10)}`;
  return [
    header("RX:", ["bytes", "packets", "errors", "dropped", "missed", "mcast"]),
    `    ${row(rx, 0)} `,
    header("TX:", ["bytes", "packets", "errors", "dropped", "carrier", "collsns"]),
    `    ${row(tx, 0)} `,
    ...dropLines(dev),
  ];
}

/** What the kernel's `ip` cannot say: why packets were dropped here. Absent when none was. */
function dropLines(dev: NetDevice): string[] {
  const reasons = [...dev.drops].map(([reason, count]) => `${dropReasonName(reason)} ${count}`).sort();
  return reasons.length === 0 ? [] : [`    dropped: ${reasons.join(", ")}`];
}
