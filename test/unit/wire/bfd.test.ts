// Every `test/vectors/bfd/<name>.hex`, both directions, and each rule by which a packet is thrown away.
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as bfd from "../../../src/wire/bfd.ts";
import { formatBfd } from "../../../src/wire/pretty/bfd.ts";
import { FramePrinter } from "../../../src/wire/pretty/frame.ts";
import { bytesOf, hexOf } from "../../support/dissect.ts";

interface Vector {
  readonly pretty: string;
  readonly packet: bfd.ControlPacket;
}

/** Ethernet, IPv4 without options, UDP. */
const HEADERS_LEN = 42;
const folder = new URL("../../vectors/bfd/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".hex"))
  .map((file) => file.slice(0, -4));

test("there are vectors", () => {
  expect(names.length).toBeGreaterThanOrEqual(6);
});

describe.each(names)("%s", (name) => {
  const frame = bytesOf(readFileSync(new URL(`${name}.hex`, folder), "utf8"));
  const want = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Vector;
  const view = new DataView(frame.buffer);

  test("is read", () => {
    expect(bfd.check(view, HEADERS_LEN, frame.length)).toBeUndefined();
    expect(bfd.parse(view, HEADERS_LEN)).toEqual(want.packet);
    expect(bfd.version(view, HEADERS_LEN)).toBe(1);
    expect(bfd.len(view, HEADERS_LEN)).toBe(24);
    expect(bfd.requiredMinEchoRxUs(view, HEADERS_LEN)).toBe(0);
  });

  test("is written", () => {
    const out = new Uint8Array(40).fill(0xa5);
    bfd.emit(new DataView(out.buffer), 8, want.packet);
    expect(hexOf(out)).toBe(`a5a5a5a5a5a5a5a5${hexOf(frame.subarray(HEADERS_LEN))}a5a5a5a5a5a5a5a5`);
  });

  test("prints as tcpdump prints it", () => {
    expect(new FramePrinter().frame(view, 0, frame.length)).toBe(want.pretty);
  });
});

test("what is emitted is sound, and is read again", () => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const some = fc.integer({ min: 1, max: 0xffff_ffff });
  const packet = fc.record<bfd.ControlPacket>({
    state: fc.constantFrom("AdminDown", "Down", "Init", "Up"),
    diag: fc.nat(31),
    poll: fc.boolean(),
    final: fc.boolean(),
    controlPlaneIndependent: fc.boolean(),
    demand: fc.boolean(),
    detectMult: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: some,
    yourDiscriminator: some,
    desiredMinTxUs: u32,
    requiredMinRxUs: u32,
  });
  fc.assert(
    fc.property(packet, (packet) => {
      const bytes = new Uint8Array(bfd.PACKET_LEN).fill(0xa5);
      const view = new DataView(bytes.buffer);
      bfd.emit(view, 0, packet);
      expect(bfd.check(view, 0, bytes.length)).toBeUndefined();
      expect(bfd.parse(view, 0)).toEqual(packet);
    }),
  );
});

/** A periodic packet of a session that is Up, in the middle of a longer buffer. */
function packet(change: (view: DataView) => void): DataView {
  const view = new DataView(new ArrayBuffer(64));
  bfd.emit(view, 0, {
    state: "Up",
    diag: 0,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMult: 3,
    myDiscriminator: 1,
    yourDiscriminator: 2,
    desiredMinTxUs: 300_000,
    requiredMinRxUs: 300_000,
  });
  change(view);
  return view;
}

describe("check", () => {
  const flag = (bits: number) => (view: DataView) => view.setUint8(1, view.getUint8(1) | bits);
  const both =
    (...changes: ((view: DataView) => void)[]) =>
    (view: DataView) => {
      for (const change of changes) change(view);
    };
  const state = (number: number) => (view: DataView) => view.setUint8(1, number << 6);
  const length = (octets: number) => (view: DataView) => view.setUint8(3, octets);
  const unknown = (view: DataView): void => view.setUint32(8, 0);
  const sound = (): void => {};
  const rows: [name: string, change: (view: DataView) => void, end: number, want: string | undefined][] = [
    ["takes a sound packet", sound, 24, undefined],
    ["takes one with octets behind it", sound, 40, undefined],
    ["takes one that is longer than what is known of it", length(28), 28, undefined],
    ["refuses nothing at all", sound, 0, "truncated"],
    ["refuses a cut header", sound, 23, "truncated"],
    ["refuses version 0", (v) => v.setUint8(0, 0x00), 24, "version"],
    ["refuses version 2", (v) => v.setUint8(0, 0x40), 24, "version"],
    ["refuses a length below the header's", length(23), 24, "length"],
    ["refuses a length beyond the datagram", length(25), 24, "truncated"],
    ["refuses authentication without a section", flag(bfd.Flag.AUTHENTICATION), 26, "length"],
    ["refuses one octet of it", both(flag(bfd.Flag.AUTHENTICATION), length(25)), 26, "length"],
    ["leaves a whole one to the session", both(flag(bfd.Flag.AUTHENTICATION), length(26)), 26, undefined],
    [
      "refuses a section beyond the datagram",
      both(flag(bfd.Flag.AUTHENTICATION), length(26)),
      25,
      "truncated",
    ],
    ["refuses a multiplier of 0", (v) => v.setUint8(2, 0), 24, "detectMult"],
    ["refuses flag M", flag(bfd.Flag.MULTIPOINT), 24, "multipoint"],
    ["takes P and F together", flag(bfd.Flag.POLL | bfd.Flag.FINAL), 24, undefined],
    ["takes an unknown diagnostic", (v) => v.setUint8(0, 0x3f), 24, undefined],
    ["refuses a sender without a discriminator", (v) => v.setUint32(4, 0), 24, "myDiscriminator"],
    ["takes AdminDown from one that does not know ours", both(state(0), unknown), 24, undefined],
    ["takes Down from one that does not know ours", both(state(1), unknown), 24, undefined],
    ["refuses Init from one that does not know ours", both(state(2), unknown), 24, "yourDiscriminator"],
    ["refuses Up from one that does not know ours", both(state(3), unknown), 24, "yourDiscriminator"],
  ];
  test.each(rows)("%s", (_name, change, end, want) => {
    expect(bfd.check(packet(change), 0, end)).toBe(want);
  });

  test("counts from where the packet starts", () => {
    const view = new DataView(new ArrayBuffer(64));
    bfd.emit(
      view,
      16,
      bfd.parse(
        packet(() => {}),
        0,
      ),
    );
    expect(bfd.check(view, 16, 40)).toBeUndefined();
    expect(bfd.check(view, 16, 39)).toBe("truncated");
  });
});

// tcpdump 4.99.3 wrote the right column.
test.each<[change: (view: DataView) => void, end: number, want: string]>([
  [(v) => v.setUint8(1, 0x00), 24, "BFDv1, Control, State AdminDown, Flags: [none], length: 24"],
  [
    (v) => v.setUint8(1, 0xc8),
    24,
    "BFDv1, Control, State Up, Flags: [Control Plane Independent], length: 24",
  ],
  [(v) => v.setUint8(1, 0xc4), 24, "BFDv1, Control, State Up, Flags: [Authentication Present], length: 24"],
  [
    (v) => v.setUint8(1, 0xff),
    24,
    "BFDv1, Control, State Up, Flags: [Poll, Final, Control Plane Independent, Authentication Present, Demand, Multipoint], length: 24",
  ],
  [(v) => v.setUint8(2, 0), 28, "BFDv1, Control, State Up, Flags: [none], length: 28"],
  [(v) => v.setUint8(0, 0xe1), 24, "BFDv7, Control, length: 24"],
  [() => {}, 23, " [|bfd]"],
  [() => {}, 0, " [|bfd]"],
])("prints whatever it is %#", (change, end, want) => {
  expect(formatBfd(packet(change), 0, end, end)).toBe(want);
});

test("names diagnostics", () => {
  expect(bfd.diagName(bfd.Diag.NEIGHBOR_SIGNALED_DOWN)).toBe("Neighbor Signaled Session Down");
  expect(bfd.diagName(bfd.Diag.REVERSE_CONCATENATED_PATH_DOWN)).toBe("Reverse Concatenated Path Down");
  expect(bfd.diagName(31)).toBe("Diagnostic 31");
});
