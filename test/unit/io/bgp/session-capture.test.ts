import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { SessionCapture } from "../../../../src/io/bgp/session-capture.ts";
import type { Direction } from "../../../../src/wire/pcapng.ts";
import * as pcapng from "../../../../src/wire/pcapng.ts";
import { dissect, type Layer } from "../../../support/dissect.ts";

const OURS = { addr: ipv4("10.0.0.1"), port: 1790 };
const THEIRS = { addr: ipv4("10.0.0.2"), port: 40_000 };

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podloom-capture-"));
  path = join(folder, "bgp.pcapng");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const clock = { now: () => ++clock.us, us: 0 };

function open(options: { bytesMax?: number; onEnd?: (why: string) => void } = {}): SessionCapture {
  return SessionCapture.open({ path, clock, name: "node-1", ...options });
}

function blocks(): pcapng.PcapngBlock[] {
  const parsed = pcapng.parse(readFileSync(path));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

interface Segment {
  readonly way: Direction | undefined;
  readonly tcp: Layer & { readonly t: "tcp" };
  readonly ip: Layer & { readonly t: "ipv4" };
  readonly bytes: number;
}

/** The segments of the file; their checksums have been verified. */
function segments(): Segment[] {
  return blocks().flatMap((block) => {
    if (block.t !== "packet") return [];
    const [, ip, tcp, payload] = dissect(block.bytes.slice(), "ethernet");
    if (ip?.t !== "ipv4" || tcp?.t !== "tcp") throw new Error("not TCP");
    const bytes = payload?.t === "payload" ? payload.hex.length / 2 : 0;
    return [{ way: block.direction, tcp, ip, bytes }];
  });
}

const SYN = 2;
const ACK = 16;
const FIN_ACK = 17;
const RST_ACK = 20;
const PSH_ACK = 24;

test("a call that they made: handshake, data and both ends, all numbers right, our port shown as 179", () => {
  const capture = open();
  capture.opened(1, OURS, THEIRS, true);
  capture.data(1, "in", Uint8Array.of(1, 2, 3));
  capture.data(1, "out", Uint8Array.of(4, 5));
  capture.finished(1, "in");
  capture.finished(1, "in");
  capture.finished(1, "out");
  capture.gone(1);
  capture.data(1, "in", Uint8Array.of(9));
  capture.close();
  const rows = segments().map(({ way, tcp, bytes }) => [way, tcp.flags, tcp.seq, tcp.ack, bytes]);
  expect(rows).toEqual([
    ["in", SYN, 0, 0, 0],
    ["out", SYN | ACK, 0, 1, 0],
    ["in", ACK, 1, 1, 0],
    ["in", PSH_ACK, 1, 1, 3],
    ["out", PSH_ACK, 1, 4, 2],
    ["in", FIN_ACK, 4, 3, 0],
    ["out", FIN_ACK, 3, 5, 0],
    ["in", ACK, 5, 4, 0],
  ]);
  const [first, second] = segments();
  expect(first).toMatchObject({
    ip: { src: "10.0.0.2", dst: "10.0.0.1" },
    tcp: { src: 40_000, dst: 179 },
  });
  expect(second).toMatchObject({
    ip: { src: "10.0.0.1", dst: "10.0.0.2" },
    tcp: { src: 179, dst: 40_000 },
  });
});

test("one that we made, and that they broke off", () => {
  const capture = open();
  capture.opened(1, { ...OURS, port: 41_000 }, { ...THEIRS, port: 1790 }, false);
  capture.data(1, "out", Uint8Array.of(1));
  capture.gone(1, "in");
  capture.close();
  const rows = segments();
  expect(rows.map(({ way, tcp }) => [way, tcp.flags])).toEqual([
    ["out", SYN],
    ["in", SYN | ACK],
    ["out", ACK],
    ["out", PSH_ACK],
    ["in", RST_ACK],
  ]);
  expect(rows[0]).toMatchObject({ tcp: { src: 41_000, dst: 179 }, ip: { dst: "10.0.0.2" } });
});

test("long writes are cut into segments, and the other side acknowledges", () => {
  const capture = open();
  capture.opened(1, OURS, THEIRS, true);
  const bytes = new Uint8Array(400_000);
  capture.data(1, "out", bytes);
  capture.close();
  const sent = segments().slice(3);
  expect(sent.filter(({ way }) => way === "out").reduce((sum, one) => sum + one.bytes, 0)).toBe(bytes.length);
  let next = 1;
  let acked = 1;
  for (const { way, tcp, bytes: length } of sent) {
    if (way === "in") acked = tcp.ack;
    else {
      expect(tcp.seq).toBe(next);
      next += length;
    }
    expect(next - acked).toBeLessThan(200_000);
  }
});

test("the file ends at its limit, in order, with the number of what is missing; that is said once", () => {
  const ends: string[] = [];
  const capture = open({ bytesMax: 20_000, onEnd: (why) => ends.push(why) });
  capture.opened(1, OURS, THEIRS, true);
  for (let i = 0; i < 50; i++) capture.data(1, "out", new Uint8Array(1000));
  capture.opened(2, OURS, THEIRS, true);
  capture.close();
  capture.close();
  expect(statSync(path).size).toBeLessThanOrEqual(20_000);
  expect(ends).toHaveLength(1);
  const all = blocks();
  const packets = all.filter(({ t }) => t === "packet").length;
  expect(all.at(-1)).toEqual({ t: "statistics", interfaceId: 0, received: 56, dropped: 56 - packets });
  expect(packets).toBeGreaterThan(10);
});

test("what was flushed is on the disk, with the time of day, for its owner alone", () => {
  const begun = Date.now() * 1000;
  const capture = open();
  capture.opened(1, OURS, THEIRS, true);
  expect(statSync(path).size).toBe(0);
  capture.flush();
  const packet = blocks().find(({ t }) => t === "packet");
  capture.close();
  expect(packet?.t === "packet" && Math.abs(packet.atUs - begun)).toBeLessThan(5_000_000);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file that cannot be made is an error with a remedy; one that cannot be written ends the capture, no more", () => {
  path = join(folder, "missing", "x.pcapng");
  expect(() => open()).toThrow(
    expect.objectContaining({ code: "PL_CAPTURE_FAILED", remedy: expect.any(String) }),
  );
  path = "/dev/full";
  const ends: string[] = [];
  const capture = open({ onEnd: (why) => ends.push(why) });
  capture.opened(1, OURS, THEIRS, true);
  capture.flush();
  capture.data(1, "in", new Uint8Array(500_000));
  capture.flush();
  capture.close();
  expect(ends).toEqual([expect.stringContaining("ENOSPC")]);
});
