import { type Prefix, prefixOf } from "../../../base/ipv4-addr.ts";

/** Prefixes inside `prefix` whose length is in a range: BIRD's `net ~ [ 10.0.0.0/8{16,24} ]`. */
export interface NetMatch {
  readonly prefix: Prefix;
  readonly lenMin: number;
  readonly lenMax: number;
}

const ALL_NETS: Prefix = { addr: 0, len: 0 };

/** The prefix and all inside it. */
export function inside(prefix: Prefix): NetMatch {
  return { prefix, lenMin: prefix.len, lenMax: 32 };
}

/** The prefix alone. */
export function exactly(prefix: Prefix): NetMatch {
  return { prefix, lenMin: prefix.len, lenMax: prefix.len };
}

/** All that a match leaves out, as matches. */
export function complement({ prefix, lenMin, lenMax }: NetMatch): NetMatch[] {
  const matches: NetMatch[] = [];
  const add = (inner: Prefix, from: number, to: number): void => {
    if (from <= to) matches.push({ prefix: inner, lenMin: from, lenMax: to });
  };
  // All that is shorter, then what lies next to it, bit by bit, then lengths that do not match.
  add(ALL_NETS, 0, prefix.len - 1);
  for (let len = 1; len <= prefix.len; len++) {
    const sibling = (prefixOf(prefix.addr, len).addr ^ (1 << (32 - len))) >>> 0;
    add({ addr: sibling, len }, prefix.len, 32);
  }
  add(prefix, prefix.len, lenMin - 1);
  add(prefix, lenMax + 1, 32);
  return matches;
}

export function netMatches({ prefix, lenMin, lenMax }: NetMatch, net: Prefix): boolean {
  return (
    net.len >= prefix.len &&
    prefixOf(net.addr, prefix.len).addr === prefix.addr &&
    net.len >= lenMin &&
    net.len <= lenMax
  );
}
