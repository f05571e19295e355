// JSON of the store as plain JavaScript values and back. What JSON.parse would spoil stays: a number that a double does not write
// as it was read (2^53 and more, 1.0, 1e400) is kept as its text, and a key may be called `__proto__`.
import { err, ok, type Result } from "../../base/result.ts";
import { emitGoString, type GoValue, parseGoJson } from "../flannel/go-json.ts";

/** A number as it was written. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type PlainObject = Readonly<Record<string, unknown>>;

/** Real documents are ten levels deep; hostile ones would exhaust the stack of whoever reads them. */
const DEPTH_MAX = 100;

/** Reads JSON as Go would. Never throws, whatever the text. */
export function parsePlainJson(text: string): Result<unknown, string> {
  const parsed = parseGoJson(text);
  if (!parsed.ok) return parsed;
  if (!isWithinDepth(parsed.value)) return err(`nested more than ${DEPTH_MAX} levels deep`);
  return ok(toPlain(parsed.value));
}

/** Writes what Go's encoding/json would: compact, with `<`, `>`, `&`, U+2028 and U+2029 escaped. Undefined members are left out. */
export function emitPlainJson(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (typeof value === "string") return emitGoString(value);
  if (Array.isArray(value)) return `[${value.map((item: unknown) => emitPlainJson(item)).join(",")}]`;
  if (isPlainObject(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${emitGoString(key)}:${emitPlainJson(member)}`).join(",")}}`;
  }
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  return typeof value === "number" && Number.isFinite(value) ? String(value) : "null";
}

export function isPlainObject(value: unknown): value is PlainObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof NumberText)
  );
}

/** Sets a member, whatever its name. */
export function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

function toPlain(value: GoValue): unknown {
  switch (value.t) {
    case "null":
      return null;
    case "bool":
    case "string":
      return value.value;
    case "number": {
      const number = Number(value.raw);
      return String(number) === value.raw ? number : new NumberText(value.raw);
    }
    case "array":
      return value.items.map(toPlain);
    case "object": {
      const object: Record<string, unknown> = {};
      for (const member of value.members) setMember(object, member.key, toPlain(member.value));
      return object;
    }
  }
}

/** Level by level, not by recursion. */
function isWithinDepth(root: GoValue): boolean {
  let level: readonly GoValue[] = [root];
  for (let depth = 0; depth <= DEPTH_MAX; depth++) {
    level = level.flatMap((value) => {
      if (value.t === "array") return value.items;
      return value.t === "object" ? value.members.map((member) => member.value) : [];
    });
    if (level.length === 0) return true;
  }
  return false;
}
