// JSON as Go's encoding/json reads it: the grammar, the words of its errors, object members in order with duplicates kept,
// and the source text of every value. flanneld parses its configuration and the leases with it, so what it accepts is what
// the store may hold. Read `go doc encoding/json.Unmarshal` first. Not here: invalid UTF-8 (callers decode bytes first).
import { err, ok, type Result } from "../../base/result.ts";
import { encodeUtf8 } from "../../base/utf8.ts";

/** One JSON value. `raw` is its exact source text, what Go calls a RawMessage. */
export type GoValue =
  | { readonly t: "null"; readonly raw: string }
  | { readonly t: "bool"; readonly raw: string; readonly value: boolean }
  | { readonly t: "number"; readonly raw: string }
  | { readonly t: "string"; readonly raw: string; readonly value: string }
  | { readonly t: "array"; readonly raw: string; readonly items: readonly GoValue[] }
  | { readonly t: "object"; readonly raw: string; readonly members: readonly GoMember[] };

interface GoMember {
  readonly key: string;
  readonly value: GoValue;
}

/** Go's limit of nesting. */
const DEPTH_MAX = 10_000;
const EOF = "unexpected end of JSON input";

/** A container whose end has not been read. The parser keeps its own stack, so that hostile nesting cannot exhaust ours. */
interface Open {
  readonly start: number;
  readonly items: GoValue[] | undefined;
  readonly members: GoMember[] | undefined;
  /** The key whose value is being read. */
  key: string;
}

class SyntaxFault {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** Parses `text`. The error is the one that Go's json.Unmarshal gives. Never throws, whatever the text. */
export function parseGoJson(text: string): Result<GoValue, string> {
  const parsed = new Parser(text).parse();
  return parsed instanceof SyntaxFault ? err(parsed.message) : ok(parsed);
}

class Parser {
  readonly #text: string;
  readonly #open: Open[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): GoValue | SyntaxFault {
    for (;;) {
      let value = this.#begin();
      // A finished value may finish its container, which is then a finished value itself.
      while (value !== undefined) {
        if (value instanceof SyntaxFault) return value;
        const parent = this.#open.at(-1);
        if (parent === undefined) return this.#afterTop() ?? value;
        const next: GoValue | SyntaxFault | undefined =
          parent.members === undefined ? this.#afterItem(parent, value) : this.#afterMember(parent, value);
        if (next === undefined) break;
        value = next;
      }
    }
  }

  /** Reads a whole scalar, an empty container, or the opening of a container (undefined). */
  #begin(): GoValue | SyntaxFault | undefined {
    this.#skipSpace();
    const start = this.#at;
    const c = this.#text[start];
    switch (c) {
      case undefined:
        return new SyntaxFault(EOF);
      case "{":
        return this.#beginObject(start);
      case "[":
        return this.#beginArray(start);
      case '"': {
        const value = this.#string();
        return typeof value === "string"
          ? { t: "string", raw: this.#text.slice(start, this.#at), value }
          : value;
      }
      case "t":
        return this.#literal("true") ?? { t: "bool", raw: "true", value: true };
      case "f":
        return this.#literal("false") ?? { t: "bool", raw: "false", value: false };
      case "n":
        return this.#literal("null") ?? { t: "null", raw: "null" };
      default:
        if (c === "-" || isDigit(c)) return this.#number(start);
        return this.#unexpected("looking for beginning of value");
    }
  }

  #beginObject(start: number): GoValue | SyntaxFault | undefined {
    const members: GoMember[] = [];
    if (this.#open.length >= DEPTH_MAX) return new SyntaxFault("exceeded max depth");
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return { t: "object", raw: this.#text.slice(start, this.#at), members };
    }
    const open: Open = { start, items: undefined, members, key: "" };
    const fault = this.#readKey(open);
    if (fault !== undefined) return fault;
    this.#open.push(open);
    return undefined;
  }

  #beginArray(start: number): GoValue | SyntaxFault | undefined {
    const items: GoValue[] = [];
    if (this.#open.length >= DEPTH_MAX) return new SyntaxFault("exceeded max depth");
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return { t: "array", raw: this.#text.slice(start, this.#at), items };
    }
    this.#open.push({ start, items, members: undefined, key: "" });
    return undefined;
  }

  #readKey(open: Open): SyntaxFault | undefined {
    this.#skipSpace();
    const c = this.#text[this.#at];
    if (c === undefined) return new SyntaxFault(EOF);
    if (c !== '"') return this.#unexpected("looking for beginning of object key string");
    const key = this.#string();
    if (typeof key !== "string") return key;
    open.key = key;
    this.#skipSpace();
    if (this.#text[this.#at] === undefined) return new SyntaxFault(EOF);
    if (this.#text[this.#at] !== ":") return this.#unexpected("after object key");
    this.#at++;
    return undefined;
  }

  #afterMember(open: Open, value: GoValue): GoValue | SyntaxFault | undefined {
    const members = open.members as GoMember[];
    members.push({ key: open.key, value });
    this.#skipSpace();
    const c = this.#text[this.#at];
    if (c === undefined) return new SyntaxFault(EOF);
    if (c !== "," && c !== "}") return this.#unexpected("after object key:value pair");
    this.#at++;
    if (c === ",") return this.#readKey(open);
    this.#open.pop();
    return { t: "object", raw: this.#text.slice(open.start, this.#at), members };
  }

  #afterItem(open: Open, value: GoValue): GoValue | SyntaxFault | undefined {
    const items = open.items as GoValue[];
    items.push(value);
    this.#skipSpace();
    const c = this.#text[this.#at];
    if (c === undefined) return new SyntaxFault(EOF);
    if (c !== "," && c !== "]") return this.#unexpected("after array element");
    this.#at++;
    if (c === ",") return undefined;
    this.#open.pop();
    return { t: "array", raw: this.#text.slice(open.start, this.#at), items };
  }

  #afterTop(): SyntaxFault | undefined {
    this.#skipSpace();
    return this.#at < this.#text.length ? this.#unexpected("after top-level value") : undefined;
  }

  #literal(word: string): SyntaxFault | undefined {
    for (let i = 0; i < word.length; i++, this.#at++) {
      const c = this.#text[this.#at];
      if (c === undefined) return new SyntaxFault(EOF);
      if (c !== word[i]) return this.#unexpected(`in literal ${word} (expecting '${word[i] as string}')`);
    }
    return undefined;
  }

  #number(start: number): GoValue | SyntaxFault {
    if (this.#text[this.#at] === "-") {
      this.#at++;
      const fault = this.#needDigit("in numeric literal");
      if (fault !== undefined) return fault;
    }
    if (this.#text[this.#at] === "0") this.#at++;
    else this.#skipDigits();
    if (this.#text[this.#at] === ".") {
      this.#at++;
      const fault = this.#needDigit("after decimal point in numeric literal");
      if (fault !== undefined) return fault;
      this.#skipDigits();
    }
    const e = this.#text[this.#at];
    if (e === "e" || e === "E") {
      this.#at++;
      const sign = this.#text[this.#at];
      if (sign === "+" || sign === "-") this.#at++;
      const fault = this.#needDigit("in exponent of numeric literal");
      if (fault !== undefined) return fault;
      this.#skipDigits();
    }
    return { t: "number", raw: this.#text.slice(start, this.#at) };
  }

  #needDigit(context: string): SyntaxFault | undefined {
    const c = this.#text[this.#at];
    if (c === undefined) return new SyntaxFault(EOF);
    return isDigit(c) ? undefined : this.#unexpected(context);
  }

  #skipDigits(): void {
    while (isDigit(this.#text[this.#at])) this.#at++;
  }

  /** Reads a string with its quotes. Lone surrogates become U+FFFD, as in Go. */
  #string(): string | SyntaxFault {
    const text = this.#text;
    let out = "";
    let from = ++this.#at;
    for (;;) {
      const c = text[this.#at];
      if (c === undefined) return new SyntaxFault(EOF);
      if (c === '"') {
        out += text.slice(from, this.#at++);
        return wellFormed(out);
      }
      if (c < " ") return this.#unexpected("in string literal");
      this.#at++;
      if (c !== "\\") continue;
      out += text.slice(from, this.#at - 1);
      const escaped = this.#escape();
      if (escaped instanceof SyntaxFault) return escaped;
      out += escaped;
      from = this.#at;
    }
  }

  /** Reads what follows a backslash. */
  #escape(): string | SyntaxFault {
    const c = this.#text[this.#at];
    if (c === undefined) return new SyntaxFault(EOF);
    const plain = ESCAPES.get(c);
    if (plain !== undefined) {
      this.#at++;
      return plain;
    }
    if (c !== "u") return this.#unexpected("in string escape code");
    this.#at++;
    const start = this.#at;
    for (let i = 0; i < 4; i++, this.#at++) {
      const hex = this.#text[this.#at];
      if (hex === undefined) return new SyntaxFault(EOF);
      if (!/^[0-9a-fA-F]$/.test(hex)) return this.#unexpected("in \\u hexadecimal character escape");
    }
    return String.fromCharCode(Number.parseInt(this.#text.slice(start, this.#at), 16));
  }

  #skipSpace(): void {
    for (;;) {
      const c = this.#text[this.#at];
      if (c !== " " && c !== "\t" && c !== "\n" && c !== "\r") return;
      this.#at++;
    }
  }

  #unexpected(context: string): SyntaxFault {
    return new SyntaxFault(`invalid character ${quoteChar(this.#text, this.#at)} ${context}`);
  }
}

const ESCAPES = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

const GO_QUOTED = new Map([
  ["'", "'\\''"],
  ['"', "'\"'"],
  ["\\", "'\\\\'"],
  ["\x07", "'\\a'"],
  ["\b", "'\\b'"],
  ["\f", "'\\f'"],
  ["\n", "'\\n'"],
  ["\r", "'\\r'"],
  ["\t", "'\\t'"],
  ["\v", "'\\v'"],
]);

/** Go's scanner works on bytes: it names the first byte of a character, as the Latin-1 character of that number. */
function quoteChar(text: string, at: number): string {
  const known = GO_QUOTED.get(text[at] as string);
  if (known !== undefined) return known;
  const byte = encodeUtf8(String.fromCodePoint(text.codePointAt(at) as number))[0] as number;
  const printable = (byte >= 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  if (printable) return `'${String.fromCharCode(byte)}'`;
  const hex = byte.toString(16).padStart(2, "0");
  return byte < 0x80 ? `'\\x${hex}'` : `'\\u00${hex}'`;
}

function isDigit(c: string | undefined): boolean {
  return c !== undefined && c >= "0" && c <= "9";
}

/** Lone surrogates cannot be UTF-8; Go writes U+FFFD in their place. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * The members that Go would store into a field called `name`, one after the other: keys match without regard to case, and
 * a later one overwrites an earlier one.
 */
export function foldedMembers(object: GoValue & { t: "object" }, name: string): readonly GoValue[] {
  return object.members.filter((member) => isFolded(member.key, name)).map((member) => member.value);
}

/** Are the two equal without regard to case? `name` is ASCII; long s and the Kelvin sign fold to ASCII letters. */
function isFolded(key: string, name: string): boolean {
  if (key.length !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const c = key.charCodeAt(i);
    const a = c === 0x17f ? 0x73 : c === 0x212a ? 0x6b : c;
    const b = name.charCodeAt(i);
    if (a !== b && (toLower(a) !== toLower(b) || a > 0x7f)) return false;
  }
  return true;
}

function toLower(c: number): number {
  return c >= 0x41 && c <= 0x5a ? c + 0x20 : c;
}

/** The text that Go's json.Marshal writes for a string: JSON, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function emitGoString(text: string): string {
  return escapeHtml(JSON.stringify(wellFormed(text)));
}

/** What json.Marshal makes of a RawMessage that holds `value`: compact, with the same characters escaped. */
export function emitGoRaw(value: unknown): string {
  return escapeHtml(JSON.stringify(value));
}

function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
