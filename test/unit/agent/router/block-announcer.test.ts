import { expect, test } from "vitest";
import { BlockAnnouncer } from "../../../../src/agent/router/block-announcer.ts";
import { formatIpv4, formatPrefix } from "../../../../src/base/ipv4-addr.ts";
import type { RibPrefix } from "../../../../src/routing/bgp/rib/route.ts";
import type { NetworkConfig } from "../../../../src/routing/bgp/speaker/speaker-config.ts";
import { block, blockUpdate, gone, node, pool, update } from "../../../support/calico.ts";

const now = 1;
const POOL = { cidr: "192.168.0.0/16" };

function world() {
  const table = new Map<string, string>();
  const key = ({ a, len }: RibPrefix): string => formatPrefix({ addr: a, len });
  const announcer = new BlockAnnouncer({
    originate: ({ prefix, nextHop }: NetworkConfig) =>
      void table.set(key(prefix), formatIpv4(nextHop as number)),
    withdraw: (prefix) => table.delete(key(prefix)),
  });
  const tell = (...updates: Parameters<BlockAnnouncer["onUpdate"]>[0][]): Record<string, string> => {
    for (const one of updates) announcer.onUpdate(one);
    announcer.completeDeferredWork(now);
    expect(announcer.announced()).toEqual([...table.keys()].sort());
    return Object.fromEntries(table);
  };
  return { tell };
}

test("each block with its node as the next hop, and a borrowed address with the borrower's; nothing before all is known", () => {
  const { tell } = world();
  const given = { "192.168.1.9": "b" };
  const known = [
    update(pool("p", POOL)),
    update(node("a", "10.20.0.5/24")),
    update(node("b", "10.30.0.6/24")),
  ];
  expect(tell(...known, blockUpdate(block("192.168.1.0/26", "a", given)))).toEqual({});
  expect(tell({ t: "inSync" })).toEqual({ "192.168.1.0/26": "10.20.0.5", "192.168.1.9/32": "10.30.0.6" });
  expect(tell(update(node("a", "10.20.0.7/24")))).toMatchObject({ "192.168.1.0/26": "10.20.0.7" });
  expect(tell(gone("Node", "b"))).toEqual({ "192.168.1.0/26": "10.20.0.7" });
  expect(tell(update(pool("p", { ...POOL, disableBGPExport: true })))).toEqual({});
  expect(tell(update(pool("p", POOL)))).toEqual({ "192.168.1.0/26": "10.20.0.7" });
  expect(tell(gone("IPPool", "p"))).toEqual({});
});
