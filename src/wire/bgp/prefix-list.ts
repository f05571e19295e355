// Prefixes by the thousand: columns of numbers instead of an object each. An IPv4 prefix is one unsigned 32-bit word and a length,
// an IPv6 prefix four words and a length; no bits are set beyond the length.
import { assert } from "../../base/assert.ts";
import { formatIpv4, type Ipv4Addr, type Prefix } from "../../base/ipv4-addr.ts";
import { addressBits, Family } from "./family.ts";
import { formatIpv6, type Ipv6Prefix } from "./ipv6-addr.ts";

/** Prefixes of one family. What parsers return is never written again; arrays may be longer than `count` needs. @rfc 4271#4.3 */
export interface PrefixList {
  readonly family: Family;
  readonly count: number;
  /** Addresses: element i for IPv4, elements 4i..4i+3 for IPv6. */
  readonly words: Uint32Array;
  /** Prefix lengths in bits. */
  readonly lens: Uint8Array;
  /** Path identifiers, where ADD-PATH was negotiated. @rfc 7911#3 */
  readonly pathIds: Uint32Array | undefined;
}

/** Words that an address of the family takes: 1 or 4. */
export function wordsPerPrefix(family: Family): 1 | 4 {
  return family === Family.IPV6_UNICAST ? 4 : 1;
}

/** The list without prefixes. */
export function emptyPrefixList(family: Family): PrefixList {
  return { family, count: 0, words: new Uint32Array(0), lens: new Uint8Array(0), pathIds: undefined };
}

/** Prefix `i` of an IPv4 list as a value. */
export function ipv4PrefixAt(list: PrefixList, i: number): Prefix {
  return { addr: list.words[i] as number, len: list.lens[i] as number };
}

/** Prefix `i` of an IPv6 list as a value. */
export function ipv6PrefixAt(list: PrefixList, i: number): Ipv6Prefix {
  const words = list.words;
  return {
    a: words[4 * i] as number,
    b: words[4 * i + 1] as number,
    c: words[4 * i + 2] as number,
    d: words[4 * i + 3] as number,
    len: list.lens[i] as number,
  };
}

/** Path identifier of prefix `i`; 0 where ADD-PATH was not negotiated. */
export function pathIdAt(list: PrefixList, i: number): number {
  return list.pathIds === undefined ? 0 : (list.pathIds[i] as number);
}

/** Prefix `i` for people: "10.0.0.0/8". */
export function formatPrefixAt(list: PrefixList, i: number): string {
  const len = list.lens[i] as number;
  return wordsPerPrefix(list.family) === 1
    ? `${formatIpv4(list.words[i] as number)}/${len}`
    : `${formatIpv6(ipv6PrefixAt(list, i))}/${len}`;
}

/**
 * A list that grows, and can be cleared and filled again without allocating: what a sender collects prefixes in. Every prefix
 * has a path identifier (0 by default) that only ADD-PATH sessions put on the wire.
 */
export class PrefixBuffer implements PrefixList {
  readonly family: Family;
  count = 0;
  words: Uint32Array;
  lens: Uint8Array;
  pathIds: Uint32Array;

  /** @param family IPv4 or IPv6 unicast @param capacity prefixes to make room for at once */
  constructor(family: Family, capacity = 16) {
    assert(addressBits(family) !== 0, "prefixes are IPv4 or IPv6 unicast");
    this.family = family;
    this.words = new Uint32Array(capacity * wordsPerPrefix(family));
    this.lens = new Uint8Array(capacity);
    this.pathIds = new Uint32Array(capacity);
  }

  /** Appends an IPv4 prefix. */
  addIpv4(addr: Ipv4Addr, len: number, pathId = 0): void {
    const i = this.#grow();
    this.words[i] = addr;
    this.lens[i] = len;
    this.pathIds[i] = pathId;
  }

  /** Appends an IPv6 prefix. */
  addIpv6(prefix: Ipv6Prefix, pathId = 0): void {
    const i = this.#grow();
    const words = this.words;
    words[4 * i] = prefix.a;
    words[4 * i + 1] = prefix.b;
    words[4 * i + 2] = prefix.c;
    words[4 * i + 3] = prefix.d;
    this.lens[i] = prefix.len;
    this.pathIds[i] = pathId;
  }

  /** Empties the list; it keeps its arrays. */
  clear(): void {
    this.count = 0;
  }

  #grow(): number {
    const i = this.count++;
    if (i < this.lens.length) return i;
    const capacity = Math.max(16, 2 * i);
    const words = new Uint32Array(capacity * wordsPerPrefix(this.family));
    words.set(this.words);
    this.words = words;
    const lens = new Uint8Array(capacity);
    lens.set(this.lens);
    this.lens = lens;
    const pathIds = new Uint32Array(capacity);
    pathIds.set(this.pathIds);
    this.pathIds = pathIds;
    return i;
  }
}
