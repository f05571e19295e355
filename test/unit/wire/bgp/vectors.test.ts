// Every `test/vectors/bgp/<name>.hex`, both directions: octets -> the plain message of `<name>.json`, and that message -> the same
// octets, or `emitted` where the sender chose another encoding than ours. Most were sent by BIRD 2.0.12.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkHeader, EXTENDED_MESSAGE_MAX } from "../../../../src/wire/bgp/header.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import { formatMessage } from "../../../../src/wire/bgp/pretty.ts";
import { bytesFrom, IBGP, type PlainMessage, plainOf } from "../../../support/bgp.ts";
import { bytesOf, hexOf } from "../../../support/dissect.ts";

interface Vector {
  /** What differs from a session inside AS 64512. */
  readonly session: Partial<Negotiated>;
  readonly pretty: string;
  readonly message: PlainMessage;
  readonly emitted?: string;
}

const folder = new URL("../../../vectors/bgp/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".hex"))
  .map((file) => file.slice(0, -4));

describe.each(names)("%s", (name) => {
  const bytes = bytesOf(readFileSync(new URL(`${name}.hex`, folder), "utf8"));
  const want = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Vector;
  const session = { ...IBGP, ...want.session };

  test("is read, also out of the middle of a larger buffer", () => {
    expect(checkHeader(bytes, 0, EXTENDED_MESSAGE_MAX)).toBeUndefined();
    expect(plainOf(bytes, session)).toEqual(want.message);
    const around = new Uint8Array(bytes.length + 64).fill(0xa5);
    around.set(bytes, 7);
    expect(plainOf(around.subarray(7, 7 + bytes.length), session)).toEqual(want.message);
  });

  test("is written", () => {
    expect(hexOf(bytesFrom(want.message, session))).toBe(want.emitted ?? hexOf(bytes));
  });

  test("prints as one line", () => {
    expect(formatMessage(bytes, session)).toBe(want.pretty);
    expect(want.pretty).not.toContain("\n");
  });
});

test("there are vectors", () => {
  expect(names.length).toBeGreaterThan(30);
});
