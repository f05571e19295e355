// Whatever the octets: nothing is thrown, nothing outside the view is read, what is returned obeys its own rules.
import fc from "fast-check";
import { expect, test } from "vitest";
import { emitAttributes } from "../../../../src/wire/bgp/attributes/emit-attributes.ts";
import { emitReachable } from "../../../../src/wire/bgp/emit-update.ts";
import { worstOf } from "../../../../src/wire/bgp/errors.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import { MessageReader } from "../../../../src/wire/bgp/message-reader.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import { parseNotification } from "../../../../src/wire/bgp/notification.ts";
import { emitOpen, parseOpen } from "../../../../src/wire/bgp/open.ts";
import { formatMessage } from "../../../../src/wire/bgp/pretty.ts";
import { parseRouteRefresh } from "../../../../src/wire/bgp/route-refresh.ts";
import { type ParsedUpdate, parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { EBGP, message, update, written } from "../../../support/bgp.ts";
import * as arbitrary from "../../../support/bgp-arbitraries.ts";
import { hexOf } from "../../../support/dissect.ts";

/**
 * A Uint8Array that throws when an element outside it is read: typed arrays answer undefined there, which would pass for a zero
 * in a sum.
 */
function guarded(bytes: Uint8Array): Uint8Array {
  return new Proxy(bytes, {
    get(target, key) {
      if (typeof key === "string" && /^-?\d+$/.test(key) && Number(key) >= target.length) {
        throw new RangeError(`element ${key} of ${target.length} was read`);
      }
      const value: unknown = Reflect.get(target, key, target);
      if (key === "subarray") return (from?: number, to?: number) => guarded(target.subarray(from, to));
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const sessions: readonly Negotiated[] = [
  EBGP,
  { ...EBGP, internal: true, peerAs: EBGP.localAs },
  { ...EBGP, as4: false, enforceFirstAs: false },
  {
    ...EBGP,
    addPathRx: [Family.IPV4_UNICAST, Family.IPV6_UNICAST],
    extNextHop: [Family.IPV4_UNICAST],
    confederationMember: true,
  },
];

/** What holds of any result. */
function audit(parsed: ParsedUpdate, octets: number): void {
  const worst = worstOf(parsed.errors);
  expect(parsed.rung).toBe(worst?.rung ?? "none");
  expect(parsed.announced.length).toBeLessThanOrEqual(2);
  expect(parsed.withdrawn.length).toBeLessThanOrEqual(4);
  let prefixes = 0;
  for (const list of [...parsed.withdrawn, ...parsed.announced.map((one) => one.prefixes)]) {
    expect(list.count).toBeGreaterThan(0);
    expect(list.lens.length).toBe(list.count);
    for (const len of list.lens)
      expect(len).toBeLessThanOrEqual(list.family === Family.IPV4_UNICAST ? 32 : 128);
    prefixes += list.count;
  }
  expect(prefixes).toBeLessThanOrEqual(octets);
  expect(parsed.errors.length).toBeLessThanOrEqual(24);
  const routes = parsed.announced.length > 0;
  expect(parsed.attributes !== undefined).toBe(routes);
  if (routes) {
    expect(parsed.attributes?.origin).toBeDefined();
    expect(parsed.attributes?.asPath).toBeDefined();
  }
  if (parsed.rung === "treat-as-withdraw") expect(routes).toBe(false);
  if (parsed.rung === "session-reset") expect(parsed.withdrawn).toEqual([]);
  for (const error of parsed.errors) {
    expect(error.code).toBe(3);
    expect(error.data.length).toBeLessThanOrEqual(octets);
    expect(error.rfc).toMatch(/^\d{4}#\d/);
    expect(error.message).not.toContain("NaN");
    expect(error.message).not.toContain("undefined");
  }
}

/** The same octets with anything behind them must give the same; and the guard sees reads that make no difference. */
function parseGuarded(bytes: Uint8Array, ctx: Negotiated): void {
  const parsed = parseUpdate(guarded(bytes), ctx);
  audit(parsed, bytes.length);
  const around = new Uint8Array(bytes.length + 80).fill(0xa5);
  around.set(bytes, 16);
  const again = parseUpdate(around.subarray(16, 16 + bytes.length), ctx);
  expect(again).toEqual({ ...parsed, attributeBlock: again.attributeBlock });
  // The cache must change nothing, when it learns and when it knows.
  const cache = new Map();
  for (let i = 0; i < 2; i++) {
    const cached = parseUpdate(bytes, ctx, cache);
    expect(cached).toEqual({ ...parsed, attributeBlock: cached.attributeBlock });
  }
}

const session = fc.constantFrom(...sessions);
const octets = (maxLength: number) => fc.uint8Array({ maxLength });

test("random UPDATE bodies", () => {
  fc.assert(
    fc.property(octets(120), session, (body, ctx) => parseGuarded(message(2, hexOf(body)), ctx)),
    { numRuns: 1500 },
  );
});

test("random attributes, prefixes and withdrawals in right lengths", () => {
  fc.assert(
    fc.property(octets(80), octets(12), octets(12), session, (attributes, nlri, withdrawn, ctx) =>
      parseGuarded(
        update({ attributes: hexOf(attributes), nlri: hexOf(nlri), withdrawn: hexOf(withdrawn) }),
        ctx,
      ),
    ),
    { numRuns: 1500 },
  );
});

test("lists of attributes with likely types and lengths", () => {
  const attribute = fc
    .tuple(
      fc.constantFrom(0x00, 0x40, 0x80, 0xc0, 0xe0, 0x50, 0x90, 0xd0),
      fc.oneof(fc.nat(40), fc.nat(255)),
      octets(24),
      fc.integer({ min: -1, max: 1 }),
    )
    .map(([flags, type, value, off]) => {
      const length = Math.max(0, value.length + (off === 0 ? 0 : off));
      const long = (flags & 0x10) !== 0;
      return hexOf(Uint8Array.of(flags, type, ...(long ? [0, length] : [length]), ...value));
    });
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 8 }), octets(8), session, (list, nlri, ctx) =>
      parseGuarded(update({ attributes: list.join(""), nlri: hexOf(nlri) }), ctx),
    ),
    { numRuns: 1500 },
  );
});

test("sound messages with a few octets changed, cut or repeated", () => {
  const change = fc.tuple(fc.nat(9999), fc.nat(255), fc.constantFrom("set", "flip", "cut", "double"));
  fc.assert(
    fc.property(
      arbitrary.session,
      arbitrary.pathAttributes(true),
      arbitrary.prefixList(Family.IPV4_UNICAST),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (ctx, attributes, list, changes) => {
        const block = emitAttributes(attributes, ctx);
        fc.pre(block.length < 3000);
        let bytes = written((out) => emitReachable(out, ctx, block, list));
        for (const [where, value, what] of changes) {
          const at = 19 + (where % Math.max(1, bytes.length - 19));
          if (what === "set") bytes[at] = value;
          else if (what === "flip") bytes[at] = (bytes[at] as number) ^ (1 << (value & 7));
          else if (what === "cut") bytes = bytes.slice(0, Math.max(19, at));
          else bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(Math.max(19, at - 8))]);
        }
        parseGuarded(bytes, ctx);
      },
    ),
    { numRuns: 600 },
  );
});

test("random OPENs, NOTIFICATIONs and ROUTE-REFRESHes", () => {
  fc.assert(
    fc.property(octets(60), fc.boolean(), (body, plausible) => {
      const hex = plausible
        ? `04fc00005a0a000001${body.length.toString(16).padStart(2, "0")}${hexOf(body)}`
        : hexOf(body);
      const open = parseOpen(guarded(message(1, hex)));
      if (!open.ok) expect(open.error.code).toBe(2);
      parseNotification(guarded(message(3, hexOf(body))));
      const refresh = parseRouteRefresh(guarded(message(5, hexOf(body))));
      expect(refresh.ok).toBe(body.length === 4);
    }),
    { numRuns: 1500 },
  );
});

test("mutated OPENs", () => {
  fc.assert(
    fc.property(
      arbitrary.openMessage,
      fc.array(fc.tuple(fc.nat(9999), fc.nat(255)), { maxLength: 3 }),
      (open, changes) => {
        const bytes = written((out) => emitOpen(out, open));
        for (const [where, value] of changes) bytes[19 + (where % (bytes.length - 19))] = value;
        const parsed = parseOpen(guarded(bytes));
        expect(typeof parsed.ok).toBe("boolean");
      },
    ),
    { numRuns: 500 },
  );
});

test("whatever is printed is one line", () => {
  fc.assert(
    fc.property(fc.nat(6), octets(80), fc.boolean(), (type, body, whole) => {
      const bytes = message(type, hexOf(body));
      const text = formatMessage(whole ? guarded(bytes) : guarded(bytes.subarray(0, bytes.length - 1)));
      expect(text).not.toMatch(/[\p{Cc}]|undefined|NaN/u);
    }),
    { numRuns: 1500 },
  );
});

test("random streams end in an error or in nothing", () => {
  fc.assert(
    fc.property(fc.array(octets(40), { maxLength: 10 }), (chunks) => {
      const reader = new MessageReader();
      for (const chunk of chunks) {
        reader.push(chunk);
        while (reader.next() !== undefined) expect(reader.error).toBeUndefined();
        expect(reader.stashed).toBeLessThanOrEqual(4096);
      }
    }),
  );
});
