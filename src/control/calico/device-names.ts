// Names and addresses that Calico derives by hashing, so that every component comes to the same. Specs on Calico §2.1, §2.3.
import { sha1 } from "@noble/hashes/legacy.js";
import type { MacAddr } from "../../base/mac-addr.ts";
import { encodeUtf8 } from "../../base/utf8.ts";

/** Hexadecimal digits of the hash in a device's name: IFNAMSIZ leaves room for no more behind "cali". */
const HASH_DIGITS = 11;

/** Each host end of a pod's pair has this address: the pod sees nothing else, and needs no other. */
export const CALI_MAC: MacAddr = 0xeeee_eeee_eeee;

/** The host's end of a pod's veth pair. */
export function caliDeviceName(namespace: string, pod: string): string {
  const hash = sha1(encodeUtf8(`${namespace}.${pod}`));
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `cali${hex.slice(0, HASH_DIGITS)}`;
}

/** The VTEP address of a node that names none itself. */
export function vtepMac(node: string): MacAddr {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = sha1(encodeUtf8(node));
  return 0x66 * 2 ** 40 + a * 2 ** 32 + (b * 2 ** 24 + c * 2 ** 16 + d * 2 ** 8 + e);
}
