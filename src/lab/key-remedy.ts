// What to write instead of what a lab file has: read off the JSON schema, so that bounds and choices are said as they are.
import { countOf } from "./count-of.ts";
import { labJsonSchema } from "./lab-schema.ts";
import { storeRemedy } from "./store-endpoints.ts";
import { nearestWord } from "./suggestion.ts";
import { type DocPath, keyText } from "./yaml-source.ts";

/** As much of a JSON schema as is walked here. */
interface JsonSchema {
  readonly description?: string;
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly examples?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** Every schema that may apply at `path`: several where unions lie on the way. */
function schemasAt(path: DocPath): readonly JsonSchema[] {
  let schemas = withBranches(labJsonSchema() as JsonSchema);
  for (const step of path) {
    const next = schemas.flatMap((schema) => {
      const child = typeof step === "number" ? schema.items : schema.properties?.[step];
      return child === undefined ? [] : [child];
    });
    schemas = next.flatMap(withBranches);
  }
  return schemas;
}

function withBranches(schema: JsonSchema): JsonSchema[] {
  return [schema, ...(schema.anyOf ?? []).flatMap(withBranches)];
}

/** What may stand at `path` in place of `value`, which does not fit; undefined: it is missing. */
export function valueRemedy(path: DocPath, value: unknown): string {
  if (path.length === 1 && path[0] === "store" && typeof value === "string") return storeRemedy(value);
  const schemas = schemasAt(path);
  const forms = [...new Set(schemas.flatMap(formOf))].join(", or ");
  if (value === undefined) return `Add the key: ${forms}.`;
  // The description of a choice says what each of the words does.
  const choice = schemas.some((schema) => schema.enum !== undefined);
  const about = choice ? schemas.find((schema) => schema.description !== undefined)?.description : undefined;
  return about === undefined ? `Write ${forms}.` : `Write ${forms}. ${about}`;
}

/** What an unknown key was perhaps meant to be, or which there are. */
export function unknownKeyRemedy(key: string, path: DocPath): string {
  const known = [...new Set(schemasAt(path).flatMap((schema) => Object.keys(schema.properties ?? {})))];
  const where = path.length === 0 ? "a lab file" : keyText(path);
  const near = nearestWord(key, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  return `The keys of ${where} are: ${known.join(", ")}.`;
}

/** The values of a schema as a phrase: `a whole number from 1 to 2000`. None for a union, whose branches speak for it. */
function formOf(schema: JsonSchema): string[] {
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum !== undefined) return [schema.enum.join(" or ")];
  const like = schema.examples === undefined ? "" : ` like ${schema.examples[0]}`;
  switch (schema.type) {
    case "integer":
      return [`a whole number from ${schema.minimum} to ${schema.maximum}`];
    case "boolean":
      return ["true or false"];
    case "array":
      return [`a list of ${schema.minItems ?? 0} to ${countOf(schema.maxItems ?? 0, "entry", "entries")}`];
    case "object":
      return [`a map of the keys ${Object.keys(schema.properties ?? {}).join(", ")}`];
    case "string": {
      const kinds: Readonly<Record<string, string>> = { ipv4: "an address", cidrv4: "a prefix" };
      return [`${kinds[schema.format ?? ""] ?? "text"}${like}`];
    }
    default:
      return [];
  }
}
