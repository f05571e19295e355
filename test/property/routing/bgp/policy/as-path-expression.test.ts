import fc from "fast-check";
import { expect, test } from "vitest";
import { compilePathExpression } from "../../../../../src/routing/bgp/policy/as-path-matcher.ts";
import { type AsPath, formatAsPath } from "../../../../../src/wire/bgp/as-path.ts";

// The oracle follows the expression as it was built, over sets of places in the path's text: from where to where each part reaches.
// JavaScript's own regular expressions would not do, since they may take exponential time.

/** Places that a part reaches from one place. */
type Reach = (text: string, from: number) => ReadonlySet<number>;

interface Part {
  readonly written: string;
  readonly reach: Reach;
}

const SEPARATORS = " {}()[]";
const isDigit = (char: string): boolean => char >= "0" && char <= "9" && char !== "";

const oneOf = (chars: string): Reach => {
  return (text, from) => new Set(from < text.length && chars.includes(text.charAt(from)) ? [from + 1] : []);
};

/** Where no number runs through, and everywhere that only separators lie between. */
function between(text: string, from: number): ReadonlySet<number> {
  const reached = new Set<number>();
  if (isDigit(text.charAt(from - 1)) && isDigit(text.charAt(from))) return reached;
  reached.add(from);
  for (let to = from; to < text.length && SEPARATORS.includes(text.charAt(to)); to++) reached.add(to + 1);
  return reached;
}

const atoms: readonly Part[] = [
  ...["1", "2", " "].map((char) => ({ written: char, reach: oneOf(char) })),
  ..."{}()[]".split("").map((char) => ({ written: `\\${char}`, reach: oneOf(char) })),
  { written: "12", reach: (text, from) => new Set(text.startsWith("12", from) ? [from + 2] : []) },
  { written: ".", reach: oneOf(`0123456789${SEPARATORS}`) },
  { written: "[12]", reach: oneOf("12") },
  { written: "[^1]", reach: oneOf(`023456789${SEPARATORS}`) },
  { written: "[^ ]", reach: oneOf("0123456789{}()[]") },
  { written: "[1-2 ]", reach: oneOf("12 ") },
  { written: "[^0-9]", reach: oneOf(SEPARATORS) },
  { written: "_", reach: between },
  { written: "^", reach: (_, from) => new Set(from === 0 ? [from] : []) },
  { written: "$", reach: (text, from) => new Set(from === text.length ? [from] : []) },
];

function sequence(parts: readonly Part[]): Part {
  return {
    written: parts.map((part) => part.written).join(""),
    reach: (text, from) =>
      parts.reduce<ReadonlySet<number>>(
        (places, part) => new Set([...places].flatMap((place) => [...part.reach(text, place)])),
        new Set([from]),
      ),
  };
}

function either(parts: readonly Part[]): Part {
  return {
    written: `(${parts.map((part) => part.written).join("|")})`,
    reach: (text, from) => new Set(parts.flatMap((part) => [...part.reach(text, from)])),
  };
}

function repeated(part: Part, how: string): Part {
  return {
    written: `(${part.written})${how}`,
    reach: (text, from) => {
      const once = part.reach(text, from);
      if (how === "?") return new Set([from, ...once]);
      const reached = new Set(how === "*" ? [from, ...once] : once);
      // A set grows while it is walked through.
      for (const place of reached) for (const next of part.reach(text, place)) reached.add(next);
      return reached;
    },
  };
}

const expression = fc.letrec<{ tree: Part }>((tie) => {
  const parts = fc.array(tie("tree"), { minLength: 2, maxLength: 3 });
  return {
    tree: fc.oneof(
      { maxDepth: 4, depthIdentifier: "tree" },
      fc.constantFrom(...atoms),
      parts.map(sequence),
      parts.map(either),
      fc.tuple(tie("tree"), fc.constantFrom("*", "+", "?")).map(([part, how]) => repeated(part, how)),
    ),
  };
});

function isFound(part: Part, text: string): boolean {
  for (let from = 0; from <= text.length; from++) if (part.reach(text, from).size > 0) return true;
  return false;
}

const asns = fc.array(fc.constantFrom(1, 2, 12, 21, 112, 212), { minLength: 1, maxLength: 3 });
const asPath: fc.Arbitrary<AsPath> = fc.array(fc.record({ type: fc.constantFrom(2, 2, 1, 3, 4), asns }), {
  maxLength: 3,
});

test("an expression is found in a path when it is found in its text", () => {
  fc.assert(
    fc.property(expression.tree, fc.array(asPath, { minLength: 1, maxLength: 8 }), (part, paths) => {
      const matcher = compilePathExpression(part.written, 10_000);
      if (!matcher.ok) throw new Error(`${part.written}: ${matcher.error}`);
      for (const one of paths) {
        const text = formatAsPath(one);
        expect(matcher.value.matches(one), `${part.written} in "${text}"`).toBe(isFound(part, text));
      }
    }),
    { numRuns: 1000 },
  );
});

test("whatever is written is compiled or refused with a sentence, and settled", () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(..."0129_^$.*+?|()[]{}\\- ,".split("")), maxLength: 40 }),
    fc.string({ maxLength: 40 }),
  );
  fc.assert(
    fc.property(text, asPath, (one, path) => {
      const matcher = compilePathExpression(one, 100);
      if (matcher.ok) expect(typeof matcher.value.matches(path)).toBe("boolean");
      else expect(matcher.error).toMatch(/^(at character \d+: |it is empty)/);
    }),
    { numRuns: 3000 },
  );
});
