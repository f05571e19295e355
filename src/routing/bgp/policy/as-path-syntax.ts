// Expressions over AS paths, in the notation of the routers' "as-path access-list": they are read here into a small program for
// as-path-matcher.ts. They are not JavaScript's regular expressions, because those may take exponential time over a path, and
// paths are written by strangers.
//
// An expression is searched for in the text that formatAsPath writes: numbers and spaces; { } around a set, ( ) and [ ] around a
// sequence and a set of a confederation. It knows
//   64512  [0-9]  [^ ]  .     digits and other characters of a path, one of several, none of several, any one
//   _                         the beginning, the end, or everything that stands between two AS numbers
//   ^  $                      the beginning, the end
//   a*  a+  a?  a|b  (a)      any number of times, at least once, at most once, either, a group
//   \( \) \[ \]               the characters themselves; { and } are always themselves: there are no repeat counts
import { err, ok, type Result } from "../../../base/result.ts";

/** The alphabet: each character's place here is its symbol. */
export const PATH_SYMBOLS = "0123456789 {}()[]";

/** After the last character. */
export const END_SYMBOL = PATH_SYMBOLS.length;

/** The symbol of a blank: the first that is no digit. */
export const SPACE_SYMBOL = 10;

/** What a node of a program does. */
export const Op = {
  /** One symbol of the set `x`, a bit each; then `y`. */
  ONE_OF: 0,
  /** `x` or `y`. */
  EITHER: 1,
  /** Nothing before; then `y`. */
  BEGIN: 2,
  /** Nothing after; then `y`. */
  END: 3,
  /** No AS number runs through here; then `y`. */
  BETWEEN: 4,
  ACCEPT: 5,
} as const;

/** A node of a program: numbers, read as its `op` says. */
export interface PathNode {
  readonly op: number;
  readonly x: number;
  readonly y: number;
}

/** A nondeterministic automaton, of not more than four nodes a character of the expression. */
export interface PathProgram {
  readonly nodes: readonly PathNode[];
  readonly start: number;
}

type Tree =
  | { readonly t: "empty" }
  | { readonly t: "oneOf"; readonly set: number }
  | { readonly t: "place"; readonly op: number }
  | { readonly t: "all"; readonly parts: readonly Tree[] }
  | { readonly t: "any"; readonly parts: readonly Tree[] }
  | { readonly t: "repeat"; readonly of: Tree; readonly how: string };

const DIGITS = 0x3ff;
const ANY = (1 << END_SYMBOL) - 1;
const NOT_DIGITS = ANY & ~DIGITS;

/** Groups in groups, at most. */
const MAX_DEPTH = 32;

/** Reads an expression; refused: what is wrong with it, and where. @param maxLength characters that it may have */
export function parsePathExpression(text: string, maxLength: number): Result<PathProgram, string> {
  if (text === "") return err('it is empty; write "^$" for the path without AS numbers, ".*" for every path');
  if (text.length > maxLength) return err(`it has ${text.length} characters, ${maxLength} are allowed`);
  const parser = new ExpressionParser(text);
  const tree = parser.parse();
  return parser.fault === undefined ? ok(program(tree)) : err(parser.fault);
}

class ExpressionParser {
  /** The first thing that is wrong. */
  fault: string | undefined;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Tree {
    const tree = this.#alternatives();
    if (this.#at < this.#text.length)
      this.#fail('")" without a "(" before it; write "\\)" for the character');
    return tree;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #fail(what: string, at = this.#at): Tree {
    this.fault ??= `at character ${at + 1}: ${what}`;
    // Nothing more is read.
    this.#at = this.#text.length;
    return { t: "empty" };
  }

  #alternatives(): Tree {
    const parts = [this.#sequence()];
    while (this.#peek() === "|") {
      this.#at++;
      parts.push(this.#sequence());
    }
    return parts.length === 1 ? (parts[0] as Tree) : { t: "any", parts };
  }

  #sequence(): Tree {
    const parts: Tree[] = [];
    for (let next = this.#peek(); next !== "" && next !== "|" && next !== ")"; next = this.#peek()) {
      let part = this.#atom();
      for (let how = this.#peek(); how !== "" && "*+?".includes(how); how = this.#peek()) {
        part = { t: "repeat", of: part, how };
        this.#at++;
      }
      parts.push(part);
    }
    return parts.length === 1 ? (parts[0] as Tree) : { t: "all", parts };
  }

  #atom(): Tree {
    const char = this.#peek();
    if (char === "(") return this.#group();
    if (char === "[") return this.#oneOf();
    if ("*+?".includes(char)) return this.#fail(`"${char}" repeats nothing`);
    if (char === "{") this.#refuseCount();
    this.#at++;
    if (char === "_") return { t: "place", op: Op.BETWEEN };
    if (char === "^") return { t: "place", op: Op.BEGIN };
    if (char === "$") return { t: "place", op: Op.END };
    if (char === ".") return { t: "oneOf", set: ANY };
    const symbol = char === "\\" ? this.#escaped() : this.#symbol(char, this.#at - 1);
    return { t: "oneOf", set: 1 << symbol };
  }

  #group(): Tree {
    const open = this.#at++;
    if (++this.#depth > MAX_DEPTH) return this.#fail(`groups are nested deeper than ${MAX_DEPTH}`, open);
    const tree = this.#alternatives();
    this.#depth--;
    if (this.#peek() !== ")") return this.#fail('"(" without a ")"; write "\\(" for the character', open);
    this.#at++;
    return tree;
  }

  /** A "{2}" that closely follows something is a repeat count to whoever wrote it: no set follows a number without a blank. */
  #refuseCount(): void {
    const closely = this.#at > 0 && /[0-9)\].*+?]/.test(this.#text.charAt(this.#at - 1));
    if (!closely || !/^\{([0-9]+,?[0-9]*|,[0-9]+)\}/.test(this.#text.slice(this.#at))) return;
    this.#fail('there are no repeat counts; write it out, or "\\{" if an AS set begins here');
  }

  /** After the backslash. */
  #escaped(): number {
    const char = this.#peek();
    if (char === "") {
      this.#fail('"\\" at the end', this.#at - 1);
      return 0;
    }
    if (/[0-9A-Za-z]/.test(char)) {
      this.#fail(
        `"\\${char}" means nothing here; write [0-9] for a digit, "_" for what separates AS numbers`,
      );
      return 0;
    }
    this.#at++;
    return this.#symbol(char, this.#at - 1);
  }

  #symbol(char: string, at: number): number {
    const symbol = PATH_SYMBOLS.indexOf(char);
    if (symbol >= 0) return symbol;
    const hint = char === "," ? '; AS numbers of a set are separated by blanks, as all are: write "_"' : "";
    this.#fail(`"${char}" is in no path${hint}`, at);
    return 0;
  }

  #oneOf(): Tree {
    const open = this.#at++;
    const negated = this.#peek() === "^";
    if (negated) this.#at++;
    let set = 0;
    // A "]" that comes first stands for itself, as everywhere.
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#peek() === "") return this.#fail('"[" without a "]"; write "\\[" for the character', open);
      set |= this.#classElement();
    }
    this.#at++;
    return { t: "oneOf", set: negated ? ANY & ~set : set };
  }

  /** A character or a range of digits, as a set. */
  #classElement(): number {
    const at = this.#at++;
    const char = this.#text.charAt(at);
    const from = char === "\\" ? this.#escaped() : this.#symbol(char, at);
    if (this.#peek() !== "-") return 1 << from;
    this.#at++;
    const to = PATH_SYMBOLS.indexOf(this.#peek());
    if (this.#peek() === "" || from >= SPACE_SYMBOL || to < from || to >= SPACE_SYMBOL) {
      this.#fail("a range goes from one digit to a higher one", at);
      return 0;
    }
    this.#at++;
    return (1 << (to + 1)) - (1 << from);
  }
}

/** Each part of the tree becomes nodes once, so that a program is never longer than its expression. */
function program(tree: Tree): PathProgram {
  const nodes: PathNode[] = [{ op: Op.ACCEPT, x: 0, y: 0 }];
  const add = (op: number, x: number, y: number): number => nodes.push({ op, x, y }) - 1;
  const loop = (body: (again: number) => number, next: number): readonly [number, number] => {
    const again = add(Op.EITHER, 0, next);
    const first = body(again);
    nodes[again] = { op: Op.EITHER, x: first, y: next };
    return [again, first];
  };
  const node = (part: Tree, next: number): number => {
    switch (part.t) {
      case "empty":
        return next;
      case "oneOf":
        return add(Op.ONE_OF, part.set, next);
      case "place": {
        if (part.op !== Op.BETWEEN) return add(part.op, 0, next);
        const [rest] = loop((again) => add(Op.ONE_OF, NOT_DIGITS, again), next);
        return add(Op.BETWEEN, 0, rest);
      }
      case "all":
        return part.parts.reduceRight((after, one) => node(one, after), next);
      case "any":
        return part.parts.map((one) => node(one, next)).reduceRight((y, x) => add(Op.EITHER, x, y));
      case "repeat": {
        if (part.how === "?") return add(Op.EITHER, node(part.of, next), next);
        const [again, first] = loop((back) => node(part.of, back), next);
        return part.how === "+" ? first : again;
      }
    }
  };
  const start = node(tree, 0);
  return { nodes, start };
}
