import { describe, expect, test } from "vitest";
import { CeaseError } from "../../../../src/wire/bgp/errors.ts";
import { Family } from "../../../../src/wire/bgp/family.ts";
import {
  hardResetNotice,
  hardResetReason,
  maxPrefixBound,
  maxPrefixNotice,
  noticeName,
  notificationBytes,
  parseNotification,
  shutdownNotice,
  shutdownText,
} from "../../../../src/wire/bgp/notification.ts";
import { formatMessage } from "../../../../src/wire/bgp/pretty.ts";
import { parseRouteRefresh } from "../../../../src/wire/bgp/route-refresh.ts";
import { message } from "../../../support/bgp.ts";
import { bytesOf, hexOf } from "../../../support/dissect.ts";

const cease = (subcode: number, data: string) => ({ code: 6, subcode, data: bytesOf(data) });

describe("the text of a shutdown", () => {
  test.each([
    ["there", cease(2, "03 6f6e65"), "one"],
    ["there, of a reset", cease(4, "03 6f6e65"), "one"],
    ["octets behind it are not read", cease(2, "02 6f6e65"), "on"],
    ["none", cease(2, ""), undefined],
    ["empty", cease(2, "00"), undefined],
    ["longer than the data", cease(2, "04 6f6e65"), undefined],
    ["255 of nothing", cease(2, "ff"), undefined],
    ["not UTF-8", cease(2, "02 c328"), undefined],
    ["of another Cease", cease(6, "03 6f6e65"), undefined],
    ["of another error", { code: 4, subcode: 2, data: bytesOf("036f6e65") }, undefined],
  ])("%s", (_, notice, want) => {
    expect(shutdownText(notice)).toBe(want);
  });

  test("is cut at a character, and comes back", () => {
    const text = "ü".repeat(100);
    expect(shutdownText(shutdownNotice(CeaseError.ADMIN_SHUTDOWN, text))).toBe("ü".repeat(64));
    expect(shutdownText(shutdownNotice(CeaseError.ADMIN_SHUTDOWN, text, 255))).toBe("ü".repeat(100));
    expect(shutdownText(shutdownNotice(CeaseError.ADMIN_SHUTDOWN, text, 127))).toBe("ü".repeat(63));
    expect(shutdownText(shutdownNotice(CeaseError.ADMIN_SHUTDOWN, "€".repeat(100), 128))).toBe(
      "€".repeat(42),
    );
    expect(shutdownNotice(CeaseError.ADMIN_RESET).data).toHaveLength(0);
  });

  test("has no power over the terminal that shows it", () => {
    const notice = shutdownNotice(CeaseError.ADMIN_SHUTDOWN, 'a\u001b[2Jb\n"c"\u202e\\');
    expect(formatMessage(notificationBytes(notice))).toBe(
      String.raw`Notification Message (3), length 36: Cease/Administrative Shutdown (6/2) "a\u{1b}[2Jb\u{a}\u{22}c\u{22}\u{202e}\u{5c}"`,
    );
  });
});

test("maximum prefixes name the family and the bound", () => {
  const notice = maxPrefixNotice(Family.IPV6_UNICAST, 4_000_000_000);
  expect(hexOf(notice.data)).toBe("000201ee6b2800");
  expect(maxPrefixBound(notice)).toEqual({ family: Family.IPV6_UNICAST, bound: 4_000_000_000 });
  expect(maxPrefixBound(cease(1, ""))).toBeUndefined();
  expect(maxPrefixBound(cease(2, "00020100000001"))).toBeUndefined();
});

test("a hard reset wraps its reason", () => {
  const inner = shutdownNotice(CeaseError.ADMIN_SHUTDOWN, "bye");
  const notice = hardResetNotice(inner);
  expect(hexOf(notice.data)).toBe("060203627965");
  expect(hardResetReason(notice)).toEqual(inner);
  expect(hardResetReason(cease(9, "06"))).toBeUndefined();
  expect(hardResetReason(cease(8, "0602"))).toBeUndefined();
});

test("every code has IANA's name, and others their number", () => {
  const name = (code: number, subcode: number) => noticeName({ code, subcode, data: new Uint8Array(0) });
  expect(name(3, 11)).toBe("UPDATE Message Error/Malformed AS_PATH");
  expect(name(2, 7)).toBe("OPEN Message Error/Unsupported Capability");
  expect(name(4, 0)).toBe("Hold Timer Expired");
  expect(name(5, 0)).toBe("Finite State Machine Error/Unspecified Error");
  expect(name(6, 10)).toBe("Cease/BFD Down");
  expect(name(8, 0)).toBe("Send Hold Timer Expired");
  expect(name(6, 99)).toBe("Cease/99");
  expect(name(77, 3)).toBe("Error 77/3");
});

test("a NOTIFICATION cannot be malformed, whatever is missing", () => {
  expect(parseNotification(message(3, ""))).toMatchObject({ code: 0, subcode: 0 });
  expect(parseNotification(message(3, "06"))).toMatchObject({ code: 6, subcode: 0 });
});

describe("ROUTE-REFRESH", () => {
  const judge = (body: string) => {
    const parsed = parseRouteRefresh(message(5, body));
    return parsed.ok
      ? `${parsed.value.family}/${parsed.value.subtype}`
      : `${parsed.error.code}/${parsed.error.subcode} ${hexOf(parsed.error.data)}`;
  };

  test("sound", () => {
    expect(judge("0001 00 01")).toBe("257/0");
    expect(judge("0002 01 01")).toBe("513/1");
    expect(judge("ffff 07 ff")).toBe("16777215/7");
  });

  test("a wrong length with subtype 1 or 2 quotes the whole message", () => {
    expect(judge("0001 01 01 00")).toBe(`7/1 ${hexOf(message(5, "0001010100"))}`);
    expect(judge("0001 02 01 0102")).toBe(`7/1 ${hexOf(message(5, "000102010102"))}`);
    expect(judge("0001 01")).toBe(`7/1 ${hexOf(message(5, "000101"))}`);
  });

  test("a wrong length with another subtype is a bad length", () => {
    expect(judge("0001 00 01 00")).toBe("1/2 0018");
    expect(judge("0001 00")).toBe("1/2 0016");
    expect(judge("0001")).toBe("1/2 0015");
  });
});
