// `arp -s` and `arp -d`, in net-tools 2.10's words. Which device is meant the kernel asks its routes, if nobody says.
import { IPV4_BROADCAST, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { parseMac } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import type { CommandContext } from "./command.ts";
import { errnoWords, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";
import { resolveHost } from "./resolve-host.ts";

const FAILED = 255;

function complaint(text: string): Printed {
  return { stderr: `${text}\n`, exitCode: FAILED };
}

/** What may follow the addresses. */
interface ArpOptions {
  temporary: boolean;
  device: string | undefined;
  netmask: Ipv4Addr;
}

/** Reads `[temp] [dev IF] [netmask MASK]`. */
function readOptions(
  words: readonly string[],
  device: string | undefined,
  usage: readonly string[],
): Result<ArpOptions, Printed> {
  const read: ArpOptions = { temporary: false, device, netmask: IPV4_BROADCAST };
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "temp") read.temporary = true;
    else if (word === "pub") return err(notEmulated('"pub" of an ARP entry', FAILED));
    else if (word === "dev" && words[i + 1] !== undefined) read.device = words[++i] as string;
    else if (word === "netmask" && parseIpv4(words[i + 1] ?? "") !== undefined) {
      read.netmask = parseIpv4(words[++i] as string) as Ipv4Addr;
    } else return err({ stderr: `${usage.join("\n")}\n`, exitCode: 3 });
  }
  return ok(read);
}

/** The device that an entry belongs to: the one that is named, else the one that leads there. @returns the errno's text */
function deviceOf(netns: Netns, ip: Ipv4Addr, name: string | undefined): Result<NetDevice, string> {
  if (name !== undefined) {
    const dev = netns.device(name);
    return dev === undefined ? err("No such device") : ok(dev);
  }
  const route = netns.fib.lookup(ip);
  if (route === undefined) return err("Network is unreachable");
  if (route.type === "local") return ok(netns.lo);
  return route.dev === undefined ? err("Invalid argument") : ok(route.dev);
}

/** `arp [-i IF] -s HOST HWADDR [temp] [dev IF]`. */
export function setArpEntry(
  words: readonly string[],
  device: string | undefined,
  usage: readonly string[],
  cx: CommandContext,
  now: Instant,
): Printed {
  const [name, hardware, ...rest] = words;
  if (name === undefined) return complaint("arp: need host name");
  const host = resolveHost(name, cx);
  if (host === undefined) return complaint(`${name}: Host name lookup failure`);
  if (hardware === undefined) return complaint("arp: need hardware address");
  const mac = parseMac(hardware);
  if (mac === undefined) return complaint("arp: invalid hardware address");
  const options = readOptions(rest, device, usage);
  if (!options.ok) return options.error;
  const { netns } = cx;
  const { temporary, netmask } = options.value;
  if (netmask !== IPV4_BROADCAST) return complaint("SIOCSARP: Invalid argument");
  const dev = deviceOf(netns, host.addr, options.value.device);
  if (!dev.ok) return complaint(`SIOCSARP: ${dev.error}`);
  // The entry of an own address would be of the loopback device, which has no hardware addresses of this type.
  if (dev.value === netns.lo) return complaint("SIOCSARP: Invalid argument");
  const state = temporary ? "STALE" : "PERMANENT";
  const put = netns.neigh.replace({ dev: dev.value, ip: host.addr, mac, state }, now);
  return put.ok ? { exitCode: 0 } : complaint(`SIOCSARP: ${errnoWords(put.error)}`);
}

/** `arp [-i IF] -d HOST [dev IF]`. */
export function deleteArpEntry(
  words: readonly string[],
  device: string | undefined,
  usage: readonly string[],
  cx: CommandContext,
  now: Instant,
): Printed {
  const [name, ...rest] = words;
  if (name === undefined) return complaint("arp: need host name");
  const host = resolveHost(name, cx);
  if (host === undefined) return complaint(`${name}: Host name lookup failure`);
  const options = readOptions(rest, device, usage);
  if (!options.ok) return options.error;
  const dev = deviceOf(cx.netns, host.addr, options.value.device);
  if (!dev.ok) return complaint(`SIOCDARP(dontpub): ${dev.error}`);
  const gone = cx.netns.neigh.del(dev.value, host.addr, now);
  return gone.ok ? { exitCode: 0 } : complaint(`No ARP entry for ${name}`);
}
