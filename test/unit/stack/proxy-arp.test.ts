// Whom a node answers for when its pods' veths have proxy_arp and a proxy_delay of 0. Every row is what Linux 6.18 did when a
// raw socket in the pod asked.
import { expect, test } from "vitest";
import { formatIpv4, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import { must, tearDown } from "../../support/host-router-host.ts";
import { OneHost } from "../../support/one-host.ts";
import type { TestWire } from "../../support/test-wire.ts";

const POD = "10.9.0.5";
const GATEWAY = "169.254.1.1";

/** cali without an address, the pod's /32 behind it; u0, 172.17.8.100/24, and the default route through it. */
function node(): { h: OneHost; cali: TestWire } {
  const h = new OneHost();
  const cali = h.addWire("cali", mac("02:00:00:00:00:ca"));
  const u0 = h.addWire("u0", mac("02:00:00:00:00:cb"), "172.17.8.100");
  must(h.netns.addRoute({ dst: prefix("0.0.0.0/0"), via: ipv4("172.17.8.1"), dev: u0 }, h.now));
  must(h.netns.addRoute({ dst: prefix(`${POD}/32`), dev: cali, scope: "link" }, h.now));
  must(h.netns.addRoute({ dst: prefix("10.7.0.0/16"), type: "blackhole" }, h.now));
  must(h.netns.addRoute({ dst: prefix("10.8.0.0/16"), type: "unreachable" }, h.now));
  h.netns.sysctl.ipForward = true;
  must(h.netns.sysctl.set("net.ipv4.conf.cali.proxy_arp", "1"));
  must(h.netns.sysctl.set("net.ipv4.neigh.cali.proxy_delay", "0"));
  return { h, cali };
}

/** For whom the node answered, without time passing. */
function ask(h: OneHost, cali: TestWire, sip: string, tip: string): string[] {
  cali.sent.length = 0;
  const sha = mac("ee:ee:ee:ee:ee:ee");
  h.receiveArp({ op: "request", sha, sip: ipv4(sip), tip: ipv4(tip), dst: MAC_BROADCAST }, cali);
  return cali.sent.map((frame) => formatIpv4(arp.senderIp(new DataView(frame.buffer), ethernet.HEADER_LEN)));
}

function end(h: OneHost): void {
  tearDown(h);
  expect(h.pool.outstanding).toBe(0);
}

test.each([
  ["the gateway that is nowhere", GATEWAY, true],
  ["the world", "8.8.8.8", true],
  ["a pod elsewhere", "10.9.0.6", true],
  ["a host of the node's segment", "172.17.8.7", true],
  ["the node", "172.17.8.100", true],
  ["the pod itself: it is behind the device that asks", POD, false],
  ["a blackhole", "10.7.0.1", false],
  ["what is unreachable", "10.8.0.1", false],
  ["a loopback address", "127.0.0.1", false],
  ["a group", "224.0.0.1", false],
  ["everybody", "255.255.255.255", false],
])("asked for %s", (_, tip, answered) => {
  const { h, cali } = node();
  expect(ask(h, cali, POD, tip)).toEqual(answered ? [tip] : []);
  end(h);
});

test.each([
  ["the pod", POD, [true, true]],
  ["a stranger, whose way back is another device", "10.9.0.99", [true, false]],
  ["one who claims the node's own address", "172.17.8.100", [false, false]],
  ["one who has no address yet: the gateway's is free to him", "0.0.0.0", [false, false]],
])("asked by %s, without rp_filter and with", (_, sip, answered) => {
  const { h, cali } = node();
  const replies = ["0", "1"].map((filter) => {
    must(h.netns.sysctl.set("net.ipv4.conf.cali.rp_filter", filter));
    return ask(h, cali, sip, GATEWAY).length === 1;
  });
  expect(replies).toEqual(answered);
  end(h);
});

test("without proxy_arp on the device, or without forwarding, only for its own addresses", () => {
  const { h, cali } = node();
  must(h.netns.sysctl.set("net.ipv4.conf.cali.proxy_arp", "0"));
  expect(ask(h, cali, POD, GATEWAY)).toEqual([]);
  must(h.netns.sysctl.set("net.ipv4.conf.all.proxy_arp", "1"));
  expect(ask(h, cali, POD, GATEWAY)).toEqual([GATEWAY]);
  h.netns.sysctl.ipForward = false;
  expect(ask(h, cali, POD, GATEWAY)).toEqual([]);
  expect(ask(h, cali, POD, "172.17.8.100")).toEqual(["172.17.8.100"]);
  end(h);
});
