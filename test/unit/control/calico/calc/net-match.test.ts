import fc from "fast-check";
import { expect, test } from "vitest";
import { type Prefix, prefixOf } from "../../../../../src/base/ipv4-addr.ts";
import { complement, type NetMatch, netMatches } from "../../../../../src/control/calico/calc/net-match.ts";

const LEN = fc.integer({ min: 0, max: 32 });
/** Of few different bits, so that prefixes meet. */
const ADDR = fc.array(fc.boolean(), { minLength: 32, maxLength: 32 }).chain((bits) =>
  fc.integer({ min: 0, max: 3 }).map((low) => {
    const addr = bits.reduce((sum, bit, i) => (bit && i % 8 < 2 ? sum + 2 ** i : sum), low);
    return addr >>> 0;
  }),
);
const NET: fc.Arbitrary<Prefix> = fc.tuple(ADDR, LEN).map(([addr, len]) => prefixOf(addr, len));

test("a prefix is either in a match or in one of its complement, and in that once", () => {
  const match = fc
    .tuple(NET, LEN, LEN)
    .map(
      ([prefix, x, y]): NetMatch => ({
        prefix,
        lenMin: Math.max(prefix.len, Math.min(x, y)),
        lenMax: Math.max(x, y),
      }),
    )
    .filter(({ lenMin, lenMax }) => lenMin <= lenMax);
  fc.assert(
    fc.property(match, NET, NET, LEN, (one, stranger, inner, len) => {
      const { prefix } = one;
      const near = prefixOf(
        (prefix.addr | (inner.addr & ~(prefix.len === 0 ? 0 : -1 << (32 - prefix.len)))) >>> 0,
        len,
      );
      for (const net of [stranger, near, prefix]) {
        const times = complement(one).filter((other) => netMatches(other, net)).length;
        expect(times).toBe(netMatches(one, net) ? 0 : 1);
      }
    }),
    { numRuns: 2000 },
  );
});
