import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { PathMtuTable } from "../../../src/stack/ip/path-mtu.ts";

const PEER = ipv4("192.168.56.3");

test("what was learnt is good for ten minutes, and each news begins them anew", () => {
  const table = new PathMtuTable();
  expect(table.learn(PEER, 1400, 1500, 0)).toBe(true);
  expect(table.lookup(PEER, 599 * SEC_US)).toBe(1400);
  expect(table.lookup(ipv4("192.168.56.4"), 0)).toBe(0);
  expect(table.learn(PEER, 1400, 1400, 599 * SEC_US)).toBe(true);
  expect(table.lookup(PEER, 601 * SEC_US)).toBe(1400);
  expect(table.lookup(PEER, 1199 * SEC_US)).toBe(0);
  expect(table.size).toBe(0);
});

test("larger than what is used is no news", () => {
  const table = new PathMtuTable();
  table.learn(PEER, 1300, 1500, 0);
  expect(table.learn(PEER, 1301, 1300, 1)).toBe(false);
  expect(table.lookup(PEER, 2)).toBe(1300);
});

test.each([0, 68, 551])(
  "%i bytes: 552, and don't-fragment is given up, whatever anybody says of it then",
  (mtu) => {
    const table = new PathMtuTable();
    expect(table.learn(PEER, mtu, 1500, 0)).toBe(true);
    expect([table.lookup(PEER, 1), table.mayDontFragment(PEER, 1)]).toEqual([552, false]);
    for (const later of [552, 68]) expect(table.learn(PEER, later, 552, 300 * SEC_US)).toBe(false);
    expect([table.lookup(PEER, 599 * SEC_US), table.mayDontFragment(PEER, 599 * SEC_US)]).toEqual([
      552,
      false,
    ]);
    expect([table.lookup(PEER, 601 * SEC_US), table.mayDontFragment(PEER, 601 * SEC_US)]).toEqual([0, true]);
  },
);

test("552 bytes are believed", () => {
  const table = new PathMtuTable();
  table.learn(PEER, 552, 1500, 0);
  expect([table.lookup(PEER, 1), table.mayDontFragment(PEER, 1)]).toEqual([552, true]);
});
