import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { MS_US, SEC_US } from "../../../src/base/time.ts";
import { must } from "../../support/host-router-host.ts";
import { CLEAN, ME, OneHost, PEER, PEER_MAC } from "../../support/one-host.ts";
import { ipPacket } from "../../support/test-wire.ts";

const ASK = "02:00:00:00:00:01 > all, Request who-has 10.0.0.2 tell 10.0.0.1";
const ASK_PEER = "02:00:00:00:00:01 > 02:00:00:00:00:02, Request who-has 10.0.0.2 tell 10.0.0.1";
const REACHABLE = "REACHABLE 02:00:00:00:00:02";
const STALE = "STALE 02:00:00:00:00:02";

function ipFrame(mark: number, to = "02:00:00:00:00:02"): string {
  return `02:00:00:00:00:01 > ${to}, IP 10.0.0.1 > 10.0.0.2 #${mark}`;
}

describe("resolution", () => {
  test("packets wait for the answer and leave in order", () => {
    const h = new OneHost();
    h.output(PEER, 1);
    h.output(PEER, 2);
    expect(h.sent()).toEqual([ASK]);
    h.answer();
    expect(h.sent()).toEqual([ipFrame(1), ipFrame(2)]);
    expect(h.state(PEER)).toBe(REACHABLE);
    h.output(PEER, 3);
    expect(h.sent()).toEqual([ipFrame(3)]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("three wait, and a fourth pushes the oldest out", () => {
    const h = new OneHost();
    for (const mark of [1, 2, 3, 4, 5]) h.output(PEER, mark);
    expect(h.stack.drops.get(DropReason.NEIGH_QUEUEFULL)).toBe(2);
    h.sent();
    h.answer();
    expect(h.sent()).toEqual([ipFrame(3), ipFrame(4), ipFrame(5)]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("three broadcasts a second apart, then FAILED; what waited is dropped, and the next packet asks anew", () => {
    const h = new OneHost();
    h.output(PEER, 1);
    h.advance(SEC_US - 1);
    expect(h.sent()).toEqual([ASK]);
    h.advance(1);
    expect(h.sent()).toEqual([ASK]);
    h.advance(SEC_US);
    expect(h.sent()).toEqual([ASK]);
    expect(h.state(PEER)).toBe("INCOMPLETE");
    h.advance(SEC_US);
    expect(h.state(PEER)).toBe("FAILED");
    expect(h.sent()).toEqual([]);
    expect(h.stack.drops.get(DropReason.NEIGH_FAILED)).toBe(1);
    expect(h.pool.outstanding).toBe(0);
    h.output(PEER, 2);
    expect(h.sent()).toEqual([ASK]);
    h.answer();
    expect(h.sent()).toEqual([ipFrame(2)]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("the sender of a forwarded packet hears host unreachable after the third second", () => {
    const h = new OneHost();
    const far = ipv4("10.9.0.9");
    const eth1 = h.addWire("eth1", mac("02:00:00:00:09:01"), "10.9.0.1");
    h.netns.sysctl.ipForward = true;
    must(h.netns.neigh.add({ dev: eth1, ip: far, mac: mac("02:00:00:00:09:09"), state: "PERMANENT" }, h.now));
    eth1.receiveFrame(ipPacket({ src: far, dst: PEER, payload: new Uint8Array(8) }), h.now);
    h.advance(3 * SEC_US);
    const [error, ...more] = eth1.takeIp();
    expect(more).toEqual([]);
    expect([error?.getUint8(9), error?.getUint8(20), error?.getUint8(21)]).toEqual([1, 3, 1]);
    expect(error?.getUint32(28 + 16)).toBe(PEER);
    expect(h.stack.drops.get(DropReason.NEIGH_FAILED)).toBe(1);
    expect(h.end()).toEqual(CLEAN);
  });

  test("with mcast_solicit 0 nobody is asked", () => {
    const h = new OneHost();
    must(h.netns.sysctl.set("net.ipv4.neigh.eth0.mcast_solicit", "0"));
    h.output(PEER, 1);
    expect(h.state(PEER)).toBe("FAILED");
    expect(h.stack.drops.get(DropReason.NEIGH_FAILED)).toBe(1);
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("addresses that nobody owns alone are not asked for", () => {
    const h = new OneHost();
    const dst = (ip: string) => {
      h.output(ipv4(ip));
      return h.sent().map((line) => line.split(",")[0]);
    };
    const to = (text: string) => [`02:00:00:00:00:01 > ${text}`];
    expect(dst("10.0.0.255")).toEqual(to("all"));
    expect(dst("255.255.255.255")).toEqual(to("all"));
    expect(dst("224.0.0.251")).toEqual(to("01:00:5e:00:00:fb"));
    expect(dst("239.255.255.250")).toEqual(to("01:00:5e:7f:ff:fa"));
    expect(h.netns.neigh.dump()).toEqual([]);
    expect(h.netns.neigh.dump("all").map((e) => e.state)).toEqual(["NOARP", "NOARP", "NOARP", "NOARP"]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("an address that becomes the broadcast address is not asked for any more", () => {
    const h = new OneHost();
    const last = ipv4("10.0.1.255");
    must(h.netns.addRoute({ dst: prefix("10.0.0.0/16"), dev: h.eth0 }, h.now));
    h.output(last, 1);
    expect(h.state(last)).toBe("INCOMPLETE");
    must(h.netns.addAddress(h.eth0, { addr: ipv4("10.0.1.1"), len: 24 }, h.now));
    expect(h.state(last)).toBe("none");
    h.output(last, 2);
    expect(h.state(last)).toBe("NOARP ff:ff:ff:ff:ff:ff");
    must(h.netns.delAddress(h.eth0, { addr: ipv4("10.0.1.1"), len: 24 }, h.now));
    expect(h.state(last)).toBe("none");
    expect(h.end()).toEqual(CLEAN);
  });

  test("on lo every frame bears address zero", () => {
    const h = new OneHost();
    h.netns.neigh.output(h.packet(ME, ME), h.netns.lo, ME, h.now);
    const pkt = h.netns.backlog.peek();
    expect(pkt?.length).toBe(14 + 21);
    const header = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    expect(pkt?.bytes.slice(pkt.head, pkt.head + 14)).toEqual(header);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("reachability", () => {
  /** Resolved at h.now. */
  function resolved(seed = 1): OneHost {
    const h = new OneHost(seed);
    h.output(PEER);
    h.answer();
    h.sent();
    return h;
  }

  test("REACHABLE lasts 15 to 45 seconds, another time on every device", () => {
    const ends = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const h = resolved(seed);
      const from = h.now;
      while (h.state(PEER) === REACHABLE) h.advance(SEC_US);
      expect(h.state(PEER)).toBe(STALE);
      const sec = (h.now - from) / SEC_US;
      expect(sec).toBeGreaterThanOrEqual(15);
      expect(sec).toBeLessThanOrEqual(46);
      ends.add(sec);
      expect(h.end()).toEqual(CLEAN);
    }
    expect(ends.size).toBeGreaterThan(8);
  });

  test("STALE still sends, asks the neighbour alone after five seconds, and an answer makes it REACHABLE", () => {
    const h = resolved();
    h.advance(50 * SEC_US);
    expect(h.state(PEER)).toBe(STALE);
    expect(h.sent()).toEqual([]);
    h.output(PEER, 1);
    expect(h.state(PEER)).toBe("DELAY 02:00:00:00:00:02");
    expect(h.sent()).toEqual([ipFrame(1)]);
    h.advance(5 * SEC_US - 1);
    expect(h.sent()).toEqual([]);
    h.advance(1);
    expect(h.sent()).toEqual([ASK_PEER]);
    expect(h.state(PEER)).toBe("PROBE 02:00:00:00:00:02");
    h.answer();
    expect(h.state(PEER)).toBe(REACHABLE);
    expect(h.end()).toEqual(CLEAN);
  });

  test("PROBE keeps sending, asks three times, and fails", () => {
    const h = resolved();
    h.advance(50 * SEC_US);
    h.output(PEER, 1);
    h.advance(5 * SEC_US);
    h.output(PEER, 2);
    h.advance(2 * SEC_US);
    expect(h.sent()).toEqual([ipFrame(1), ASK_PEER, ipFrame(2), ASK_PEER, ASK_PEER]);
    h.advance(SEC_US);
    expect(h.state(PEER)).toBe("FAILED");
    h.output(PEER, 3);
    expect(h.sent()).toEqual([ASK]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("the first of several answers counts: another address is not taken within a second, but later, and when announced", () => {
    const other = mac("02:00:00:00:00:99");
    const h = resolved();
    h.advance(SEC_US);
    h.answer(other);
    expect(h.state(PEER)).toBe(REACHABLE);
    h.receiveArp({ op: "request", sha: other, sip: PEER, tip: PEER, dst: MAC_BROADCAST });
    expect(h.state(PEER)).toBe("STALE 02:00:00:00:00:99");
    h.output(PEER, 1);
    expect(h.sent()).toEqual([ipFrame(1, "02:00:00:00:00:99")]);
    h.advance(1001 * MS_US);
    h.answer();
    expect(h.state(PEER)).toBe(REACHABLE);
    h.output(PEER, 2);
    expect(h.sent()).toEqual([ipFrame(2)]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("a changed address of our own is in the next frame", () => {
    const h = resolved();
    h.eth0.mac = mac("02:00:00:00:00:07");
    h.output(PEER, 1);
    expect(h.sent()).toEqual(["02:00:00:00:00:07 > 02:00:00:00:00:02, IP 10.0.0.1 > 10.0.0.2 #1"]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("all 48 bits of both addresses go out", () => {
    const h = new OneHost();
    h.eth0.mac = mac("fe:dc:ba:98:76:54");
    const ip = ipv4("192.168.255.254");
    must(h.netns.neigh.add({ dev: h.eth0, ip, mac: mac("8a:bc:de:f0:12:34"), state: "PERMANENT" }, h.now));
    h.output(ip);
    const frame = h.eth0.sent[0] as Uint8Array;
    expect(frame.slice(0, 14)).toEqual(
      Uint8Array.of(0x8a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 8, 0),
    );
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("by hand", () => {
  test("add refuses what exists, replace does not, permanent never moves, del ends it", () => {
    const h = new OneHost();
    const neigh = h.netns.neigh;
    const spec = { dev: h.eth0, ip: PEER, mac: PEER_MAC, state: "PERMANENT" } as const;
    expect(neigh.add(spec, h.now)).toEqual({ ok: true, value: undefined });
    expect(neigh.add(spec, h.now)).toEqual({ ok: false, error: "File exists" });
    h.receiveArp({ op: "request", sha: mac("02:00:00:00:00:99"), sip: PEER, tip: PEER, dst: MAC_BROADCAST });
    h.advance(3600 * SEC_US);
    expect(h.state(PEER)).toBe("PERMANENT 02:00:00:00:00:02");
    must(neigh.replace({ ...spec, mac: mac("02:00:00:00:00:03") }, h.now));
    expect(h.state(PEER)).toBe("PERMANENT 02:00:00:00:00:03");
    must(neigh.replace({ ...spec, state: "REACHABLE" }, h.now));
    h.advance(60 * SEC_US);
    expect(h.state(PEER)).toBe(STALE);
    must(neigh.del(h.eth0, PEER, h.now));
    expect(neigh.del(h.eth0, PEER, h.now)).toEqual({ ok: false, error: "No such file or directory" });
    expect(h.end()).toEqual(CLEAN);
  });

  test("an entry by hand releases what waits", () => {
    const h = new OneHost();
    h.output(PEER, 1);
    h.sent();
    must(h.netns.neigh.replace({ dev: h.eth0, ip: PEER, mac: PEER_MAC, state: "PERMANENT" }, h.now));
    expect(h.sent()).toEqual([ipFrame(1)]);
    h.advance(10 * SEC_US);
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("del drops what waits", () => {
    const h = new OneHost();
    h.output(PEER, 1);
    must(h.netns.neigh.del(h.eth0, PEER, h.now));
    expect(h.stack.drops.get(DropReason.NEIGH_FAILED)).toBe(1);
    expect(h.stack.timers.size).toBe(0);
    expect(h.end()).toEqual(CLEAN);
  });

  test("a device of another namespace has no neighbours here", () => {
    const h = new OneHost();
    const other = h.stack.addNetns("other");
    const spec = { dev: h.eth0, ip: PEER, mac: PEER_MAC, state: "PERMANENT" } as const;
    expect(other.neigh.add(spec, h.now)).toEqual({ ok: false, error: 'Cannot find device "eth0"' });
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("link and namespace", () => {
  test("down takes every entry along, permanent ones and those that wait, and up brings none back", () => {
    const h = new OneHost();
    const other = ipv4("10.0.0.3");
    must(h.netns.neigh.add({ dev: h.eth0, ip: other, mac: PEER_MAC, state: "PERMANENT" }, h.now));
    h.output(PEER, 1);
    h.netns.setLink(h.eth0, false, h.now);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.pool.outstanding).toBe(0);
    expect(h.stack.timers.size).toBe(0);
    h.netns.setLink(h.eth0, true, h.now);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("deleting the namespace releases packets that wait and cancels timers", () => {
    const h = new OneHost();
    for (let i = 2; i < 200; i++) h.output(ipv4("10.0.0.0") + i, 1);
    expect(h.pool.outstanding).toBe(198);
    expect(h.stack.timers.size).toBeGreaterThan(190);
    expect(h.end()).toEqual(CLEAN);
  });

  test("the same address on two devices is two neighbours", () => {
    const h = new OneHost();
    const eth1 = h.addWire("eth1", mac("02:00:00:00:09:01"));
    must(h.netns.neigh.add({ dev: h.eth0, ip: PEER, mac: PEER_MAC, state: "PERMANENT" }, h.now));
    must(
      h.netns.neigh.add({ dev: eth1, ip: PEER, mac: mac("02:00:00:00:00:03"), state: "PERMANENT" }, h.now),
    );
    h.output(PEER, 1, eth1);
    expect(h.sent(eth1)).toEqual(["02:00:00:00:09:01 > 02:00:00:00:00:03, IP 10.0.0.1 > 10.0.0.2 #1"]);
    expect(h.netns.neigh.dump().map((e) => e.dev.name)).toEqual(["eth0", "eth1"]);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("garbage collection", () => {
  const host = (i: number) => ipv4("10.8.0.0") + i;

  /** `count` stale entries that were never used. */
  function crowded(count: number): OneHost {
    const h = new OneHost();
    for (let i = 1; i <= count; i++) {
      must(h.netns.neigh.add({ dev: h.eth0, ip: host(i), mac: 0x0200_0001_0000 + i, state: "STALE" }, h.now));
    }
    return h;
  }

  test("below gc_thresh1 nothing is collected, however old", () => {
    const h = crowded(127);
    h.advance(3600 * SEC_US);
    expect(h.netns.neigh.dump()).toHaveLength(127);
    expect(h.stack.timers.size).toBe(0);
    expect(h.end()).toEqual(CLEAN);
  });

  test("above it, what is unused for gc_stale_time goes, and what is permanent or in use stays", () => {
    const h = crowded(200);
    must(h.netns.neigh.replace({ dev: h.eth0, ip: host(1), mac: PEER_MAC, state: "PERMANENT" }, h.now));
    h.advance(59 * SEC_US);
    expect(h.netns.neigh.dump()).toHaveLength(200);
    h.output(host(2));
    h.advance(20 * SEC_US);
    const left = h.netns.neigh.dump().map((e) => e.ip);
    expect(left).toEqual([host(1), host(2)]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("1,024 entries and no more: a full table of young entries refuses, an older one makes room", () => {
    const h = crowded(1024);
    h.output(PEER, 1);
    expect(h.stack.drops.get(DropReason.NEIGH_CREATEFAIL)).toBe(1);
    expect(h.state(PEER)).toBe("none");
    const spec = { dev: h.eth0, ip: PEER, mac: PEER_MAC, state: "STALE" } as const;
    expect(h.netns.neigh.add(spec, h.now)).toEqual({ ok: false, error: "No buffer space available" });
    must(h.netns.neigh.add({ ...spec, ip: ipv4("10.0.0.3"), state: "PERMANENT" }, h.now));
    h.advance(6 * SEC_US);
    h.output(PEER, 2);
    expect(h.state(PEER)).toBe("INCOMPLETE");
    expect(h.netns.neigh.dump()).toHaveLength(512 + 2);
    expect(h.end()).toEqual(CLEAN);
  });

  test("permanent entries do not count, neither while they are there nor when they go", () => {
    const h = new OneHost();
    for (let i = 1; i <= 1500; i++) {
      must(h.netns.neigh.add({ dev: h.eth0, ip: host(i), mac: PEER_MAC, state: "PERMANENT" }, h.now));
    }
    h.netns.neigh.flush(h.eth0, h.now);
    for (let i = 1; i <= 1025; i++) h.output(host(i));
    expect(h.stack.drops.get(DropReason.NEIGH_CREATEFAIL)).toBe(1);
    expect(h.end()).toEqual(CLEAN);
  });
});
