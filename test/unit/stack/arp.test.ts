import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, MAC_ZERO, mac } from "../../../src/base/mac-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { must } from "../../support/host-router-host.ts";
import {
  type ArpSpec,
  arpBytes,
  CLEAN,
  ME,
  MY_MAC,
  OneHost,
  PEER,
  PEER_MAC,
} from "../../support/one-host.ts";

const REQUEST: ArpSpec = { op: "request", sha: PEER_MAC, sip: PEER, tip: ME, dst: MAC_BROADCAST };
const REPLY = "02:00:00:00:00:01 > 02:00:00:00:00:02, Reply 10.0.0.1 is-at 02:00:00:00:00:01";

function set(h: OneHost, name: string, value: string): void {
  must(h.netns.sysctl.set(name, value));
}

describe("requests for our own addresses", () => {
  test("are answered, and the asker is known from then on", () => {
    const h = new OneHost();
    h.receiveArp(REQUEST);
    expect(h.sent()).toEqual([REPLY]);
    expect(h.state(PEER)).toBe("STALE 02:00:00:00:00:02");
    h.output(PEER, 1);
    expect(h.sent()).toEqual(["02:00:00:00:00:01 > 02:00:00:00:00:02, IP 10.0.0.1 > 10.0.0.2 #1"]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("the answer goes to the sender in the packet and repeats it as target", () => {
    const h = new OneHost();
    h.receiveArp(REQUEST);
    const frame = h.eth0.sent[0] as Uint8Array;
    expect(frame).toHaveLength(42);
    expect(frame.slice(14)).toEqual(
      arpBytes({ op: "reply", sha: MY_MAC, sip: ME, tha: PEER_MAC, tip: PEER }),
    );
    expect(h.end()).toEqual(CLEAN);
  });

  test("a probe from 0.0.0.0 is answered, and nobody is learnt", () => {
    const h = new OneHost();
    h.receiveArp({ ...REQUEST, sip: 0 });
    expect(h.sent()).toEqual([
      "02:00:00:00:00:01 > 02:00:00:00:00:02, Reply 10.0.0.1 is-at 02:00:00:00:00:01",
    ]);
    h.receiveArp({ ...REQUEST, sip: 0, tip: ipv4("10.0.0.77") });
    expect(h.sent()).toEqual([]);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("an address of another interface is answered for, unless arp_ignore says otherwise", () => {
    const h = new OneHost();
    h.addWire("eth1", mac("02:00:00:00:09:01"), "10.9.0.1");
    const answers = (tip: string, sip = PEER) => {
      h.receiveArp({ ...REQUEST, sip, tip: ipv4(tip) });
      return h.sent().length;
    };
    expect(answers("10.9.0.1")).toBe(1);
    set(h, "net.ipv4.conf.eth0.arp_ignore", "1");
    expect(answers("10.9.0.1")).toBe(0);
    expect(answers("10.0.0.1")).toBe(1);
    set(h, "net.ipv4.conf.all.arp_ignore", "2");
    must(h.netns.addRoute({ dst: prefix("10.5.0.0/16"), dev: h.eth0 }, h.now));
    expect(answers("10.0.0.1", ipv4("10.5.0.1"))).toBe(0);
    expect(answers("10.0.0.1", 0)).toBe(1);
    expect(answers("10.0.0.1")).toBe(1);
    set(h, "net.ipv4.conf.all.arp_ignore", "8");
    expect(answers("10.0.0.1")).toBe(0);
    expect(h.end()).toEqual(CLEAN);
  });

  test("a sender with our own address, or with none that we would answer, gets nothing", () => {
    const h = new OneHost();
    for (const sip of ["10.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255"]) {
      h.receiveArp({ ...REQUEST, sip: ipv4(sip) });
    }
    expect(h.sent()).toEqual([]);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    set(h, "net.ipv4.conf.eth0.rp_filter", "1");
    h.receiveArp({ ...REQUEST, sip: ipv4("192.0.2.1") });
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("what is dropped", () => {
  const bad: [string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array][] = [
    ["too short", (b) => b.slice(0, 27)],
    ["hardware type", (b) => b.with(1, 6)],
    ["protocol type", (b) => b.with(2, 0x86)],
    ["hardware length", (b) => b.with(4, 8)],
    ["protocol length", (b) => b.with(5, 16)],
    ["RARP", (b) => b.with(7, 3)],
    ["a request for a multicast address", (b) => b.with(24, 224)],
    ["a request for 127.0.0.1", (b) => Uint8Array.from([...b.slice(0, 24), 127, 0, 0, 1])],
  ];
  for (const [name, spoil] of bad) {
    test(name, () => {
      const h = new OneHost();
      h.eth0.receiveFrame(spoil(arpBytes(REQUEST)), h.now, MAC_BROADCAST, EtherType.ARP);
      expect(h.sent()).toEqual([]);
      expect(h.stack.drops.get(DropReason.ARP_INHDR)).toBe(1);
      expect(h.netns.neigh.dump("all")).toEqual([]);
      expect(h.end()).toEqual(CLEAN);
    });
  }

  test("what is for another host is ignored and no loss", () => {
    const h = new OneHost();
    h.receiveArp({ ...REQUEST, dst: mac("02:00:00:00:00:55") });
    expect(h.sent()).toEqual([]);
    expect(h.stack.drops.total).toBe(0);
    expect(h.end()).toEqual(CLEAN);
  });

  test("Ethernet's padding does not matter", () => {
    const h = new OneHost();
    const padded = new Uint8Array(46).fill(0xee);
    padded.set(arpBytes(REQUEST));
    h.eth0.receiveFrame(padded, h.now, MAC_BROADCAST, EtherType.ARP);
    expect(h.sent()).toEqual([REPLY]);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("learning", () => {
  test("only what is asked of us makes an entry: not a reply, not an announcement, not a question to another", () => {
    const h = new OneHost();
    h.answer();
    h.receiveArp({ ...REQUEST, tip: PEER });
    h.receiveArp({ ...REQUEST, tip: ipv4("10.0.0.3") });
    expect(h.netns.neigh.dump("all")).toEqual([]);
    set(h, "net.ipv4.conf.eth0.arp_accept", "1");
    h.receiveArp({ ...REQUEST, tip: PEER });
    expect(h.state(PEER)).toBe("STALE 02:00:00:00:00:02");
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("a reply to everybody does not prove that the neighbour hears us", () => {
    const h = new OneHost();
    h.output(PEER, 1);
    h.sent();
    h.receiveArp({ op: "reply", sha: PEER_MAC, sip: PEER, tha: MY_MAC, tip: ME, dst: MAC_BROADCAST });
    // It was STALE, and used at once by what waited.
    expect(h.state(PEER)).toBe("DELAY 02:00:00:00:00:02");
    expect(h.sent()).toHaveLength(1);
    expect(h.end()).toEqual(CLEAN);
  });

  test("a gratuitous reply is one only when its target repeats the sender", () => {
    const other = mac("02:00:00:00:00:99");
    const h = new OneHost();
    h.output(PEER, 1);
    h.answer();
    const announced: ArpSpec = { op: "reply", sha: other, sip: PEER, tip: PEER, dst: MAC_BROADCAST };
    h.receiveArp(announced);
    expect(h.state(PEER)).toBe("REACHABLE 02:00:00:00:00:02");
    h.receiveArp({ ...announced, tha: other });
    expect(h.state(PEER)).toBe("STALE 02:00:00:00:00:99");
    expect(h.end()).toEqual(CLEAN);
  });

  test("no entry is made for an address of our own that somebody announces", () => {
    const h = new OneHost();
    set(h, "net.ipv4.conf.all.arp_accept", "1");
    h.receiveArp({ ...REQUEST, sip: ME, tip: ME });
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("what we ask and announce", () => {
  test("a gratuitous request, byte for byte", () => {
    const h = new OneHost();
    h.netns.arp.announce(h.eth0, ME, h.now);
    const frame = h.eth0.sent[0] as Uint8Array;
    expect(frame.slice(0, 14)).toEqual(Uint8Array.of(255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6));
    expect(frame.slice(14)).toEqual(
      arpBytes({ op: "request", sha: MY_MAC, sip: ME, tha: MAC_ZERO, tip: ME }),
    );
    expect(h.end()).toEqual(CLEAN);
  });

  test("arp_notify announces every address when the interface comes up", () => {
    const h = new OneHost();
    set(h, "net.ipv4.conf.eth0.arp_notify", "1");
    must(h.netns.addAddress(h.eth0, { addr: ipv4("10.0.0.5"), len: 24 }, h.now));
    h.netns.setLink(h.eth0, false, h.now);
    h.netns.setLink(h.eth0, true, h.now);
    expect(h.sent().map((line) => line.split("Request ")[1])).toEqual([
      "who-has 10.0.0.1 tell 10.0.0.1",
      "who-has 10.0.0.5 tell 10.0.0.5",
    ]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("without arp_notify nothing is said", () => {
    const h = new OneHost();
    h.netns.setLink(h.eth0, false, h.now);
    h.netns.setLink(h.eth0, true, h.now);
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("the question bears the packet's source if it is ours, else an address of the target's subnet, else the first", () => {
    const h = new OneHost();
    must(h.netns.addAddress(h.eth0, { addr: ipv4("10.7.0.1"), len: 16 }, h.now));
    must(h.netns.addAddress(h.netns.lo, { addr: ipv4("192.0.2.1"), len: 32, scope: "global" }, h.now));
    const asks = (src: string, target: string) => {
      h.netns.neigh.output(h.packet(ipv4(src), ipv4(target)), h.eth0, ipv4(target), h.now);
      return h.sent().map((line) => line.split(" tell ")[1]);
    };
    expect(asks("192.0.2.1", "10.7.0.2")).toEqual(["192.0.2.1"]);
    expect(asks("203.0.113.9", "10.7.0.3")).toEqual(["10.7.0.1"]);
    expect(asks("203.0.113.9", "169.254.1.1")).toEqual(["10.0.0.1"]);
    set(h, "net.ipv4.conf.eth0.arp_announce", "1");
    expect(asks("192.0.2.1", "10.7.0.4")).toEqual(["10.7.0.1"]);
    expect(asks("10.7.0.1", "10.7.0.5")).toEqual(["10.7.0.1"]);
    set(h, "net.ipv4.conf.eth0.arp_announce", "2");
    expect(asks("192.0.2.1", "10.0.0.4")).toEqual(["10.0.0.1"]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("an interface without an address borrows one, and lo never asks", () => {
    const h = new OneHost();
    const eth1 = h.addWire("eth1", mac("02:00:00:00:09:01"));
    h.netns.arp.request(eth1, ipv4("10.9.0.9"), h.now);
    expect(h.sent(eth1)).toEqual(["02:00:00:00:09:01 > all, Request who-has 10.9.0.9 tell 10.0.0.1"]);
    h.netns.arp.request(h.netns.lo, PEER, h.now);
    expect(h.netns.backlog.size).toBe(0);
    expect(h.end()).toEqual(CLEAN);
  });
});

describe("proxy", () => {
  const FAR = ipv4("10.9.0.9");
  const PROXY_REPLY = "02:00:00:00:00:01 > 02:00:00:00:00:02, Reply 10.9.0.9 is-at 02:00:00:00:00:01";

  function router(): OneHost {
    const h = new OneHost();
    h.addWire("eth1", mac("02:00:00:00:09:01"), "10.9.0.1");
    h.netns.sysctl.ipForward = true;
    set(h, "net.ipv4.conf.eth0.proxy_arp", "1");
    set(h, "net.ipv4.neigh.eth0.proxy_delay", "0");
    return h;
  }

  function asked(h: OneHost, tip = FAR, dst = MAC_BROADCAST): string[] {
    h.receiveArp({ ...REQUEST, tip, dst });
    return h.sent();
  }

  test("answers for what is routed through another interface, and learns who asked", () => {
    const h = router();
    expect(asked(h)).toEqual([PROXY_REPLY]);
    expect(h.state(PEER)).toBe("STALE 02:00:00:00:00:02");
    expect(h.end()).toEqual(CLEAN);
  });

  test("stays silent for the same interface, for what is not routed, and for what is refused", () => {
    const h = router();
    expect(asked(h, ipv4("10.0.0.77"))).toEqual([]);
    expect(asked(h, ipv4("10.20.0.1"))).toEqual([]);
    must(h.netns.addRoute({ dst: prefix("10.20.0.0/16"), type: "blackhole" }, h.now));
    expect(asked(h, ipv4("10.20.0.1"))).toEqual([]);
    expect(asked(h, ipv4("10.9.0.255"))).toEqual([]);
    must(h.netns.addRoute({ dst: prefix("0.0.0.0/0"), via: FAR }, h.now));
    expect(asked(h, ipv4("255.255.255.255"))).toEqual([]);
    expect(h.netns.neigh.dump("all")).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("needs the sysctl, on the interface or on all, and forwarding on the interface", () => {
    const h = router();
    set(h, "net.ipv4.conf.eth0.proxy_arp", "0");
    expect(asked(h)).toEqual([]);
    set(h, "net.ipv4.conf.all.proxy_arp", "1");
    expect(asked(h)).toEqual([PROXY_REPLY]);
    set(h, "net.ipv4.conf.eth0.forwarding", "0");
    expect(asked(h)).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("waits up to 0.8 s by default, so that the owner is first; asked directly, it answers at once", () => {
    const h = router();
    set(h, "net.ipv4.neigh.eth0.proxy_delay", "80");
    expect(asked(h)).toEqual([]);
    expect(h.pool.outstanding).toBe(1);
    h.advance((8 * SEC_US) / 10);
    expect(h.sent()).toEqual([PROXY_REPLY]);
    expect(asked(h, FAR, MY_MAC)).toEqual([PROXY_REPLY]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("asks itself again when the delay is over", () => {
    const h = router();
    set(h, "net.ipv4.neigh.eth0.proxy_delay", "80");
    asked(h);
    set(h, "net.ipv4.conf.eth0.proxy_arp", "0");
    h.advance(SEC_US);
    expect(h.sent()).toEqual([]);
    expect(h.end()).toEqual(CLEAN);
  });

  test("64 requests wait and no more; the end of the namespace releases them", () => {
    const h = router();
    set(h, "net.ipv4.neigh.eth0.proxy_delay", "80");
    for (let i = 0; i < 70; i++) asked(h);
    expect(h.pool.outstanding).toBe(64);
    expect(h.stack.drops.get(DropReason.NEIGH_QUEUEFULL)).toBe(6);
    expect(h.end()).toEqual(CLEAN);
  });
});
