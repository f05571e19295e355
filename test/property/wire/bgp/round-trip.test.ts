// parse∘emit = identity for values as a parser returns them, and emit∘parse = identity for octets as we write them.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emitAttributes } from "../../../../src/wire/bgp/attributes/emit-attributes.ts";
import type { PathAttributes } from "../../../../src/wire/bgp/attributes/path-attributes.ts";
import { emitReachable, emitWithdrawn } from "../../../../src/wire/bgp/emit-update.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import { MessageReader } from "../../../../src/wire/bgp/message-reader.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import { emitNotification, parseNotification } from "../../../../src/wire/bgp/notification.ts";
import { emitOpen, parseOpen } from "../../../../src/wire/bgp/open.ts";
import type { PrefixList } from "../../../../src/wire/bgp/prefix-list.ts";
import { emitRouteRefresh, parseRouteRefresh } from "../../../../src/wire/bgp/route-refresh.ts";
import { type ParsedUpdate, parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { textsOf, written } from "../../../support/bgp.ts";
import * as arbitrary from "../../../support/bgp-arbitraries.ts";
import { hexOf } from "../../../support/dissect.ts";

const { IPV4_UNICAST: V4, IPV6_UNICAST: V6 } = Family;
const u32 = fc.integer({ min: 0, max: 0xffffffff });

function parseAll(bytes: Uint8Array, ctx: Negotiated): ParsedUpdate[] {
  const reader = new MessageReader(ctx.rxMaxBytes);
  reader.push(bytes);
  const parsed: ParsedUpdate[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next())
    parsed.push(parseUpdate(next, ctx));
  expect(reader.error).toBeUndefined();
  expect(reader.stashed).toBe(0);
  for (const one of parsed) expect([one.rung, one.errors]).toEqual(["none", []]);
  return parsed;
}

/** The prefixes of a list as a session shows them. */
function shown(list: PrefixList, ctx: Negotiated): string[] {
  return textsOf(list, ctx.addPathTx.includes(list.family));
}

/** With two octets, a confederation's large numbers are lost for good, and a path whose only large ones they are has no shadow. */
function survives(attributes: PathAttributes, ctx: Negotiated): boolean {
  return (
    ctx.as4 || (attributes.asPath ?? []).every((one) => one.type < 3 || one.asns.every((as) => as <= 0xffff))
  );
}

test("UPDATE with routes in the NLRI field", () => {
  fc.assert(
    fc.property(
      arbitrary.session,
      arbitrary.pathAttributes(true),
      arbitrary.prefixList(V4),
      (ctx, attributes, list) => {
        fc.pre(survives(attributes, ctx));
        const block = emitAttributes(attributes, ctx);
        fc.pre(block.length < 4000);
        const bytes = written((out) => emitReachable(out, ctx, block, list));
        const parsed = parseAll(bytes, ctx);
        for (const one of parsed) {
          expect(one.attributes).toEqual(attributes);
          expect(one.announced[0]?.nextHop).toBe(attributes.nextHop);
        }
        expect(parsed.flatMap((one) => one.announced.flatMap(({ prefixes }) => textsOf(prefixes)))).toEqual(
          shown(list, ctx),
        );
        for (const one of parsed) {
          const again = emitAttributes(one.attributes as PathAttributes, ctx);
          expect(hexOf(again)).toBe(hexOf(one.attributeBlock));
        }
      },
    ),
    { numRuns: 400 },
  );
});

describe.each([
  ["IPv4", V4],
  ["IPv6", V6],
])("UPDATE with multiprotocol attributes, %s", (_, family) => {
  test("MP_REACH_NLRI", () => {
    fc.assert(
      fc.property(
        arbitrary.session,
        arbitrary.pathAttributes(),
        arbitrary.prefixList(family),
        arbitrary.nextHop(family),
        (session, withNextHop, list, nextHop) => {
          const ctx = { ...session, as4: true };
          const attributes = { ...withNextHop, nextHop: undefined };
          const block = emitAttributes(attributes, ctx);
          fc.pre(block.length < 4000);
          const parsed = parseAll(
            written((out) => emitReachable(out, ctx, block, list, nextHop)),
            ctx,
          );
          for (const one of parsed) {
            expect(one.attributes).toEqual(attributes);
            expect(one.announced[0]?.nextHop).toEqual(nextHop);
          }
          expect(parsed.flatMap((one) => one.announced.flatMap(({ prefixes }) => textsOf(prefixes)))).toEqual(
            shown(list, ctx),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("withdrawals", () => {
    fc.assert(
      fc.property(arbitrary.session, arbitrary.prefixList(family), (ctx, list) => {
        const parsed = parseAll(
          written((out) => emitWithdrawn(out, ctx, list)),
          ctx,
        );
        expect(parsed.flatMap((one) => one.withdrawn.flatMap((list) => textsOf(list)))).toEqual(
          shown(list, ctx),
        );
        expect(parsed.every((one) => one.announced.length === 0)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

test("OPEN, with short and with extended parameters", () => {
  let extended = 0;
  fc.assert(
    fc.property(arbitrary.openMessage, (open) => {
      const bytes = written((out) => emitOpen(out, open));
      if (bytes[28] === 255 && bytes[29] === 255) extended++;
      const parsed = parseOpen(bytes);
      expect(parsed).toEqual({ ok: true, value: { open, warnings: [] } });
      expect(hexOf(written((out) => emitOpen(out, parsed.ok ? parsed.value.open : open)))).toBe(hexOf(bytes));
    }),
    { numRuns: 500 },
  );
  expect(extended).toBeGreaterThan(10);
});

test("NOTIFICATION and ROUTE-REFRESH", () => {
  fc.assert(
    fc.property(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 300 }), (code, subcode, data) => {
      const notice = { code, subcode, data };
      expect(parseNotification(written((out) => emitNotification(out, notice)))).toEqual(notice);
    }),
  );
  fc.assert(
    fc.property(
      u32.map((n) => n >>> 8),
      fc.nat(255),
      (family, subtype) => {
        const refresh = { family, subtype };
        expect(parseRouteRefresh(written((out) => emitRouteRefresh(out, refresh)))).toEqual({
          ok: true,
          value: refresh,
        });
      },
    ),
  );
});

test("a stream falls into the same messages however it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 20 }),
      (datas, cuts) => {
        const messages = datas.map((data) =>
          written((out) => emitNotification(out, { code: 6, subcode: 2, data })),
        );
        const stream = Uint8Array.from(messages.flatMap((one) => [...one]));
        const reader = new MessageReader();
        const got: string[] = [];
        for (let off = 0, i = 0; off < stream.length; i++) {
          const size = cuts[i % cuts.length] as number;
          const chunk = stream.slice(off, off + size);
          reader.push(chunk);
          for (let next = reader.next(); next !== undefined; next = reader.next()) got.push(hexOf(next));
          chunk.fill(0xff);
          off += size;
        }
        expect(got).toEqual(messages.map(hexOf));
      },
    ),
    { numRuns: 300 },
  );
});
