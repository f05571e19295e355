import { describe, expect, test } from "vitest";
import { formatPrefix, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import type { KeyValue } from "../../../src/control/datastore/messages.ts";
import {
  type LeaseWatcher,
  type LeaseWatcherOutput,
  SafeLeaseWatcher,
  StrictLeaseWatcher,
} from "../../../src/control/flannel/lease-watcher.ts";

const SELF = { subnet: prefix("10.5.0.0/24"), publicIp: ipv4("192.168.56.1") };
const SUBNETS = "/coreos.com/network/subnets";

function value(ip: string, mac = "02:00:00:00:00:01"): string {
  return `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
}

let revision = 10;
function kv(name: string, text: string | Uint8Array, createRevision?: number): KeyValue {
  const modRevision = ++revision;
  return {
    key: `${SUBNETS}/${name}`,
    value: typeof text === "string" ? encodeUtf8(text) : text,
    createRevision: createRevision ?? modRevision,
    modRevision,
    version: 1,
    lease: "7",
  };
}

const put = (watcher: LeaseWatcher, pair: KeyValue) => watcher.update({ t: "put", kv: pair });
const del = (watcher: LeaseWatcher, name: string) => watcher.update({ t: "delete", kv: kv(name, "") });

/** `+10.5.1.0/24 via 192.168.56.2`, `-10.5.1.0/24`, or the log's text. */
function show(outputs: readonly LeaseWatcherOutput[]): string[] {
  return outputs.map((output) => {
    if (output.t === "log") return output.message;
    const mac = output.lease.attrs.vtepMac;
    return `${output.t === "added" ? "+" : "-"}${formatPrefix(output.lease.subnet)}${mac === undefined ? "" : ` ${mac}`}`;
  });
}

describe("by default", () => {
  const watcher = () => new SafeLeaseWatcher(SELF);

  test("a put is always reported, a delete reports what was installed, an unknown one nothing", () => {
    const w = watcher();
    const lease = kv("10.5.1.0-24", value("192.168.56.2"));
    expect(show(put(w, lease))).toEqual(["+10.5.1.0/24 2199023255553"]);
    expect(show(put(w, lease))).toEqual(["+10.5.1.0/24 2199023255553"]);
    expect(show(del(w, "10.5.1.0-24"))).toEqual(["-10.5.1.0/24 2199023255553"]);
    expect(show(del(w, "10.5.1.0-24"))).toEqual([]);
    expect(w.peers()).toEqual([]);
  });

  test("TestWatchLeaseAdded: the own lease is never delivered, by events or by snapshots", () => {
    const w = watcher();
    const own = kv("10.5.0.0-24", value("192.168.56.1"));
    expect(put(w, own)).toEqual([]);
    expect(w.reset([own])).toEqual([]);
    expect(w.reset([own])).toEqual([]);
    expect(w.reset([])).toEqual([]);
    expect(del(w, "10.5.0.0-24")).toEqual([]);
  });

  test("a snapshot is a difference: gone (first), new, and attributes that changed in the gap", () => {
    const w = watcher();
    const one = kv("10.5.1.0-24", value("192.168.56.2"));
    const two = kv("10.5.2.0-24", value("192.168.56.3"));
    expect(show(w.reset([one, two]))).toHaveLength(2);
    expect(w.reset([one, two])).toEqual([]);
    const renewed = { ...one, modRevision: 99 };
    expect(w.reset([renewed, two])).toEqual([]);
    const moved = kv("10.5.1.0-24", value("192.168.56.2", "02:00:00:00:00:99"), one.createRevision);
    const three = kv("10.5.3.0-24", value("192.168.56.4"));
    expect(show(w.reset([moved, three]))).toEqual([
      "-10.5.2.0/24 2199023255553",
      "+10.5.1.0/24 2199023255705",
      "+10.5.3.0/24 2199023255553",
    ]);
  });

  test("a subnet that was given away and claimed anew in the gap is reported for its new epoch", () => {
    const w = watcher();
    const one = kv("10.5.1.0-24", value("192.168.56.2"));
    w.reset([one]);
    expect(show(w.reset([{ ...one, createRevision: 90, modRevision: 90 }]))).toEqual([
      "+10.5.1.0/24 2199023255553",
    ]);
  });

  test("garbage over a lease changes nothing until the key goes", () => {
    const w = watcher();
    const lease = kv("10.5.1.0-24", value("192.168.56.2"));
    put(w, lease);
    for (const bad of ["", "{", "\u0000", `${SUBNETS}/10.5.1.0-24`, '{"PublicIP":5}']) {
      const outputs = put(w, kv("10.5.1.0-24", bad));
      expect(outputs).toMatchObject([{ t: "log", level: "warn" }]);
    }
    expect(put(w, kv("10.5.1.0-24", new Uint8Array([0xff, 0xfe])))).toMatchObject([{ t: "log" }]);
    expect(w.reset([kv("10.5.1.0-24", "garbage")])).toMatchObject([{ t: "log" }]);
    expect(w.peers()).toHaveLength(1);
    expect(show(w.reset([]))).toEqual(["-10.5.1.0/24 2199023255553"]);
  });

  test("a garbage key is one line in the log", () => {
    const w = watcher();
    put(w, kv("10.5.1.0-24", value("192.168.56.2")));
    expect(show(put(w, kv("what\nis this", "x")))).toEqual([
      `Ignoring bad subnet node: failed to parse subnet key "${SUBNETS}/what\\nis this"`,
    ]);
    expect(w.peers()).toHaveLength(1);
  });

  test.each([
    ["0.0.0.0-0", "192.168.56.9", "it overlaps this node's 10.5.0.0/24"],
    ["10.5.0.128-25", "192.168.56.9", "it overlaps this node's 10.5.0.0/24"],
    ["10.5.7.9-24", "192.168.56.9", "its address has host bits set"],
    ["10.5.7.0-24", "192.168.56.1", "it names this node's address 192.168.56.1"],
  ])("%s of %s is not installed", (name, ip, why) => {
    expect(show(put(watcher(), kv(name, value(ip))))).toEqual([
      `Ignoring lease "${SUBNETS}/${name}": ${why}`,
    ]);
  });

  test("a dual-stack key of a foreign flanneld routes IPv4", () => {
    const w = watcher();
    const name = "10.5.1.0-24&fd00:5:1::-64";
    expect(show(put(w, kv(name, value("192.168.56.2"))))).toEqual(["+10.5.1.0/24 2199023255553"]);
    expect(show(del(w, name))).toEqual(["-10.5.1.0/24 2199023255553"]);
  });

  test("of two keys for one subnet the younger claim is installed, in whatever order they come", () => {
    const old = kv("10.5.1.0-24", value("192.168.56.2"));
    const young = kv("10.5.1.0-24&fd00:5:1::-64", value("192.168.56.3"));
    for (const order of [
      [old, young],
      [young, old],
    ]) {
      const w = watcher();
      for (const pair of order) put(w, pair);
      expect(w.peers().map((peer) => peer.key)).toEqual([young.key]);
      del(w, "10.5.1.0-24&fd00:5:1::-64");
      expect(w.peers().map((peer) => peer.key)).toEqual([old.key]);
    }
  });
});

describe("strict, as flanneld", () => {
  const watcher = () => new StrictLeaseWatcher(SELF);

  test("attributes that change in a gap are not noticed", () => {
    const w = watcher();
    w.reset([kv("10.5.1.0-24", value("192.168.56.2"))]);
    expect(w.reset([kv("10.5.1.0-24", value("192.168.56.7"))])).toEqual([]);
    expect(show(put(w, kv("10.5.1.0-24", value("192.168.56.7"))))).toEqual(["+10.5.1.0/24 2199023255553"]);
  });

  test("Q1: the second reset reports the own lease as removed", () => {
    const w = watcher();
    const own = kv("10.5.0.0-24", value("192.168.56.1"));
    expect(w.reset([own])).toEqual([]);
    expect(show(w.reset([own]))).toEqual(["-10.5.0.0/24 2199023255553"]);
  });

  test("Q2: one event that cannot be parsed removes every peer; at the start it is ignored", () => {
    const w = watcher();
    const one = kv("10.5.1.0-24", value("192.168.56.2"));
    const two = kv("10.5.2.0-24", value("192.168.56.3"));
    expect(show(w.reset([one, two, kv("10.5.3.0-24", "x")])).slice(1)).toHaveLength(2);
    expect(show(put(w, kv("garbage", "x"))).slice(1)).toEqual([
      "-10.5.1.0/24 2199023255553",
      "-10.5.2.0/24 2199023255553",
    ]);
    expect(w.peers()).toEqual([]);
  });

  test("a delete of something unknown is logged and reported bare", () => {
    expect(show(del(watcher(), "10.5.9.0-24"))).toEqual([
      "Removed subnet (10.5.9.0/24) and ipv6 subnet (::/0) were not found",
      "-10.5.9.0/24",
    ]);
  });

  test("a dual-stack lease is another one than the IPv4 lease of the same subnet", () => {
    const w = watcher();
    put(w, kv("10.5.1.0-24&fd00:5:1::-64", value("192.168.56.2")));
    put(w, kv("10.5.1.0-24&fd00:5:2::-64", value("192.168.56.3")));
    expect(w.peers()).toHaveLength(2);
    expect(show(del(w, "10.5.1.0-24&fd00:5:1::-64"))).toEqual(["-10.5.1.0/24 2199023255553"]);
    expect(w.peers()).toHaveLength(1);
  });
});

describe("what is ignored", () => {
  const MAC = "02:00:00:00:00:01";
  const ignored = (w: LeaseWatcher) => w.ignored.subnets().map(formatPrefix).sort();
  const bad = () => [
    kv("10.5.7.0-24", "{ not json"),
    kv("10.5.8.9-24", value("192.168.56.2", MAC)),
    kv("10.5.0.128-25", value("192.168.56.2", MAC)),
    kv("10.5.9.0-24", value("192.168.56.1", MAC)),
    kv("nonsense", "x"),
    // The own subnet, under a key of another spelling: nothing that this node lacks.
    kv("10.5.0.7-24", value("192.168.56.2", MAC)),
    kv("10.5.0.0-24", value("192.168.56.1", MAC)),
    kv("10.5.1.0-24", value("192.168.56.2", MAC)),
  ];
  const BAD = ["10.5.0.128/25", "10.5.7.0/24", "10.5.8.0/24", "10.5.9.0/24"];

  test("is known by subnet, whether it came in a list or one by one, and each change is told", () => {
    const listed = new SafeLeaseWatcher(SELF);
    listed.reset(bad());
    expect(ignored(listed)).toEqual(BAD);
    const { version } = listed.ignored;
    listed.reset(bad());
    expect(listed.ignored.version).toBe(version);

    const watched = new SafeLeaseWatcher(SELF);
    for (const pair of bad()) put(watched, pair);
    expect(ignored(watched)).toEqual(BAD);
    expect(watched.ignored.version).toBe(BAD.length);
  });

  test("until the key is gone, or good", () => {
    const w = new SafeLeaseWatcher(SELF);
    w.reset(bad());
    del(w, "10.5.8.9-24");
    put(w, kv("10.5.7.0-24", value("192.168.56.3", MAC)));
    expect(ignored(w)).toEqual(["10.5.0.128/25", "10.5.9.0/24"]);
    w.reset([kv("10.5.9.0-24", value("192.168.56.4", MAC))]);
    expect(ignored(w)).toEqual([]);
  });

  test("by flanneld's watcher: only what it cannot parse", () => {
    const w = new StrictLeaseWatcher(SELF);
    w.reset(bad());
    expect(ignored(w)).toEqual(["10.5.7.0/24"]);
    put(w, kv("10.5.6.0-24", "{"));
    expect(ignored(w)).toEqual(["10.5.6.0/24", "10.5.7.0/24"]);
    put(w, kv("10.5.6.0-24", value("192.168.56.5", MAC)));
    del(w, "10.5.7.0-24");
    expect(ignored(w)).toEqual([]);
  });
});
