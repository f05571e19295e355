import { describe, expect, test } from "vitest";
import { formatGoDuration } from "../../../src/control/flannel/go-duration.ts";
import { emitGoRaw, emitGoString, parseGoJson } from "../../../src/control/flannel/go-json.ts";

describe("syntax errors are encoding/json's", () => {
  const cases: readonly [text: string, error: string][] = [
    ["", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ['{"a"', "unexpected end of JSON input"],
    ['{"a":1', "unexpected end of JSON input"],
    ['"abc', "unexpected end of JSON input"],
    ["tru", "unexpected end of JSON input"],
    ["1.", "unexpected end of JSON input"],
    ["10.3.0.0/16", "invalid character '.' after top-level value"],
    ["/coreos.com/network/config", "invalid character '/' looking for beginning of value"],
    ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ["[1,]", "invalid character ']' looking for beginning of value"],
    ["[1 2]", "invalid character '2' after array element"],
    ["{} x", "invalid character 'x' after top-level value"],
    ["01", "invalid character '1' after top-level value"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
    ["1e+", "unexpected end of JSON input"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ["nulx", "invalid character 'x' in literal null (expecting 'l')"],
    ['"\n"', "invalid character '\\n' in string literal"],
    ['"\\q"', "invalid character 'q' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
    ["é", "invalid character 'Ã' looking for beginning of value"],
    ["[".repeat(10_001), "exceeded max depth"],
  ];
  test.each(cases)("%s", (text, error) => {
    expect(parseGoJson(text)).toEqual({ ok: false, error });
  });
});

test("members keep their order, their duplicates and their source text", () => {
  const parsed = parseGoJson(' {"a": 1.50, "A":[ true ,null], "a":"\\u00e9\\ud800\\/"} ');
  expect(parsed).toMatchObject({
    ok: true,
    value: {
      t: "object",
      raw: '{"a": 1.50, "A":[ true ,null], "a":"\\u00e9\\ud800\\/"}',
      members: [
        { key: "a", value: { t: "number", raw: "1.50" } },
        { key: "A", value: { t: "array", raw: "[ true ,null]" } },
        { key: "a", value: { t: "string", value: "é\ufffd/" } },
      ],
    },
  });
});

test("nesting up to Go's limit is read without recursion", () => {
  const deep = "[".repeat(10_000) + "]".repeat(10_000);
  expect(parseGoJson(deep).ok).toBe(true);
});

test("strings are written with json.Marshal's escapes", () => {
  expect(emitGoString('a<b>&"\u2028\ud800')).toBe('"a\\u003cb\\u003e\\u0026\\"\\u2028\ufffd"');
  expect(emitGoRaw({ a: "<", b: [1, null] })).toBe('{"a":"\\u003c","b":[1,null]}');
});

test.each([
  [0, "0s"],
  [1_500, "1.5ms"],
  [60_000_000, "1m0s"],
  [82_799_500_000, "22h59m59.5s"],
  [-1_000_000, "-1s"],
])("a duration of %i microseconds is %s in Go", (us, text) => {
  expect(formatGoDuration(us)).toBe(text);
});
