import type { Rng } from "./rng.ts";

/** A 48-bit MAC address as an integer, exact in a double: a Map key, not a string. */
export type MacAddr = number;

export const MAC_BROADCAST: MacAddr = 0xffff_ffff_ffff;
export const MAC_ZERO: MacAddr = 0;

const FIRST_OCTET = 0x100_0000_0000;

/** Group bit of the first octet: multicast or broadcast. */
export function isGroupMac(mac: MacAddr): boolean {
  return (Math.floor(mac / FIRST_OCTET) & 1) === 1;
}

/** Lower-case, colon-separated. */
export function formatMac(mac: MacAddr): string {
  const hex = mac.toString(16).padStart(12, "0");
  return `${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}:${hex.slice(8, 10)}:${hex.slice(10)}`;
}

/** Parses six colon-separated hexadecimal octets, any case. */
export function parseMac(text: string): MacAddr | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Number.parseInt(text.replaceAll(":", ""), 16);
}

/** A random locally administered unicast address, as Linux and flannel make them. */
export function randomMac(rng: Rng): MacAddr {
  const first = ((rng.u32() & 0xff & 0xfe) | 0x02) >>> 0;
  return first * FIRST_OCTET + (rng.u32() & 0xff) * 0x1_0000_0000 + rng.u32();
}

/** A MAC literal in our own source. Dies on bad text. */
export function mac(text: string): MacAddr {
  const value = parseMac(text);
  if (value === undefined) throw new Error(`not a MAC address: ${text}`);
  return value;
}
