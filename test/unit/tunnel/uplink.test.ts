import { expect, test } from "vitest";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { Uplink } from "../../../src/tunnel/uplink.ts";
import { packetOf, udpFrame } from "../../support/frames.ts";

test("a frame on eth0 has no cable to go on: a carrier error, and not silently", () => {
  const pool = new PacketPool(10, true);
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const host = stack.addNetns("");
  const eth0 = new Uplink(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  host.addDevice(eth0);
  host.setLink(eth0, true, 0);
  eth0.transmit(packetOf(pool, udpFrame({ dst: 1, src: 2 })), 0);
  expect(eth0.stats).toMatchObject({ txPackets: 0, txErrors: 1, txCarrier: 1 });
  expect(stack.drops.entries()).toEqual([["UNDERLAY_TX", 1]]);
  expect(pool.outstanding).toBe(0);
});
