// Network layer reachability information. Read RFC 4271 section 4.3 first, RFC 4760 section 5, then RFC 7911 section 3.
//
// +---------------------------+
// |  Path identifier (4)      |   only with ADD-PATH
// +---------------------------+
// |  Length in bits (1)       |
// +---------------------------+
// |  Prefix (0..4 or 0..16)   |   bits beyond the length are of no consequence
// +---------------------------+
import { netmask } from "../../base/ipv4-addr.ts";
import { addressBits, type Family } from "./family.ts";
import { ipv6MaskWord } from "./ipv6-addr.ts";
import { u32 } from "./octets.ts";
import { emptyPrefixList, type PrefixList, wordsPerPrefix } from "./prefix-list.ts";

/** Netmasks as signed integers, by prefix length: V8 would make heap numbers of unsigned ones. */
const MASKS = Int32Array.from({ length: 33 }, (_, len) => netmask(len) | 0);

/**
 * How many prefixes the octets `off`..`end` hold, or -1 when they are not prefixes: a length beyond the family's, or one that
 * runs past `end`. @rfc 7606#5.3
 */
export function countPrefixes(
  bytes: Uint8Array,
  off: number,
  end: number,
  bitsMax: number,
  addPath: boolean,
): number {
  const before = addPath ? 4 : 0;
  let count = 0;
  while (off < end) {
    off += before;
    if (off >= end) return -1;
    const len = bytes[off] as number;
    if (len > bitsMax) return -1;
    off += 1 + ((len + 7) >>> 3);
    count++;
  }
  return off === end ? count : -1;
}

/**
 * The prefixes in the octets `off`..`end`, bits beyond each length cleared, or undefined when they are malformed. Allocates
 * the list, at most 21 octets for each octet read.
 *
 * @param family IPv4 or IPv6 unicast @param addPath does a path identifier stand before each?
 * @rfc 4271#4.3 @rfc 4760#5 @rfc 7911#3
 */
export function parsePrefixes(
  bytes: Uint8Array,
  off: number,
  end: number,
  family: Family,
  addPath: boolean,
): PrefixList | undefined {
  if (off === end) return emptyPrefixList(family);
  const bits = addressBits(family);
  const count = countPrefixes(bytes, off, end, bits, addPath);
  if (count < 0) return undefined;
  const words = new Uint32Array(count * wordsPerPrefix(family));
  const lens = new Uint8Array(count);
  const pathIds = addPath ? new Uint32Array(count) : undefined;
  if (bits === 32) fillIpv4(bytes, off, words, lens, pathIds);
  else fillIpv6(bytes, off, words, lens, pathIds);
  return { family, count, words, lens, pathIds };
}

function fillIpv4(
  bytes: Uint8Array,
  off: number,
  words: Uint32Array,
  lens: Uint8Array,
  pathIds: Uint32Array | undefined,
): void {
  for (let i = 0; i < lens.length; i++) {
    if (pathIds !== undefined) {
      pathIds[i] = u32(bytes, off);
      off += 4;
    }
    const len = bytes[off++] as number;
    const octets = (len + 7) >>> 3;
    let addr = 0;
    if (octets > 0) addr = (bytes[off] as number) << 24;
    if (octets > 1) addr |= (bytes[off + 1] as number) << 16;
    if (octets > 2) addr |= (bytes[off + 2] as number) << 8;
    if (octets > 3) addr |= bytes[off + 3] as number;
    off += octets;
    words[i] = addr & (MASKS[len] as number);
    lens[i] = len;
  }
}

function fillIpv6(
  bytes: Uint8Array,
  off: number,
  words: Uint32Array,
  lens: Uint8Array,
  pathIds: Uint32Array | undefined,
): void {
  for (let i = 0; i < lens.length; i++) {
    if (pathIds !== undefined) {
      pathIds[i] = u32(bytes, off);
      off += 4;
    }
    const len = bytes[off++] as number;
    const octets = (len + 7) >>> 3;
    for (let word = 0; word < 4; word++) {
      let value = 0;
      for (let octet = 4 * word; octet < 4 * word + 4; octet++) {
        value = (value << 8) | (octet < octets ? (bytes[off + octet] as number) : 0);
      }
      words[4 * i + word] = value & ipv6MaskWord(len, word);
    }
    off += octets;
    lens[i] = len;
  }
}

/** How many octets prefix `i` takes on the wire. */
export function prefixLen(list: PrefixList, i: number, addPath: boolean): number {
  return (addPath ? 5 : 1) + (((list.lens[i] as number) + 7) >>> 3);
}

/**
 * Where to stop, so that the prefixes `from`..result take at most `room` octets together.
 */
export function fitPrefixes(list: PrefixList, from: number, room: number, addPath: boolean): number {
  const before = addPath ? 5 : 1;
  const lens = list.lens;
  let i = from;
  for (; i < list.count; i++) {
    room -= before + (((lens[i] as number) + 7) >>> 3);
    if (room < 0) break;
  }
  return i;
}

/**
 * Writes the prefixes `from`..`to` at `off`, bits beyond each length cleared, and returns the offset behind them. The caller
 * has made room: see {@link fitPrefixes}.
 */
export function emitPrefixes(
  bytes: Uint8Array,
  off: number,
  list: PrefixList,
  from: number,
  to: number,
  addPath: boolean,
): number {
  const wide = wordsPerPrefix(list.family) === 4;
  for (let i = from; i < to; i++) {
    if (addPath) {
      const id = list.pathIds === undefined ? 0 : (list.pathIds[i] as number);
      bytes[off] = id >>> 24;
      bytes[off + 1] = id >>> 16;
      bytes[off + 2] = id >>> 8;
      bytes[off + 3] = id;
      off += 4;
    }
    const len = list.lens[i] as number;
    const octets = (len + 7) >>> 3;
    bytes[off++] = len;
    if (wide) {
      for (let octet = 0; octet < octets; octet++) {
        const word = (list.words[4 * i + (octet >>> 2)] as number) & ipv6MaskWord(len, octet >>> 2);
        bytes[off + octet] = word >>> (24 - 8 * (octet & 3));
      }
    } else {
      const addr = (list.words[i] as number) & (MASKS[len] as number);
      if (octets > 0) bytes[off] = addr >>> 24;
      if (octets > 1) bytes[off + 1] = addr >>> 16;
      if (octets > 2) bytes[off + 2] = addr >>> 8;
      if (octets > 3) bytes[off + 3] = addr;
    }
    off += octets;
  }
  return off;
}
