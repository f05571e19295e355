// Reads the fields of one JSON object as Go's encoding/json would store them, but strictly: what has the wrong type is refused
// with a sentence that names the field. Numbers stay exact, however large.

import { err, ok, type Result } from "../../../base/result.ts";
import { decodeUtf8 } from "../../../base/utf8.ts";
import { foldedMembers, type GoValue, parseGoJson } from "../../flannel/go-json.ts";

export const UINT64_MAX = 2n ** 64n - 1n;

type GoObject = GoValue & { readonly t: "object" };

/** Parses a value of the store to the object that it must be. */
export function parseObject(input: Uint8Array | string): Result<GoFields, string> {
  const text = typeof input === "string" ? input : decodeUtf8(input);
  if (text === undefined) return err("it is not UTF-8");
  const json = parseGoJson(text);
  if (!json.ok) return err(`it is not JSON: ${json.error}`);
  if (json.value.t !== "object")
    return err(`it is JSON, but ${withArticle(json.value.t)} instead of an object`);
  return ok(new GoFields(json.value, ""));
}

export class GoFields {
  readonly object: GoObject;
  readonly #where: string;
  #error: string | undefined;

  /** @param where what stands before a field's name in errors: empty, or `attributes[3].` */
  constructor(object: GoObject, where: string) {
    this.object = object;
    this.#where = where;
  }

  /** The first complaint, once all fields have been read. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Remembers a complaint, if it is the first. */
  fail(message: string): void {
    this.#error ??= message;
  }

  /** The last member of this name; undefined when there is none or it is null. */
  value(name: string): GoValue | undefined {
    const value = foldedMembers(this.object, name).at(-1);
    return value === undefined || value.t === "null" ? undefined : value;
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (value.t === "string") return value.value;
    this.#mustBe(name, "a string", value);
    return undefined;
  }

  bool(name: string): boolean {
    const value = this.value(name);
    if (value === undefined) return false;
    if (value.t === "bool") return value.value;
    this.#mustBe(name, "true or false", value);
    return false;
  }

  /** A whole number of 0 to `max`; 0 when there is none. */
  uint(name: string, max: bigint = UINT64_MAX): bigint {
    const value = this.value(name);
    if (value === undefined) return 0n;
    const number = wholeNumber(value, max);
    if (number === undefined) this.#mustBe(name, `a whole number of 0 to ${max}`, value);
    return number ?? 0n;
  }

  array(name: string): readonly GoValue[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (value.t === "array") return value.items;
    this.#mustBe(name, "a list", value);
    return undefined;
  }

  /** The members of an object; of those with one name, the last. */
  map(name: string): ReadonlyMap<string, GoValue> | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (value.t === "object") return new Map(value.members.map((member) => [member.key, member.value]));
    this.#mustBe(name, "an object", value);
    return undefined;
  }

  #mustBe(name: string, what: string, value: GoValue): void {
    this.fail(`${this.#where}${name} must be ${what}, not ${shown(value)}`);
  }
}

/** The number that `value` is, if it is a whole one of 0 to `max`. */
export function wholeNumber(value: GoValue, max: bigint): bigint | undefined {
  if (value.t !== "number" || !/^\d{1,20}$/.test(value.raw)) return undefined;
  const number = BigInt(value.raw);
  return number <= max ? number : undefined;
}

/** A value for an error's text, cut short. */
export function shown(value: GoValue): string {
  return value.raw.length <= 40 ? value.raw : `${value.raw.slice(0, 40)}…`;
}

function withArticle(t: string): string {
  return t === "array" ? "a list" : t === "null" ? "null" : `a ${t}`;
}

/** Sorts as Go sorts the keys of maps: by their UTF-8, which is the order of code points. */
export function compareGoKeys(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < x.length && i < y.length; i++) {
    const d = ((x[i] as string).codePointAt(0) as number) - ((y[i] as string).codePointAt(0) as number);
    if (d !== 0) return d;
  }
  return x.length - y.length;
}
