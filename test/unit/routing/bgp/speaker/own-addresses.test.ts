import { expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { OwnAddresses } from "../../../../../src/routing/bgp/speaker/own-addresses.ts";
import { ipv6 } from "../../../../support/bgp.ts";

test("own addresses: of sessions and next hops, of both families, compared by value", () => {
  const own = new OwnAddresses();
  const hop6 = (text: string) => ({ global: ipv6(text), linkLocal: undefined });
  own.add(ipv4("10.0.0.1"), { localAddr: ipv4("10.0.0.2"), localAddr6: ipv6("2001:db8::1") });
  own.add(ipv4("10.0.0.1"), { localAddr: ipv4("10.0.0.3"), localAddr6: undefined });
  const hops = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ipv4);
  expect(hops.map((hop) => own.has(hop))).toEqual([true, true, true, false]);
  expect([own.has(hop6("2001:db8::1")), own.has(hop6("2001:db8::2"))]).toEqual([true, false]);
  expect(new OwnAddresses().has(hop6("2001:db8::1"))).toBe(false);
});
