import { describe, expect, test } from "vitest";
import {
  formatSelectorFault,
  type Labels,
  parseSelector,
  selects,
} from "../../../../src/control/calico/selector.ts";

function selected(text: string, labels: Labels): boolean {
  const parsed = parseSelector(text);
  if (!parsed.ok) throw new Error(formatSelectorFault(text, parsed.error));
  return selects(parsed.value, labels);
}

const AB = { a: "b", rack: "r1" };

describe("selectors", () => {
  test.each<readonly [string, Labels, boolean]>([
    ["", AB, true],
    [" \t ", {}, true],
    ["all()", {}, true],
    ["all( )", {}, true],
    ["global()", {}, true],
    ["!all()", AB, false],
    ["a == 'b'", AB, true],
    ['a == "b"', AB, true],
    ["a=='c'", AB, false],
    ["x == 'b'", AB, false],
    ["x != 'b'", AB, true],
    ["a != 'b'", AB, false],
    ["a in {'b','c'}", AB, true],
    ["a in{'b',}", AB, true],
    ["a in {}", AB, false],
    ["x in {'b'}", AB, false],
    ["x not in {'b'}", AB, true],
    ["a notin {'b'}", AB, false],
    ["has(a)", AB, true],
    ["has( a )", AB, true],
    ["!has(x)", AB, true],
    ["!!has(x)", AB, false],
    ["rack contains '1'", AB, true],
    ["x contains ''", AB, false],
    ["rack starts with 'r'", AB, true],
    ["rack startswith 'r'", AB, true],
    ["rack ends with 'r'", AB, false],
    // && binds tighter than ||, ! tighter than both.
    ["has(x) && has(a) || has(rack)", AB, true],
    ["has(x) && (has(a) || has(rack))", AB, false],
    ["!has(x) && has(a)", AB, true],
    ["!(has(x) && has(a))", AB, true],
    // A label may be called what an operator or a function is called.
    ["in == 'v'", { in: "v" }, true],
    ["has == 'v' && all != 'v'", { has: "v" }, true],
    ["route-reflector == 'true'", { "route-reflector": "true" }, true],
    ["projectcalico.org/namespace == 'shop'", { "projectcalico.org/namespace": "shop" }, true],
    // What every JavaScript object has is no label.
    ["has(constructor) || has(__proto__) || toString != ''", {}, true],
    ["has(constructor) || has(__proto__) || constructor == ''", {}, false],
  ])("%s on %o: %s", (text, labels, expected) => expect(selected(text, labels)).toBe(expected));

  test.each([
    ["a", 1, "unexpected end of string looking for op"],
    ["a = 'b'", 2, "expected =="],
    ["a == b", 5, "expected string"],
    ["a == 'b", 5, "unterminated string"],
    ["a & b", 2, "expected &&"],
    ["a like 'b'", 2, "unexpected characters after a label"],
    ["a in 'b'", 5, "expected set literal"],
    ["a in {'b' 'c'}", 10, "expected }"],
    ["a in {'b'", 9, "expected }"],
    ["has()", 4, "no label name"],
    ["has(a", 5, "no closing ')' after has("],
    ["all(x)", 4, "no closing ')' after all("],
    ["(a == 'b'", 9, "expected )"],
    ["a == 'b')", 8, "unexpected content at end"],
    ["a == 'b' c == 'd'", 9, "unexpected content at end"],
    ["&& a == 'b'", 0, "expected a label"],
    ["a == 'b' &&", 11, "unexpected end of string"],
    ["a == 'b'\n", 8, "unexpected characters"],
    ["ä == 'b'", 0, "unexpected characters"],
  ])("%s is refused at %i", (text, at, message) => {
    const parsed = parseSelector(text);
    expect(parsed).toMatchObject({ ok: false, error: { at } });
    expect(parsed.ok ? "" : parsed.error.message).toContain(message);
  });

  test("hostile nesting has an end, long lists do not matter", () => {
    expect(parseSelector("(".repeat(100_000))).toMatchObject({ ok: false, error: { at: 100 } });
    expect(selected(`${"!".repeat(100_001)}all()`, {})).toBe(false);
    expect(selected(`${"(".repeat(100)}all()${")".repeat(100)}`, {})).toBe(true);
    expect(selected(Array.from({ length: 20_000 }, () => "has(a)").join(" && "), AB)).toBe(true);
  });
});
