import { expect, test } from "vitest";
import { formatPrefix, prefix } from "../../../src/base/ipv4-addr.ts";
import { formatIpv6, parseIpv6 } from "../../../src/control/flannel/ipv6-addr.ts";
import {
  emitConfigKey,
  emitSubnetKey,
  emitSubnetName,
  parseSubnetKey,
  subnetsRange,
} from "../../../src/control/flannel/subnet-key.ts";

test("TestSubnetNodev4: parses and writes 10.12.13.0-24", () => {
  const key = parseSubnetKey("10.12.13.0-24");
  expect(key === undefined ? "" : formatPrefix(key.subnet)).toBe("10.12.13.0/24");
  expect(key?.subnet6).toBeUndefined();
  expect(emitSubnetName(prefix("10.12.13.0/24"))).toBe("10.12.13.0-24");
});

test("TestSubnetNodev6: parses and writes a dual-stack key", () => {
  const text = "10.12.13.0-24&fd00:12:13::-56";
  const key = parseSubnetKey(text);
  expect(key).toBeDefined();
  expect(key === undefined ? "" : emitSubnetName(key.subnet, key.subnet6)).toBe(text);
});

test.each([
  "10",
  "10.12.13.0",
  "10.12.13-24",
  "10.12.13.300-24",
  "10.12.13.0-24hi",
  "&2001::-56",
  "10.12.13.0-24&:12:13:-56",
  "10.12.13.0-24&20011::-56",
  "10.12.13.0-24&2001-56",
  "10.12.13.0-24&2001::",
  "10.12.13.0-24&2001::-56hi",
  // Beyond upstream's table:
  "10.12.13.0-32",
  "10.12.13.0-24&2001::-128",
  "10x12.13.0-24",
  "10.12x13.0-24",
  "110.12.13.0.0-24x",
  "99910.12.13.0-24",
  "10.12.013.0-24",
  "10.12.13.0-24\n",
])("TestSubnetNodeInvalid: %j is not a subnet", (key) => {
  expect(parseSubnetKey(key)).toBeUndefined();
});

test("the expression is not anchored at its start", () => {
  for (const key of [
    "/coreos.com/network/subnets/10.5.1.0-24",
    "/x/subnets-old/10.5.1.0-24",
    "7.10.5.1.0-24",
  ]) {
    const parsed = parseSubnetKey(key);
    expect(parsed === undefined ? "" : formatPrefix(parsed.subnet)).toBe("10.5.1.0/24");
  }
});

test("host bits are kept apart", () => {
  expect(parseSubnetKey("10.5.1.7-24")).toMatchObject({ subnet: prefix("10.5.1.0/24"), addr: 0x0a050107 });
});

test("a hostile key is refused in no time", () => {
  expect(parseSubnetKey("1.".repeat(500_000))).toBeUndefined();
  expect(parseSubnetKey(`1.${"1".repeat(1_000_000)}`)).toBeUndefined();
});

test("keys and ranges below the prefix", () => {
  expect(emitSubnetKey("/coreos.com/network", prefix("10.5.1.0/24"))).toBe(
    "/coreos.com/network/subnets/10.5.1.0-24",
  );
  expect(emitConfigKey("/coreos.com/network/")).toBe("/coreos.com/network/config");
  // No slash at the end: flanneld reads and watches `subnets-old/…` as well.
  expect(subnetsRange("/coreos.com/network")).toEqual({
    key: "/coreos.com/network/subnets",
    rangeEnd: "/coreos.com/network/subnett",
  });
});

test.each([
  ["::", "::"],
  ["0:0:1::", "0:0:1::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["2001:DB8::0:1", "2001:db8::1"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
  ["::ffff:1.2.3.4", "::ffff:102:304"],
])("IPv6 %s is %s", (text, canonical) => {
  const addr = parseIpv6(text);
  expect(addr === undefined ? "" : formatIpv6(addr)).toBe(canonical);
});

test.each([
  "",
  ":",
  ":::",
  "1:2",
  "1::2::3",
  "12345::",
  "1:2:3:4:5:6:7:8:9",
  "1.2.3.4::",
  "::1.2.3",
  "g::",
  "1:2:3:4:5:6:7::8",
])("IPv6 %j is refused", (text) => {
  expect(parseIpv6(text)).toBeUndefined();
});
