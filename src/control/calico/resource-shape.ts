// What a field of a resource may hold: as data, so that one walk checks a document, normalises it and finds the keys that nobody
// knows, and another writes it in Go's order of fields.
import { nearestWord } from "../../base/nearest-word.ts";
import { formatGoDuration, parseGoDuration } from "../flannel/go-duration.ts";
import { emitGoString } from "../flannel/go-json.ts";
import { emitPlainJson, isPlainObject, NumberText, type PlainObject, setMember } from "./plain-json.ts";
import { quoted } from "./quoted-text.ts";

export type FieldPath = readonly (string | number)[];

/** Something wrong with a document. `path` leads to the field from the document's root. */
export interface ResourceFault {
  readonly path: FieldPath;
  readonly message: string;
}

export type Shape =
  | {
      readonly t: "string";
      /** Words that the field takes. */
      readonly values?: readonly string[];
      /** What is wrong with a text; undefined: nothing. */
      readonly check?: (text: string) => string | undefined;
      /** How Calico stores it. */
      readonly store?: (text: string) => string;
    }
  | { readonly t: "bool" }
  | { readonly t: "int"; readonly min: number; readonly max: number; readonly zeroIsUnset?: boolean }
  /** A number, or text: `"64512"`, `"1.10"`. Stored as a number. */
  | { readonly t: "asNumber"; readonly zeroIsUnset?: boolean }
  /** Stored as Go prints it: `2m0s`. */
  | { readonly t: "duration" }
  | { readonly t: "list"; readonly of: Shape }
  /** A map of strings to strings. */
  | {
      readonly t: "texts";
      readonly checkEntry?: (key: string, value: string) => string | undefined;
    }
  | StructShape
  /** Calico's, but not read here: kept as it is. */
  | { readonly t: "any" };

export interface StructShape {
  readonly t: "struct";
  /** In Go's order. */
  readonly fields: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
}

/**
 * `document`: what a user has written; a key that nobody knows is a fault.
 * `store`: what stands in the store; such a key is kept, and known ones are found whatever their case, as Go finds them.
 */
export type ShapeSource = "document" | "store";

/** Checks a value; its faults are added to `faults`. Answers the value as it is to be stored; undefined when it is unset. */
export function checkShape(
  shape: Shape,
  value: unknown,
  path: FieldPath,
  source: ShapeSource,
  faults: ResourceFault[],
): unknown {
  // null leaves a field of Go as it was.
  if (value === null || value === undefined) return undefined;
  const refuse = (message: string): undefined => {
    faults.push({ path, message });
    return undefined;
  };
  switch (shape.t) {
    case "any":
      return value;
    case "bool":
      return typeof value === "boolean" ? value : refuse(`must be true or false, not ${describe(value)}`);
    case "string":
      return checkString(shape, value, refuse);
    case "int":
      return checkInt(shape, value, refuse);
    case "asNumber":
      return checkAsNumber(shape.zeroIsUnset === true, value, refuse);
    case "duration":
      return checkDuration(value, refuse);
    case "list": {
      if (!Array.isArray(value)) return refuse(`must be a list, not ${describe(value)}`);
      const items = value.map((item: unknown, i) => checkShape(shape.of, item, [...path, i], source, faults));
      return items.filter((item) => item !== undefined);
    }
    case "texts":
      return checkTexts(shape, value, path, faults);
    case "struct":
      return isPlainObject(value)
        ? checkStruct(shape, value, path, source, faults)
        : refuse(`must be a mapping of fields, not ${describe(value)}`);
  }
}

const WORD_LENGTH_MAX = 60;

type Refuse = (message: string) => undefined;

function checkString(shape: Shape & { t: "string" }, value: unknown, refuse: Refuse): string | undefined {
  if (typeof value !== "string") return refuse(`must be a text, not ${describe(value)}; put it in quotes`);
  // Go leaves an empty text out.
  if (value === "") return undefined;
  if (shape.values !== undefined && !shape.values.includes(value)) {
    // Comparing takes the product of both lengths, and the store's texts may be of any.
    const near = value.length <= WORD_LENGTH_MAX ? nearestWord(value, shape.values) : undefined;
    return refuse(
      `${quoted(value)} is none of ${shape.values.join(", ")}${near === undefined ? "" : `: did you mean ${near}?`}`,
    );
  }
  const fault = shape.check?.(value);
  if (fault !== undefined) return refuse(fault);
  return shape.store === undefined ? value : shape.store(value);
}

function checkInt(shape: Shape & { t: "int" }, value: unknown, refuse: Refuse): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    return refuse(`must be a whole number, not ${describe(value)}`);
  }
  if (value === 0 && shape.zeroIsUnset === true) return undefined;
  if (value < shape.min || value > shape.max)
    return refuse(`must be ${shape.min} to ${shape.max}, not ${value}`);
  return value;
}

const AS_NUMBER_MAX = 0xffff_ffff;

function checkAsNumber(zeroIsUnset: boolean, value: unknown, refuse: Refuse): number | undefined {
  const number = typeof value === "string" ? parseAsNumber(value) : value;
  if (number === 0 && zeroIsUnset) return undefined;
  if (typeof number !== "number" || !Number.isInteger(number) || number < 1 || number > AS_NUMBER_MAX) {
    return refuse(`must be an AS number, 1 to ${AS_NUMBER_MAX} or "HIGH.LOW", not ${describe(value)}`);
  }
  return number;
}

/** RFC 5396 calls the two asplain and asdot+. */
function parseAsNumber(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  const [, high, low] = (/^(\d{1,5})\.(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (high === undefined || low === undefined || high > 0xffff || low > 0xffff) return undefined;
  return high * 0x1_0000 + low;
}

function checkDuration(value: unknown, refuse: Refuse): string | undefined {
  const us = typeof value === "string" ? parseGoDuration(value) : undefined;
  if (us === undefined) return refuse(`must be a duration such as "90s" or "2m0s", not ${describe(value)}`);
  if (us < 0) return refuse(`must not be negative, which ${describe(value)} is`);
  return formatGoDuration(us);
}

function checkTexts(
  shape: Shape & { t: "texts" },
  value: unknown,
  path: FieldPath,
  faults: ResourceFault[],
): Readonly<Record<string, string>> | undefined {
  if (!isPlainObject(value)) {
    faults.push({ path, message: `must be a mapping of texts, not ${describe(value)}` });
    return undefined;
  }
  const texts: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    const message =
      typeof text === "string"
        ? shape.checkEntry?.(key, text)
        : `must be a text, not ${describe(text)}; put it in quotes`;
    if (message === undefined) setMember(texts, key, text);
    else faults.push({ path: [...path, key], message });
  }
  return texts;
}

function checkStruct(
  shape: StructShape,
  value: PlainObject,
  path: FieldPath,
  source: ShapeSource,
  faults: ResourceFault[],
): PlainObject {
  const given: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const name = fieldNamed(shape, key, source);
    if (name !== undefined) given[name] = member;
    else if (source === "store") setMember(others, key, member);
    else if (member !== undefined) faults.push({ path: [...path, key], message: unknownKey(shape, key) });
  }
  const checked: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(shape.fields)) {
    const before = faults.length;
    const out = checkShape(field, given[name], [...path, name], source, faults);
    if (out !== undefined) checked[name] = out;
    else if (shape.required?.includes(name) === true && faults.length === before) {
      faults.push({ path: [...path, name], message: "must be set" });
    }
  }
  for (const [key, member] of Object.entries(others)) setMember(checked, key, member);
  return checked;
}

function fieldNamed(shape: StructShape, key: string, source: ShapeSource): string | undefined {
  if (Object.hasOwn(shape.fields, key)) return key;
  if (source === "document") return undefined;
  const lower = key.toLowerCase();
  return Object.keys(shape.fields).find((name) => name.toLowerCase() === lower);
}

function unknownKey(shape: StructShape, key: string): string {
  const known = Object.keys(shape.fields);
  const near = nearestWord(key, known);
  if (near !== undefined) return `unknown field "${key}": did you mean ${near}?`;
  return known.length <= 30
    ? `unknown field "${key}": the fields here are ${known.join(", ")}`
    : `unknown field "${key}"`;
}

/** Writes a value as Go would: known fields in their order, then the others; maps sorted by key. */
export function emitShape(shape: Shape, value: unknown): string {
  switch (shape.t) {
    case "list":
      if (!Array.isArray(value)) break;
      return `[${value.map((item: unknown) => emitShape(shape.of, item)).join(",")}]`;
    case "texts":
      if (!isPlainObject(value)) break;
      return emitMembers(Object.keys(value).sort(), value, () => undefined);
    case "struct": {
      if (!isPlainObject(value)) break;
      const known = Object.keys(shape.fields);
      const others = Object.keys(value).filter((key) => !Object.hasOwn(shape.fields, key));
      const shapeOf = (key: string) => (Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined);
      return emitMembers([...known, ...others], value, shapeOf);
    }
    default:
      break;
  }
  return emitPlainJson(value);
}

function emitMembers(
  keys: readonly string[],
  value: PlainObject,
  shapeOf: (key: string) => Shape | undefined,
): string {
  const members: string[] = [];
  for (const key of keys) {
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (member === undefined) continue;
    const shape = shapeOf(key);
    const text = shape === undefined ? emitPlainJson(member) : emitShape(shape, member);
    members.push(`${emitGoString(key)}:${text}`);
  }
  return `{${members.join(",")}}`;
}

/** What somebody wrote, for a sentence about it. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isPlainObject(value)) return "a mapping";
  if (value instanceof NumberText) return quoted(value.text).slice(1, -1);
  return typeof value === "string" ? quoted(value) : String(value);
}
