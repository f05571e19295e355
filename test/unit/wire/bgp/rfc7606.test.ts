import { describe, expect, test } from "vitest";
import { type BgpError, worstOf } from "../../../../src/wire/bgp/errors.ts";
import { MessageType } from "../../../../src/wire/bgp/header.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";
import { isMartianNextHop } from "../../../../src/wire/bgp/next-hop.ts";
import { type ParsedUpdate, parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { EBGP, IBGP, message, textsOf, update } from "../../../support/bgp.ts";
import { bytesOf, hexOf } from "../../../support/dissect.ts";
import { otherRows } from "./rfc7606-other-rows.ts";
import { resetRows } from "./rfc7606-reset-rows.ts";
import type { Base, Row, Want } from "./rfc7606-row.ts";
import { withdrawRows } from "./rfc7606-withdraw-rows.ts";

const rows: readonly Row[] = [...resetRows, ...withdrawRows, ...otherRows];

const ibgp: Base = {
  origin: "40010100",
  asPath: "400200",
  nextHop: "4003040a000001",
  localPref: "40050400000064",
};
const ebgp: Base = { ...ibgp, asPath: "4002060201 0000fde9", localPref: "" };

function wantOf(row: Row, kind: "ibgp" | "ebgp"): Want {
  return "ibgp" in row.want ? row.want[kind] : row.want;
}

function announcedBy(parsed: ParsedUpdate): string[] {
  return parsed.announced.flatMap(({ prefixes }) => textsOf(prefixes));
}

function check(row: Row, base: Base, session: Negotiated, want: Want): void {
  const parts = row.parts(base);
  const bytes = parts.body === undefined ? update(parts) : message(MessageType.UPDATE, parts.body);
  const parsed = parseUpdate(bytes, { ...session, ...row.session });
  const [rung, notice, data] = want;
  expect(parsed.rung).toBe(rung);
  const worst = worstOf(parsed.errors);
  expect(worst === undefined ? undefined : `${worst.code}/${worst.subcode}`).toBe(notice);
  if (data !== undefined) expect(hexOf((worst as BgpError).data)).toBe(hexOf(bytesOf(data)));
  for (const error of parsed.errors) expect(error.rfc).toMatch(/^\d{4}#\d/);

  const routes = row.routes ?? ["192.0.2.0/24"];
  const kept = rung === "none" || rung === "attribute-discard";
  expect(announcedBy(parsed)).toEqual(kept ? routes : []);
  expect(parsed.attributes !== undefined).toBe(kept && routes.length > 0);
  const withdrawn = parsed.withdrawn.flatMap((list) => textsOf(list));
  if (rung === "treat-as-withdraw") expect(withdrawn).toEqual(expect.arrayContaining([...routes]));
  if (rung === "session-reset") expect(withdrawn).toEqual([]);
}

describe.each(rows)("$sentence", (row) => {
  test("inside our AS", () => check(row, ibgp, IBGP, wantOf(row, "ibgp")));
  test("from another AS", () => check(row, ebgp, EBGP, wantOf(row, "ebgp")));
});

test("there are about a hundred sentences, and no two rows say the same", () => {
  expect(rows.length).toBeGreaterThanOrEqual(100);
  expect(new Set(rows.map((row) => row.sentence)).size).toBe(rows.length);
});

describe("lengths that exceed the message", () => {
  test.each([
    ["withdrawn-len by one", "0001 0000"],
    ["withdrawn-len to its maximum", "ffff 0000"],
    ["attr-len by one", "0000 0001"],
    ["attr-len to its maximum", "0000 ffff"],
    ["withdrawn-len leaves one octet for attr-len", "0001 0000"],
    ["both together", "0004 18c00002 0001"],
  ])("%s", (_, body) => {
    const parsed = parseUpdate(message(MessageType.UPDATE, body), IBGP);
    expect([parsed.rung, parsed.errors[0]?.code, parsed.errors[0]?.subcode]).toEqual(["session-reset", 3, 1]);
  });
});

test("withdrawals proceed while the announcements of the same message are treated as withdrawn", () => {
  const parsed = parseUpdate(
    update({ withdrawn: "18c63364", attributes: `40010109${ibgp.asPath}${ibgp.nextHop}`, nlri: "18c00002" }),
    IBGP,
  );
  expect(parsed.withdrawn.map((list) => textsOf(list))).toEqual([["198.51.100.0/24"], ["192.0.2.0/24"]]);
});

test("all but the first of duplicate attributes are forgotten", () => {
  const parsed = parseUpdate(
    update({
      attributes: `${ibgp.origin}${ibgp.asPath}${ibgp.nextHop}40010102 4003040a000002`,
      nlri: "18c00002",
    }),
    IBGP,
  );
  expect(parsed.attributes).toMatchObject({ origin: 0, nextHop: 0x0a000001 });
  expect(parsed.errors.map((error) => error.attribute)).toEqual([1, 3]);
});

test("a discarded attribute is gone, the others stay", () => {
  const parsed = parseUpdate(
    update({
      attributes: `${ebgp.origin}${ebgp.asPath}${ebgp.nextHop}40050400000064 8009040a000001 800a040a000001 80040400000007`,
      nlri: "18c00002",
    }),
    EBGP,
  );
  expect(parsed.attributes).toMatchObject({
    localPref: undefined,
    originatorId: undefined,
    clusterList: [],
    med: 7,
  });
});

test("inside a confederation LOCAL_PREF crosses its member ASes, ORIGINATOR_ID does not", () => {
  const parsed = parseUpdate(
    update({
      attributes: `${ibgp.origin}4002060301 0000fde9${ibgp.nextHop}40050400000064 8009040a000001`,
      nlri: "18c00002",
    }),
    { ...EBGP, confederationMember: true },
  );
  expect(parsed.attributes).toMatchObject({ localPref: 100, originatorId: undefined });
});

test("next hops that nothing can be sent to are the speaker's business, and it can tell", () => {
  expect([0, 0xe0000001, 0xefffffff, 0xf0000001, 0xffffffff].map(isMartianNextHop)).toEqual([
    true,
    true,
    true,
    true,
    true,
  ]);
  expect([0x7f000001, 0x0a000001, 0xdfffffff].map(isMartianNextHop)).toEqual([false, false, false]);
  const v6 = (a: number, d: number) => ({ global: { a, b: 0, c: 0, d }, linkLocal: undefined });
  expect([v6(0, 0), v6(0xff020000, 1), v6(0x20010db8, 1)].map(isMartianNextHop)).toEqual([true, true, false]);
});

test("many errors are all applied, but only the first sixteen and what is stronger are told", () => {
  const many = "c0630101".repeat(100);
  const parsed = parseUpdate(
    update({ attributes: `${ibgp.origin}${ibgp.asPath}${ibgp.nextHop}${many}406400`, nlri: "18c00002" }),
    IBGP,
  );
  expect(parsed.rung).toBe("session-reset");
  expect(parsed.errors).toHaveLength(17);
  expect(worstOf(parsed.errors)?.subcode).toBe(2);
});
