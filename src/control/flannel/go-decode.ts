// Storing JSON values into Go's struct fields: which values a field takes, and the words of json.UnmarshalTypeError. A
// value that implements json.Unmarshaler and refuses ends the decoding at once; a plain type error is only remembered, the
// first one, and reported at the end.
import { err, ok, type Result } from "../../base/result.ts";
import { foldedMembers, type GoValue } from "./go-json.ts";

/** Decodes the members of one Go struct. */
export class GoStruct {
  readonly #object: GoValue & { t: "object" };
  readonly #name: string;
  readonly #unmarshalers: { readonly order: number; readonly error: string }[] = [];
  readonly #typeErrors: { readonly order: number; readonly error: string }[] = [];

  /** @param name the struct's name in error texts; empty for an anonymous struct */
  constructor(object: GoValue & { t: "object" }, name: string) {
    this.#object = object;
    this.#name = name;
  }

  /** The error that json.Unmarshal would return, once all fields have been read. */
  get error(): string | undefined {
    // The text's order decides, not the order in which we ask for fields.
    const first = (list: readonly { readonly order: number; readonly error: string }[]) =>
      list.reduce<{ readonly order: number; readonly error: string } | undefined>(
        (best, e) => (best === undefined || e.order < best.order ? e : best),
        undefined,
      )?.error;
    return first(this.#unmarshalers) ?? first(this.#typeErrors);
  }

  bool(field: string, absent: boolean): boolean {
    let out = absent;
    for (const value of foldedMembers(this.#object, field)) {
      if (value.t === "bool") out = value.value;
      else if (value.t !== "null") this.#typeError(value, field, kind(value), "bool");
    }
    return out;
  }

  string(field: string): string {
    let out = "";
    for (const value of foldedMembers(this.#object, field)) {
      if (value.t === "string") out = value.value;
      else if (value.t !== "null") this.#typeError(value, field, kind(value), "string");
    }
    return out;
  }

  /** A field of Go's type uint (64 bits). Values beyond 2^53 lose their last digits, which no limit here notices. */
  uint(field: string): number {
    return this.#integer(field, 0, "uint", 0n, 2n ** 64n - 1n);
  }

  /** A field of Go's type int (64 bits). */
  int(field: string, absent: number): number {
    return this.#integer(field, absent, "int", -(2n ** 63n), 2n ** 63n - 1n);
  }

  /** A field of Go's type uint32. */
  uint32(field: string, absent: number): number {
    return this.#integer(field, absent, "uint32", 0n, 2n ** 32n - 1n);
  }

  /** A json.RawMessage: the text of the last member, `null` included; undefined when there is none. */
  raw(field: string): GoValue | undefined {
    return foldedMembers(this.#object, field).at(-1);
  }

  /**
   * A field that unmarshals itself from the value's text without its quotes, as flannel's ip.IP4 does.
   * @param nullable a pointer field: `null` clears it instead of being parsed
   */
  custom<T>(field: string, parse: (text: string) => Result<T, string>, nullable: boolean): T | undefined {
    let out: T | undefined;
    for (const value of foldedMembers(this.#object, field)) {
      if (nullable && value.t === "null") {
        out = undefined;
        continue;
      }
      const parsed = parse(trimQuotes(value.raw));
      if (parsed.ok) out = parsed.value;
      else this.#unmarshalers.push({ order: this.#orderOf(value), error: parsed.error });
    }
    return out;
  }

  /** A slice of such fields: only checked, the elements are not wanted. */
  customSlice(field: string, goType: string, parse: (text: string) => Result<unknown, string>): void {
    for (const value of foldedMembers(this.#object, field)) {
      if (value.t === "null") continue;
      if (value.t !== "array") {
        this.#typeError(value, field, kind(value), goType);
        continue;
      }
      for (const item of value.items) {
        const parsed = parse(trimQuotes(item.raw));
        if (!parsed.ok) this.#unmarshalers.push({ order: this.#orderOf(value), error: parsed.error });
      }
    }
  }

  #integer(field: string, absent: number, goType: string, min: bigint, max: bigint): number {
    let out = absent;
    for (const value of foldedMembers(this.#object, field)) {
      if (value.t === "null") continue;
      if (value.t !== "number") {
        this.#typeError(value, field, kind(value), goType);
        continue;
      }
      const whole = /^-?\d{1,20}$/.test(value.raw) ? BigInt(value.raw) : undefined;
      if (whole === undefined || whole < min || whole > max || (min === 0n && value.raw.startsWith("-"))) {
        this.#typeError(value, field, `number ${value.raw}`, goType);
      } else {
        out = Number(whole);
      }
    }
    return out;
  }

  #typeError(value: GoValue, field: string, what: string, goType: string): void {
    const error = `json: cannot unmarshal ${what} into Go struct field ${this.#name}.${field} of type ${goType}`;
    this.#typeErrors.push({ order: this.#orderOf(value), error });
  }

  #orderOf(value: GoValue): number {
    return this.#object.members.findIndex((member) => member.value === value);
  }
}

/** What a text decodes to at the top: an object, nothing (`null`), or Go's complaint that `goType` is neither. */
export function decodeObject(
  value: GoValue,
  goType: string,
): Result<(GoValue & { t: "object" }) | undefined, string> {
  if (value.t === "object") return ok(value);
  if (value.t === "null") return ok(undefined);
  return err(`json: cannot unmarshal ${kind(value)} into Go value of type ${goType}`);
}

function kind(value: GoValue): string {
  return value.t;
}

function trimQuotes(raw: string): string {
  return raw.replace(/^"+|"+$/g, "");
}
