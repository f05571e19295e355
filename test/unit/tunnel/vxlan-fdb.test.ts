import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { formatMac, MAC_BROADCAST, MAC_ZERO, type MacAddr, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NEVER, SEC_US } from "../../../src/base/time.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { VxlanDevice } from "../../../src/tunnel/vxlan.ts";
import { Snooped, VxlanFdb } from "../../../src/tunnel/vxlan-fdb.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import { packetOf, RecordingUnderlay, Sink, udpFrame } from "../../support/frames.ts";

const STATION = mac("02:00:00:00:00:05");
const [P1, P2, P3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(ipv4) as [number, number, number];
const OK = { ok: true, value: undefined };
const viewOf = (m: MacAddr) => new DataView(udpFrame({ dst: 0, src: m }).buffer);
const learn = (fdb: VxlanFdb, m: MacAddr, src: number, now = 0) => fdb.learn(viewOf(m), 6, src, now);
const rows = (fdb: VxlanFdb, now?: number) =>
  fdb.dump(now).map((row) => `${formatMac(row.mac)} ${row.remote - ipv4("10.0.0.0")} ${row.state}`);

test("add refuses what is there, replace changes it, del removes it: the kernel's words", () => {
  const fdb = new VxlanFdb(300 * SEC_US, 10, 1);
  expect(fdb.add(STATION, P1, "permanent", 0)).toEqual(OK);
  expect(fdb.add(STATION, P2, "permanent", 0)).toEqual({ ok: false, error: "File exists" });
  expect(fdb.replace(STATION, P2, "permanent", 0)).toEqual(OK);
  expect(rows(fdb)).toEqual(["02:00:00:00:00:05 2 permanent"]);
  expect(fdb.append(STATION, P3, "permanent", 0)).toEqual(OK);
  expect(rows(fdb).length).toBe(1);
  expect(fdb.del(STATION, P1)).toEqual(OK);
  expect(fdb.size).toBe(1);
  expect(fdb.del(STATION, P2)).toEqual(OK);
  expect(fdb.size).toBe(0);
  expect(fdb.del(STATION)).toEqual({ ok: false, error: "No such file or directory" });
});

test("only the all-zero address and groups have several destinations, and those are not replaced", () => {
  const fdb = new VxlanFdb(300 * SEC_US, 10, 1);
  for (const m of [MAC_ZERO, MAC_BROADCAST]) {
    expect(fdb.append(m, P1, "permanent", 0)).toEqual(OK);
    expect(fdb.append(m, P2, "permanent", 0)).toEqual(OK);
    expect(fdb.replace(m, P3, "permanent", 0)).toEqual({
      ok: false,
      error: "Cannot replace non-unicast fdb entries",
    });
  }
  expect(rows(fdb)).toEqual([
    "00:00:00:00:00:00 1 permanent",
    "00:00:00:00:00:00 2 permanent",
    "ff:ff:ff:ff:ff:ff 1 permanent",
    "ff:ff:ff:ff:ff:ff 2 permanent",
  ]);
  expect(fdb.del(MAC_ZERO, P1)).toEqual(OK);
  expect(fdb.lookup(viewOf(STATION), 6, 0)?.remotes.map((one) => one.dst)).toEqual([P2]);
});

test("a learned address moves with its station; a static one never does", () => {
  const fdb = new VxlanFdb(300 * SEC_US, 10, 1);
  expect(learn(fdb, STATION, P1)).toBe(Snooped.NEW);
  expect(learn(fdb, STATION, P1)).toBe(Snooped.REFRESHED);
  expect(learn(fdb, STATION, P2)).toBe(Snooped.MOVED);
  expect(rows(fdb)).toEqual(["02:00:00:00:00:05 2 learned"]);
  for (const state of ["permanent", "static"] as const) {
    fdb.replace(STATION, P1, state, 0);
    expect(learn(fdb, STATION, P2)).toBe(Snooped.EXISTS);
    expect(learn(fdb, STATION, P1)).toBe(Snooped.REFRESHED);
    expect(rows(fdb)).toEqual([`02:00:00:00:00:05 1 ${state}`]);
  }
  expect(fdb.learnedSize).toBe(0);
});

test("a learned address ages from when it was last heard; the default destination takes its place", () => {
  const fdb = new VxlanFdb(10 * SEC_US, 10, 1);
  fdb.append(MAC_ZERO, P3, "permanent", 0);
  learn(fdb, STATION, P1, 0);
  learn(fdb, STATION, P1, 5 * SEC_US);
  const dst = (now: number) => fdb.lookup(viewOf(STATION), 6, now)?.remotes[0]?.dst;
  expect([dst(15 * SEC_US - 1), dst(15 * SEC_US)]).toEqual([P1, P3]);
  expect(rows(fdb, 15 * SEC_US).length).toBe(1);
  expect(fdb.add(STATION, P2, "permanent", 15 * SEC_US)).toEqual(OK);
  fdb.del(STATION);
  learn(fdb, STATION, P1, 15 * SEC_US);
  fdb.sweep(25 * SEC_US);
  expect([fdb.size, fdb.learnedSize]).toEqual([1, 0]);
});

test("ageing 0 keeps what was learned for ever", () => {
  const fdb = new VxlanFdb(0, 10, 1);
  learn(fdb, STATION, P1, 0);
  fdb.sweep(1e15);
  expect(rows(fdb, 1e15).length).toBe(1);
});

test("learning stops at its limit; what is configured still has room", () => {
  const fdb = new VxlanFdb(300 * SEC_US, 3, 1);
  const got = [0, 1, 2, 3].map((n) => learn(fdb, STATION + n, P1));
  expect(got).toEqual([Snooped.NEW, Snooped.NEW, Snooped.NEW, Snooped.FULL]);
  expect(fdb.add(STATION + 3, P1, "permanent", 0)).toEqual(OK);
  fdb.flushLearned();
  expect(rows(fdb)).toEqual(["02:00:00:00:00:08 1 permanent"]);
});

test("a learning device: who is heard is known, a static address from another peer is refused, down forgets", () => {
  const pool = new PacketPool(50, true);
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const host = stack.addNetns("");
  const underlay = new RecordingUnderlay(stack, ipv4("10.0.0.9"));
  const opts = { vni: 1, learning: true, gbp: false, ageingSec: 300, local: 0, dstPort: 8472 };
  const dev = new VxlanDevice(stack, "vxlan1", mac("02:00:00:00:00:01"), 1450, opts, underlay);
  const port = new VxlanPort(stack);
  port.add(dev);
  host.addDevice(dev);
  host.setLink(dev, true, 0);
  const sink = new Sink(stack);
  dev.upper = sink;
  const hear = (src: number, peer: number, now = 0) => {
    const frame = udpFrame({ dst: dev.mac, src });
    port.receive(packetOf(pool, Uint8Array.from([8, 0, 0, 0, 0, 0, 1, 0, ...frame])), peer, 1, now);
    return sink.take().length;
  };
  const LEASED = mac("02:00:00:00:00:06");
  dev.fdb.replace(LEASED, P2, "permanent", 0);
  expect([hear(STATION, P1), hear(LEASED, P2), hear(LEASED, P1)]).toEqual([1, 1, 0]);
  expect(stack.drops.entries()).toEqual([["VXLAN_ENTRY_EXISTS", 1]]);
  expect(rows(dev.fdb)).toEqual(["02:00:00:00:00:05 1 learned", "02:00:00:00:00:06 2 permanent"]);
  dev.transmit(packetOf(pool, udpFrame({ dst: STATION, src: dev.mac })), 0);
  expect(underlay.take().map((one) => one.dst)).toEqual([P1]);
  // The sweeping timer runs only while there is something to age.
  expect(stack.nextDeadline()).toBe(10 * SEC_US);
  for (let sec = 0; sec <= 320; sec += 10) stack.run(sec * SEC_US);
  expect(rows(dev.fdb)).toEqual(["02:00:00:00:00:06 2 permanent"]);
  expect(stack.nextDeadline()).toBe(NEVER);
  hear(STATION, P1, 400 * SEC_US);
  host.setLink(dev, false, 400 * SEC_US);
  expect(rows(dev.fdb)).toEqual(["02:00:00:00:00:06 2 permanent"]);
  expect(stack.nextDeadline()).toBe(NEVER);
  host.delDevice(dev, 400 * SEC_US);
  expect(port.size).toBe(0);
  expect(pool.outstanding).toBe(0);
});
