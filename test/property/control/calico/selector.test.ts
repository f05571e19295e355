import fc from "fast-check";
import { expect, test } from "vitest";
import { type Labels, parseSelector, selects } from "../../../../src/control/calico/selector.ts";

// A selector as a picture of its meaning, its text and a naive evaluator: three independent readings of one tree.
type Tree =
  | { readonly t: "all" }
  | { readonly t: "has"; readonly label: string }
  | { readonly t: "text"; readonly label: string; readonly op: string; readonly value: string }
  | { readonly t: "set"; readonly label: string; readonly op: string; readonly values: readonly string[] }
  | { readonly t: "not"; readonly of: Tree }
  | { readonly t: "and" | "or"; readonly of: readonly Tree[] };

const label = fc.constantFrom("a", "b", "in", "not", "has", "x.y/z-1");
const value = fc.constantFrom("", "1", "12", "21", "'", "constructor");

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant<Tree>({ t: "all" }),
    fc.record({ t: fc.constant("has" as const), label }),
    fc.record({
      t: fc.constant("text" as const),
      label,
      op: fc.constantFrom("==", "!=", "contains", "starts with", "ends with"),
      value,
    }),
    fc.record({
      t: fc.constant("set" as const),
      label,
      op: fc.constantFrom("in", "not in"),
      values: fc.array(value, { maxLength: 3 }),
    }),
    fc.record({ t: fc.constant("not" as const), of: tie("tree") }),
    fc.record({
      t: fc.constantFrom("and" as const, "or" as const),
      of: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));

function quote(text: string): string {
  return text.includes("'") ? `"${text}"` : `'${text}'`;
}

function write(node: Tree): string {
  switch (node.t) {
    case "all":
      return "all()";
    case "has":
      return `has(${node.label})`;
    case "text":
      return `${node.label} ${node.op} ${quote(node.value)}`;
    case "set":
      return `${node.label} ${node.op} {${node.values.map(quote).join(", ")}}`;
    case "not":
      return `!(${write(node.of)})`;
    case "and":
      return node.of.map((each) => (each.t === "or" ? `(${write(each)})` : write(each))).join(" && ");
    case "or":
      return node.of.map(write).join(" || ");
  }
}

function naive(node: Tree, labels: Labels): boolean {
  switch (node.t) {
    case "all":
      return true;
    case "has":
      return node.label in labels;
    case "text": {
      const have = labels[node.label];
      if (node.op === "!=") return have === undefined || have !== node.value;
      if (have === undefined) return false;
      if (node.op === "==") return have === node.value;
      const at = node.op === "ends with" ? have.lastIndexOf(node.value) : have.indexOf(node.value);
      if (node.op === "contains") return at >= 0;
      return at >= 0 && at === (node.op === "ends with" ? have.length - node.value.length : 0);
    }
    case "set": {
      const have = labels[node.label];
      const inside = have !== undefined && node.values.includes(have);
      return node.op === "in" ? inside : !inside;
    }
    case "not":
      return !naive(node.of, labels);
    case "and":
      return node.of.reduce((sum, each) => sum && naive(each, labels), true);
    case "or":
      return node.of.reduce((sum, each) => sum || naive(each, labels), false);
  }
}

test("a selector means what a naive reading of it means", () => {
  fc.assert(
    fc.property(tree, fc.dictionary(label, value, { maxKeys: 4, noNullPrototype: false }), (node, labels) => {
      const text = write(node);
      const parsed = parseSelector(text);
      expect(parsed, text).toMatchObject({ ok: true });
      if (parsed.ok) expect(selects(parsed.value, labels), text).toBe(naive(node, labels));
    }),
    { numRuns: 3000 },
  );
});

test("any text is parsed or refused at a place within it", () => {
  const piece = fc.constantFrom(
    "a",
    "'b'",
    "==",
    "!",
    "(",
    ")",
    "in",
    "{",
    "}",
    ",",
    " ",
    "&&",
    "||",
    "has(",
    "all()",
    "not",
    "💥",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      const parsed = parseSelector(text);
      if (!parsed.ok) expect(parsed.error.at).toBeLessThanOrEqual(text.length);
      else expect(typeof selects(parsed.value, {})).toBe("boolean");
    }),
    { numRuns: 5000 },
  );
});
