// Calico's label selectors: which nodes, peers or pods something applies to. The grammar is Calico's own, quirks included:
//
//   or   := and { "||" and }                     and := term { "&&" term }
//   term := { "!" } ( "(" or ")" | "all()" | "global()" | "has(" label ")" | label op )
//   op   := "==" text | "!=" text | "contains" text | "starts with" text | "ends with" text
//         | "in" set | "not in" set              set := "{" [ text { "," text } [ "," ] ] "}"
//
// A text is quoted by ' or ", without escapes. A label that is missing fails every test but `!=` and `not in`. The empty selector
// selects everything. Words after a label are operators, so that a label may be called `in` or `has`.
import { err, ok, type Result } from "../../base/result.ts";
import { quoted } from "./quoted-text.ts";

export type Labels = Readonly<Record<string, string>>;

type TextOp = "==" | "!=" | "contains" | "starts with" | "ends with";

type Term =
  | { readonly t: "all" }
  | { readonly t: "has"; readonly label: string }
  | { readonly t: "text"; readonly label: string; readonly op: TextOp; readonly value: string }
  | {
      readonly t: "set";
      readonly label: string;
      readonly negated: boolean;
      readonly values: ReadonlySet<string>;
    }
  | { readonly t: "not"; readonly term: Term }
  | { readonly t: "and" | "or"; readonly terms: readonly Term[] };

export interface Selector {
  readonly text: string;
  readonly root: Term;
}

/** `at`: offset in the text, in UTF-16 units. */
export interface SelectorFault {
  readonly at: number;
  readonly message: string;
}

/** Parentheses within parentheses: hostile text must not exhaust the stack. */
const DEPTH_MAX = 100;

/** Parses a selector. Never throws, whatever the text. */
export function parseSelector(text: string): Result<Selector, SelectorFault> {
  const tokens = new Tokenizer(text).tokens();
  if (!Array.isArray(tokens)) return err(tokens);
  if (tokens.length === 1) return ok({ text, root: ALL });
  const root = new Parser(tokens).parse();
  return "message" in root ? err(root) : ok({ text, root });
}

/** Is a thing with these labels selected? */
export function selects(selector: Selector, labels: Labels): boolean {
  return holds(selector.root, labels);
}

/** The fault with its place, as one sentence. */
export function formatSelectorFault(text: string, fault: SelectorFault): string {
  return `invalid selector ${quoted(text)}: ${fault.message} at character ${fault.at + 1}`;
}

function holds(term: Term, labels: Labels): boolean {
  switch (term.t) {
    case "all":
      return true;
    case "has":
      return Object.hasOwn(labels, term.label);
    case "text":
      return holdsText(
        term.op,
        Object.hasOwn(labels, term.label) ? labels[term.label] : undefined,
        term.value,
      );
    case "set": {
      const value = Object.hasOwn(labels, term.label) ? labels[term.label] : undefined;
      return (value !== undefined && term.values.has(value)) !== term.negated;
    }
    case "not":
      return !holds(term.term, labels);
    case "and":
      return term.terms.every((each) => holds(each, labels));
    case "or":
      return term.terms.some((each) => holds(each, labels));
  }
}

function holdsText(op: TextOp, value: string | undefined, wanted: string): boolean {
  if (op === "!=") return value !== wanted;
  if (value === undefined) return false;
  switch (op) {
    case "==":
      return value === wanted;
    case "contains":
      return value.includes(wanted);
    case "starts with":
      return value.startsWith(wanted);
    case "ends with":
      return value.endsWith(wanted);
  }
}

type Token =
  | { readonly t: "label" | "text" | "has"; readonly value: string; readonly at: number }
  | { readonly t: TextOp | "in" | "not in"; readonly at: number }
  | {
      readonly t: "(" | ")" | "{" | "}" | "," | "!" | "&&" | "||" | "all" | "end";
      readonly at: number;
    };

const ALL: Term = { t: "all" };

/** Two letters first: the longest sign wins. */
const SIGNS = ["==", "!=", "&&", "||", "(", ")", "{", "}", ",", "!"] as const;
const LABEL = /[a-zA-Z0-9_./-]+/y;
/** Calico looks for the word alone, not for its end: `a in{'b'}` and `notin` are right. */
const OPERATOR = /contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in/y;
const CALL = /(all|global)\([ \t]*/y;

class Tokenizer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  tokens(): Token[] | SelectorFault {
    const tokens: Token[] = [];
    for (;;) {
      this.#skipSpace();
      const token =
        this.#at >= this.#text.length
          ? ({ t: "end", at: this.#at } as const)
          : this.#next(tokens.at(-1)?.t === "label");
      if ("message" in token) return token;
      tokens.push(token);
      if (token.t === "end") return tokens;
    }
  }

  #next(afterLabel: boolean): Token | SelectorFault {
    const at = this.#at;
    const c = this.#text[at] as string;
    if (c === "'" || c === '"') return this.#quoted(c);
    const sign = SIGNS.find((each) => this.#text.startsWith(each, at));
    if (sign !== undefined) {
      this.#at += sign.length;
      return { t: sign, at };
    }
    if (c === "=" || c === "&" || c === "|") return { at, message: `expected ${c}${c}` };
    if (afterLabel) return this.#operator();
    const call = this.#match(CALL);
    if (call !== undefined) {
      return this.#close() ? { t: "all", at } : { at: this.#at, message: `no closing ')' after ${call}` };
    }
    if (this.#text.startsWith("has(", at)) return this.#has();
    const label = this.#match(LABEL);
    return label === undefined ? { at, message: "unexpected characters" } : { t: "label", value: label, at };
  }

  #quoted(quote: string): Token | SelectorFault {
    const at = this.#at;
    const end = this.#text.indexOf(quote, at + 1);
    if (end < 0) return { at, message: "unterminated string" };
    this.#at = end + 1;
    return { t: "text", value: this.#text.slice(at + 1, end), at };
  }

  #operator(): Token | SelectorFault {
    const at = this.#at;
    const word = this.#match(OPERATOR);
    if (word === undefined) {
      const message =
        "unexpected characters after a label, expected an operator: ==, !=, in, not in, contains, starts with or ends with";
      return { at, message };
    }
    if (word.startsWith("starts")) return { t: "starts with", at };
    if (word.startsWith("ends")) return { t: "ends with", at };
    if (word.startsWith("not")) return { t: "not in", at };
    return { t: word as "contains" | "in", at };
  }

  #has(): Token | SelectorFault {
    const at = this.#at;
    this.#at += "has(".length;
    this.#skipSpace();
    const value = this.#match(LABEL);
    if (value === undefined) return { at: this.#at, message: "no label name in has( expression" };
    this.#skipSpace();
    return this.#close() ? { t: "has", value, at } : { at: this.#at, message: "no closing ')' after has(" };
  }

  #close(): boolean {
    if (this.#text[this.#at] !== ")") return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Term | SelectorFault {
    const term = this.#or();
    if ("message" in term) return term;
    return this.#peek().t === "end" ? term : this.#fault("unexpected content at end of selector");
  }

  #or(): Term | SelectorFault {
    return this.#joined("||", "or", () => this.#joined("&&", "and", () => this.#term()));
  }

  #joined(sign: "||" | "&&", t: "or" | "and", each: () => Term | SelectorFault): Term | SelectorFault {
    const terms: Term[] = [];
    do {
      const term = each();
      if ("message" in term) return term;
      terms.push(term);
    } while (this.#accept(sign));
    return terms.length === 1 ? (terms[0] as Term) : { t, terms };
  }

  #term(): Term | SelectorFault {
    let negated = false;
    while (this.#accept("!")) negated = !negated;
    const term = this.#plainTerm();
    return negated && !("message" in term) ? { t: "not", term } : term;
  }

  #plainTerm(): Term | SelectorFault {
    const token = this.#peek();
    switch (token.t) {
      case "all":
        this.#next++;
        return ALL;
      case "has":
        this.#next++;
        return { t: "has", label: token.value };
      case "label":
        this.#next++;
        return this.#operation(token.value);
      case "(":
        return this.#parenthesis();
      case "end":
        return this.#fault("unexpected end of string looking for op");
      default:
        return this.#fault("expected a label, has(label), all(), global() or '('");
    }
  }

  #parenthesis(): Term | SelectorFault {
    if (this.#depth >= DEPTH_MAX) return this.#fault(`more than ${DEPTH_MAX} parentheses within each other`);
    this.#depth++;
    this.#next++;
    const inner = this.#or();
    this.#depth--;
    if ("message" in inner) return inner;
    return this.#accept(")") ? inner : this.#fault("expected )");
  }

  #operation(label: string): Term | SelectorFault {
    const op = this.#peek();
    switch (op.t) {
      case "==":
      case "!=":
      case "contains":
      case "starts with":
      case "ends with": {
        this.#next++;
        const value = this.#peek();
        if (value.t !== "text") return this.#fault("expected string");
        this.#next++;
        return { t: "text", label, op: op.t, value: value.value };
      }
      case "in":
      case "not in":
        this.#next++;
        return this.#set(label, op.t === "not in");
      case "end":
        return this.#fault("unexpected end of string looking for op");
      default:
        return this.#fault("expected an operator after a label");
    }
  }

  #set(label: string, negated: boolean): Term | SelectorFault {
    if (!this.#accept("{")) return this.#fault("expected set literal");
    const values = new Set<string>();
    for (let value = this.#peek(); value.t === "text"; value = this.#peek()) {
      this.#next++;
      values.add(value.value);
      if (!this.#accept(",")) break;
    }
    return this.#accept("}") ? { t: "set", label, negated, values } : this.#fault("expected }");
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #accept(t: Token["t"]): boolean {
    if (this.#peek().t !== t) return false;
    this.#next++;
    return true;
  }

  #fault(message: string): SelectorFault {
    return { at: this.#peek().at, message };
  }
}
