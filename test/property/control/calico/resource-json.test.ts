import fc from "fast-check";
import { expect, test } from "vitest";
import { SeededRng } from "../../../../src/base/rng.ts";
import { decodeUtf8, encodeUtf8 } from "../../../../src/base/utf8.ts";
import {
  checkResource,
  emitResource,
  formatFault,
  readResource,
} from "../../../../src/control/calico/check-resource.ts";
import { emitPlainJson, parsePlainJson } from "../../../../src/control/calico/plain-json.ts";
import { CALICO_KINDS } from "../../../../src/control/calico/resource-kinds.ts";
import { schemaOf } from "../../../../src/control/calico/resource-schemas.ts";
import type { Shape } from "../../../../src/control/calico/resource-shape.ts";
import { randomUid } from "../../../../src/control/calico/resource-version.ts";
import {
  parseWorkloadEndpointName,
  workloadEndpointName,
} from "../../../../src/control/calico/workload-endpoint-name.ts";

/** Texts that some field or other takes, and some that none does. */
const WORDS = [
  "10.244.0.0/16",
  "10.1.0.1",
  "fd00::/48",
  "fd00::1",
  "all()",
  "has(",
  "Always",
  "default",
  "p",
  "k8s",
  "66:00:00:00:00:01",
  "",
  "<&>",
  "64512:1",
];
const words = fc.constantFrom(...WORDS);
/** Members that no struct of Calico has. */
const strangers = fc.oneof(
  { weight: 20, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ x: 1.5 }, { "7": null }, JSON.parse('{"__proto__":{"a":1}}') as object),
  },
);
const scalars = fc.oneof(
  words,
  fc.integer({ min: -1, max: 70_000 }),
  fc.boolean(),
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
);

/** A value that is mostly of the shape, and sometimes anything. */
function of(shape: Shape): fc.Arbitrary<unknown> {
  const right = ((): fc.Arbitrary<unknown> => {
    switch (shape.t) {
      case "struct":
        return fc
          .subarray(Object.keys(shape.fields), { maxLength: Math.min(3, Object.keys(shape.fields).length) })
          .chain((some) => {
            const names = new Set([...(shape.required ?? []), ...some]);
            const record = Object.fromEntries(
              [...names].map((name) => [name, of(shape.fields[name] as Shape)] as const),
            );
            return fc.tuple(fc.record(record), strangers).map(([known, others]) => ({ ...known, ...others }));
          });
      case "list":
        return fc.array(of(shape.of), { maxLength: 2 });
      case "texts":
        return fc.dictionary(fc.constantFrom("a", "b/c", "10", "2"), words, { maxKeys: 3 });
      case "bool":
        return fc.boolean();
      case "string": {
        const { values, check } = shape;
        return fc.constantFrom(...(values ?? WORDS.filter((word) => check?.(word) === undefined)));
      }
      case "asNumber":
        return fc.constantFrom(1, 64_512, 4_294_967_295, "64512", "1.10");
      case "duration":
        return fc.constantFrom("90s", "2m0s", "1.5h", "0");
      case "int":
        return fc.integer({ min: shape.min, max: shape.max });
      default:
        return scalars;
    }
  })();
  return fc.oneof({ weight: 40, arbitrary: right }, { weight: 1, arbitrary: scalars });
}

const documents = fc.constantFrom(...CALICO_KINDS).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    apiVersion: fc.constant("projectcalico.org/v3"),
    metadata: fc.constant({ name: "default", ...(kind === "WorkloadEndpoint" ? { namespace: "p" } : {}) }),
    spec: of(schemaOf(kind).fields.spec as Shape),
  }),
);

test("what is accepted is stored, read and stored again without a change", () => {
  let accepted = 0;
  fc.assert(
    fc.property(documents, (document) => {
      const checked = checkResource(document);
      if (!checked.ok) {
        for (const fault of checked.error) expect(formatFault(document, fault).length).toBeGreaterThan(0);
        return;
      }
      accepted++;
      const { kind, metadata } = checked.value;
      const bytes = emitResource(checked.value);
      const id =
        metadata.namespace === undefined
          ? { kind, name: metadata.name }
          : { kind, name: metadata.name, namespace: metadata.namespace };
      const read = readResource(id, bytes);
      expect(read).toMatchObject({ ok: true });
      if (!read.ok) return;
      expect(decodeUtf8(emitResource(read.value))).toBe(decodeUtf8(bytes));
      expect(checkResource(read.value)).toEqual(checked);
    }),
    { numRuns: 4000 },
  );
  expect(accepted).toBeGreaterThan(500);
});

test("whatever stands in the store is read or refused, and what is read is stable", () => {
  fc.assert(
    fc.property(documents, (document) => {
      const id =
        document.kind === "WorkloadEndpoint"
          ? { kind: document.kind, name: "default", namespace: "p" }
          : { kind: document.kind, name: "default" };
      const read = readResource(id, encodeUtf8(JSON.stringify(document)));
      if (!read.ok) return;
      const bytes = emitResource(read.value);
      const again = readResource(id, bytes);
      expect(again).toEqual(read);
    }),
    { numRuns: 4000 },
  );
});

test("JSON keeps every value and the text of every number", () => {
  const number = fc.constantFrom(
    "0",
    "-0",
    "1",
    "1.0",
    "1e3",
    "9007199254740993",
    "0.1",
    "1e400",
    "-12345678901234567890",
  );
  const { json } = fc.letrec<{ json: string }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      number,
      fc.string({ unit: "grapheme" }).map((text) => emitPlainJson(text)),
      fc.constantFrom("null", "true", "false"),
      fc.array(tie("json"), { maxLength: 3 }).map((items) => `[${items.join(",")}]`),
      fc
        .uniqueArray(fc.constantFrom("a", "__proto__", "constructor", "<"), { maxLength: 3 })
        .chain((keys) =>
          fc
            .tuple(...keys.map(() => tie("json")))
            .map((values) => `{${keys.map((key, i) => `${emitPlainJson(key)}:${values[i]}`).join(",")}}`),
        ),
    ),
  }));
  fc.assert(
    fc.property(json, (text) => {
      const parsed = parsePlainJson(text);
      expect(parsed).toMatchObject({ ok: true });
      if (parsed.ok) expect(emitPlainJson(parsed.value)).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test("the name of an endpoint tells what it is made of", () => {
  const part = fc.stringMatching(/^[a-z0-9](-{0,3}[a-z0-9]){0,4}$/);
  fc.assert(
    fc.property(part, part, part, (node, pod, endpoint) => {
      const name = workloadEndpointName({ node, orchestrator: "k8s", pod, endpoint });
      expect(name.ok && parseWorkloadEndpointName(name.value)).toEqual({
        node,
        orchestrator: "k8s",
        workload: pod,
        endpoint,
      });
    }),
  );
});

test("uids are random version-4 UUIDs", () => {
  const uids = Array.from({ length: 500 }, (_, seed) => randomUid(new SeededRng(seed)));
  expect(new Set(uids).size).toBe(uids.length);
  for (const uid of uids)
    expect(uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
