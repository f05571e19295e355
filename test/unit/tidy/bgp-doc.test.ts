// docs/bgp.md names every key that a speaker's file may have.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
}

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

/** The keys of all objects that a schema describes. */
function keysOf(schema: Schema, into: Set<string> = new Set()): Set<string> {
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    into.add(key);
    keysOf(value, into);
  }
  for (const one of [schema.items, ...(schema.anyOf ?? [])]) if (one !== undefined) keysOf(one, into);
  if (typeof schema.additionalProperties === "object") keysOf(schema.additionalProperties, into);
  return into;
}

test("every key of the schema stands in the page, and every key of its tables in the schema", () => {
  const keys = keysOf(JSON.parse(read("schema/bgp-speaker.schema.json")) as Schema);
  const doc = read("docs/bgp.md");
  const [, ...tables] = doc.slice(doc.indexOf("## The file")).split(/^\| key/m);
  const cells = tables.flatMap((table) => table.split("\n").filter((line) => line.startsWith("| `")));
  const code = cells.flatMap((line) => [...line.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? ""));
  const named = new Set(code.flatMap((text) => text.split(/[^A-Za-z0-9]+/)));
  expect([...keys].filter((key) => !named.has(key))).toEqual([]);
  const first = cells.flatMap((line) =>
    [...(line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? ""),
  );
  expect(first.filter((path) => !path.split(".").every((part) => keys.has(part)))).toEqual([]);
  expect(keys.size).toBeGreaterThan(80);
});
