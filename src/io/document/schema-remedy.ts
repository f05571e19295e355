// What to write instead of what a file has: read off the JSON schema, so that bounds and choices are said as they are.
import { countOf } from "../../base/count-of.ts";
import { nearestWord } from "../../base/nearest-word.ts";
import { type DocPath, keyText } from "./problem.ts";

/** As much of a JSON schema as is walked here. */
export interface JsonSchema {
  readonly description?: string;
  readonly type?: string;
  readonly const?: string | number | boolean | null;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly examples?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** Every schema that may apply at `path`: several where unions lie on the way. */
function schemasAt(root: JsonSchema, path: DocPath): readonly JsonSchema[] {
  let schemas = withBranches(root);
  for (const step of path) schemas = schemas.flatMap((schema) => childOf(schema, step)).flatMap(withBranches);
  return schemas;
}

function childOf(
  { items, properties, additionalProperties }: JsonSchema,
  step: string | number,
): JsonSchema[] {
  if (typeof step === "number") return items === undefined ? [] : [items];
  const named = properties !== undefined && Object.hasOwn(properties, step) ? properties[step] : undefined;
  if (named !== undefined) return [named];
  return typeof additionalProperties === "object" ? [additionalProperties] : [];
}

function withBranches(schema: JsonSchema): JsonSchema[] {
  return [schema, ...(schema.anyOf ?? []).flatMap(withBranches)];
}

/** What may stand at `path` in place of `value`, which does not fit; undefined: it is missing. */
export function valueRemedy(root: JsonSchema, path: DocPath, value: unknown): string {
  const schemas = schemasAt(root, path);
  const forms = [...new Set(schemas.flatMap(formOf))].join(", or ");
  if (value === undefined) return `Add the key: ${forms}.`;
  // The description of a choice says what each of the words does.
  const choice = schemas.some((schema) => schema.enum !== undefined);
  const about = choice ? schemas.find((schema) => schema.description !== undefined)?.description : undefined;
  return about === undefined ? `Write ${forms}.` : `Write ${forms}. ${about}`;
}

/** What an unknown key was perhaps meant to be, or which there are. @param what the document is: "a lab file" */
export function unknownKeyRemedy(root: JsonSchema, what: string, key: string, path: DocPath): string {
  const schemas = schemasAt(root, path);
  const known = [...new Set(schemas.flatMap((schema) => Object.keys(schema.properties ?? {})))];
  const where = path.length === 0 ? what : keyText(path);
  const near = nearestWord(key, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  return `The keys of ${where} are: ${known.join(", ")}.`;
}

/** The values of a schema as a phrase: `a whole number from 1 to 2000`. None for a union, whose branches speak for it. */
function formOf(schema: JsonSchema): string[] {
  if (schema.const !== undefined) return [String(schema.const)];
  if (schema.enum !== undefined) return [schema.enum.join(" or ")];
  const like = schema.examples === undefined ? "" : ` like ${schema.examples[0]}`;
  switch (schema.type) {
    case "integer":
      return [`a whole number from ${schema.minimum} to ${schema.maximum}`];
    case "boolean":
      return ["true or false"];
    case "null":
      return ["null"];
    case "array":
      return [`a list of ${schema.minItems ?? 0} to ${countOf(schema.maxItems ?? 0, "entry", "entries")}`];
    case "object":
      return [
        schema.properties === undefined
          ? "a map"
          : `a map of the keys ${Object.keys(schema.properties).join(", ")}`,
      ];
    case "string": {
      const kinds: Readonly<Record<string, string>> = { ipv4: "an address", cidrv4: "a prefix" };
      return [`${kinds[schema.format ?? ""] ?? "text"}${like}`];
    }
    default:
      return [];
  }
}
