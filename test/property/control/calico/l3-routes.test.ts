import fc from "fast-check";
import { expect, test } from "vitest";
import { L3Routes } from "../../../../src/control/calico/calc/l3-routes.ts";
import type { CalicoUpdate } from "../../../../src/control/calico/calico-updates.ts";
import { block, blockUpdate, gone, node, pool, update } from "../../../support/calico.ts";

const name = fc.constantFrom("a", "b", "c", "d");
const mode = fc.constantFrom("Always", "CrossSubnet", "Never");
const octet = fc.integer({ min: 0, max: 3 });

const change: fc.Arbitrary<CalicoUpdate> = fc.oneof(
  fc
    .tuple(name, octet, fc.constantFrom(24, 32))
    .map(([n, o, len]) => update(node(n, `10.2${o}.0.${n.charCodeAt(0)}/${len}`))),
  name.map((n) => gone("Node", n)),
  fc.tuple(octet, fc.option(name, { nil: undefined }), name).map(([o, owner, borrower]) => {
    const net = `192.168.${o}.`;
    return blockUpdate(block(`${net}0/26`, owner, { [`${net}9`]: borrower }));
  }),
  octet.map((o) => ({
    t: "block" as const,
    cidr: block(`192.168.${o}.0/26`, undefined).cidr,
    value: undefined,
  })),
  fc
    .tuple(mode, fc.boolean())
    .map(([m, ipip]) =>
      update(pool("p", { cidr: "192.168.0.0/22", ...(ipip ? { ipipMode: m } : { vxlanMode: m }) })),
    ),
  fc.constant(gone("IPPool", "p")),
);

/** What is last said of a thing is what is so. */
function keyOf(one: CalicoUpdate): string {
  if (one.t === "resource") return `${one.kind} ${one.name}`;
  return one.t === "block" ? `block ${one.cidr.addr}` : one.t;
}

const dumped = (routes: L3Routes): string[] =>
  [...routes.dump()].map((route) => JSON.stringify(route)).sort();

test("the routes are what the last words make them, whatever came before, in whatever order, flushed when", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(change, fc.boolean()), { maxLength: 30 }),
      fc.infiniteStream(fc.nat()),
      (steps, nats) => {
        const live = new L3Routes("a");
        const told = new Map<string, string>();
        for (const [one, flush] of steps) {
          live.onUpdate(one);
          if (flush) apply(told, live);
        }
        apply(told, live);
        const last = [...new Map(steps.map(([one]) => [keyOf(one), one])).values()];
        const fresh = new L3Routes("a");
        for (const one of last.sort(() => ((nats.next().value as number) % 3) - 1)) fresh.onUpdate(one);
        fresh.flush();
        expect(dumped(live)).toEqual(dumped(fresh));
        expect([...told.values()].sort()).toEqual(dumped(fresh));
      },
    ),
  );
});

/** Keeps a copy by what flush() says. */
function apply(told: Map<string, string>, routes: L3Routes): void {
  const { replaced, deleted } = routes.flush();
  for (const dst of deleted) told.delete(JSON.stringify(dst));
  for (const route of replaced) told.set(JSON.stringify(route.dst), JSON.stringify(route));
}
