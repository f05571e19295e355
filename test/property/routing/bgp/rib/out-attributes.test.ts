import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OutAttributes, OutAttributesStore } from "../../../../../src/routing/bgp/rib/out-attributes.ts";
import { RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { emitReachableOnce } from "../../../../../src/wire/bgp/emit-update.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { OctetWriter } from "../../../../../src/wire/bgp/octets.ts";
import { nextHop, pathAttributes, prefixList } from "../../../../support/bgp-arbitraries.ts";
import { attributes, V4, V6 } from "../../../../support/rib-world.ts";

const LENGTHS = [4096, 65535];

describe("attributes as they are told", () => {
  test("have room for a prefix exactly if it can be written", () => {
    const route = new RouteAttributes(attributes(), 1);
    const families = fc.constantFrom(V4, V6).chain((family) =>
      fc.record({
        list: prefixList(family),
        hop: family === V4 ? fc.option(nextHop(family), { nil: undefined }) : nextHop(family),
        addPath: fc.boolean(),
        txMaxBytes: fc.constantFrom(...LENGTHS),
        // Around the point where it fits no more.
        missing: fc.integer({ min: 20, max: 110 }),
      }),
    );
    fc.assert(
      fc.property(families, ({ list, hop, addPath, txMaxBytes, missing }) => {
        const block = new Uint8Array(txMaxBytes - missing);
        const attrs = new OutAttributes(route, block, hop);
        const ctx = { addPathTx: addPath ? [list.family] : [], txMaxBytes };
        const octets = (addPath ? 5 : 1) + Math.ceil((list.lens[0] as number) / 8);
        const out = new OctetWriter();
        const written = emitReachableOnce(out, ctx, block, list, 0, hop) > 0;
        expect(attrs.fits(octets, txMaxBytes)).toBe(written);
        if (written) expect(out.length).toBeLessThanOrEqual(txMaxBytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("are one object for the same octets, whatever they were made of", () => {
    fc.assert(
      fc.property(pathAttributes(), nextHop(Family.IPV6_UNICAST), fc.boolean(), (given, hop, as4) => {
        const store = new OutAttributesStore({ as4 });
        const told = { ...given, nextHop: undefined };
        const first = store.intern(new RouteAttributes(told, hop), V6);
        expect(store.intern(new RouteAttributes(structuredClone(told), structuredClone(hop)), V6)).toBe(
          first,
        );
        const elsewhere = { global: { a: 1, b: 2, c: 3, d: 4 }, linkLocal: undefined };
        expect(store.intern(new RouteAttributes(told, elsewhere), V6)).not.toBe(first);
        const other = { ...told, med: ((told.med ?? 0) + 1) % 2 ** 32 };
        expect(store.intern(new RouteAttributes(other, hop), V6)).not.toBe(first);
      }),
    );
  });
});
