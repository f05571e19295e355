import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import type { Netns } from "../stack/netns.ts";
import type { CommandContext } from "./command.ts";

/** A destination as a person names it. */
export interface Host {
  /** The text that was given. */
  readonly name: string;
  readonly addr: Ipv4Addr;
  /** Given as an address, not as a name. */
  readonly numeric: boolean;
}

/**
 * Finds the address that `name` means: an address in any of `inet_aton`'s forms ("127.1", "0"), the namespace's own name, or
 * one of /etc/hosts. There is no DNS here.
 */
export function resolveHost(name: string, cx: CommandContext): Host | undefined {
  const number = parseInetAton(name);
  if (number !== undefined) return { name, addr: number === 0 ? LOOPBACK : number, numeric: true };
  const addr = fromHosts(name, cx.files("/etc/hosts")) ?? fromSelf(name, cx);
  return addr === undefined ? undefined : { name, addr, numeric: false };
}

const LOOPBACK: Ipv4Addr = 0x7f000001;

/** How a host shows: an address alone, or `name (address)`. */
export function formatHost(host: Host, addr: Ipv4Addr): string {
  const text = formatIpv4(addr);
  return host.numeric || host.addr !== addr ? text : `${host.name} (${text})`;
}

function parseInetAton(text: string): Ipv4Addr | undefined {
  const full = parseIpv4(text);
  if (full !== undefined) return full;
  const parts = text.split(".");
  if (parts.length > 3 || !parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part))) return undefined;
  const last = Number(parts.at(-1));
  const room = 256 ** (5 - parts.length);
  let addr = 0;
  for (const part of parts.slice(0, -1)) {
    if (Number(part) > 255) return undefined;
    addr = addr * 256 + Number(part);
  }
  return last < room ? addr * room + last : undefined;
}

function fromHosts(name: string, text: string | undefined): Ipv4Addr | undefined {
  for (const line of text?.split("\n") ?? []) {
    const [addr = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (names.includes(name)) {
      const found = parseIpv4(addr);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function fromSelf(name: string, cx: CommandContext): Ipv4Addr | undefined {
  if (name === "localhost") return LOOPBACK;
  return name === cx.hostname ? globalAddress(cx.netns) : undefined;
}

function globalAddress(netns: Netns): Ipv4Addr | undefined {
  for (const dev of netns.devices()) {
    const ifa = netns.addresses(dev).find(({ scope }) => scope === "global");
    if (ifa !== undefined) return ifa.addr;
  }
  return undefined;
}
