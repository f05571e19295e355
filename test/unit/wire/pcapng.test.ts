import { describe, expect, test } from "vitest";
import * as pcapng from "../../../src/wire/pcapng.ts";
import { bytesOf, hexOf } from "../../support/dissect.ts";

/** A block around `payload`, in a buffer full of something else. */
function packet(payload: Uint8Array, atUs: number, direction: pcapng.Direction): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pcapng.packetBlockLen(payload.length)).fill(0xa5);
  bytes.set(payload, pcapng.PACKET_OFFSET);
  pcapng.emitPacket(new DataView(bytes.buffer), 0, 0, atUs, payload.length, direction);
  return bytes;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const SECTION = pcapng.emitSection("héllo");
const INTERFACE = pcapng.emitInterface(pcapng.LinkType.ETHERNET, "node-1", "BGP sessions");

describe("emit", () => {
  test("a section header, to the byte", () => {
    expect(hexOf(SECTION)).toBe(
      hexOf(
        bytesOf(`
          0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff
          0100 0600 68c3a96c6c6f 0000   # comment, padded
          0000 0000                     # end of options
          2c000000`),
      ),
    );
  });

  test("an interface, to the byte", () => {
    expect(hexOf(pcapng.emitInterface(1, "eth0", "x"))).toBe(
      hexOf(
        bytesOf(`
          01000000 28000000 0100 0000 00000000
          0200 0400 65746830
          0300 0100 78000000
          0000 0000
          28000000`),
      ),
    );
  });

  test("a packet, to the byte: the high half of the time first, padding zero", () => {
    // 1,700,000,000.000001 s
    expect(hexOf(packet(bytesOf("0102030405"), 1_700_000_000_000_001, "out"))).toBe(
      hexOf(
        bytesOf(`
          06000000 34000000 00000000 240a0600 01401e18 05000000 05000000
          0102030405 000000
          0200 0400 02000000
          0000 0000
          34000000`),
      ),
    );
  });
});

describe("parse", () => {
  test("reads what emit has written", () => {
    const file = concat(
      SECTION,
      INTERFACE,
      packet(bytesOf("01020304"), 1_700_000_000_123_456, "in"),
      packet(new Uint8Array(0), 2 ** 50 + 1, "out"),
      pcapng.emitStatistics(0, 5, { received: 2 ** 33 + 1, dropped: 7 }),
    );
    const parsed = pcapng.parse(file);
    expect(parsed).toEqual({
      ok: true,
      value: [
        { t: "section", comment: "héllo" },
        { t: "interface", linkType: 1, name: "node-1", description: "BGP sessions" },
        {
          t: "packet",
          interfaceId: 0,
          atUs: 1_700_000_000_123_456,
          direction: "in",
          bytes: bytesOf("01020304"),
          originalBytes: 4,
        },
        {
          t: "packet",
          interfaceId: 0,
          atUs: 2 ** 50 + 1,
          direction: "out",
          bytes: new Uint8Array(0),
          originalBytes: 0,
        },
        { t: "statistics", interfaceId: 0, received: 2 ** 33 + 1, dropped: 7 },
      ],
    });
  });

  test("reads a big-endian section, nanoseconds, and blocks that it does not know", () => {
    const file = bytesOf(`
      0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c
      00000001 00000020 0071 0000 00000060 0009 0001 09000000 0000 0000 00000020
      00000bad 00000010 deadbeef 00000010
      00000006 00000024 00000000 00000001 00000000 00000002 00000003 aabb0000 00000024`);
    expect(pcapng.parse(file)).toEqual({
      ok: true,
      value: [
        { t: "section", comment: undefined },
        { t: "interface", linkType: 0x71, name: undefined, description: undefined },
        { t: "other", type: 0xbad },
        {
          t: "packet",
          interfaceId: 0,
          atUs: 4_294_967,
          direction: undefined,
          bytes: bytesOf("aabb"),
          originalBytes: 3,
        },
      ],
    });
  });

  test.each([
    ["not a pcapng file", bytesOf("d4c3b2a1 02000400 00000000 00000000")],
    ["not a pcapng file", bytesOf("0a0d0d0a 0000001c 11111111 00000000")],
    ["a block at 44 is cut short", concat(SECTION, bytesOf("06000000"))],
    ["the block at 44 is cut short", concat(SECTION, INTERFACE.subarray(0, 20))],
    ["the block at 44 cannot be 13 octets long", concat(SECTION, bytesOf("06000000 0d000000 00000000 00"))],
    ["the block at 44 has two lengths", concat(SECTION, bytesOf("06000000 0c000000 0b000000"))],
    ["the block at 44 is too short for its type", concat(SECTION, bytesOf("06000000 0c000000 0c000000"))],
    [
      "the packet at 44 is of an interface that was not described",
      concat(SECTION, packet(bytesOf("01"), 0, "in")),
    ],
    [
      "the packet at 0 does not fit into its block",
      concat(
        SECTION,
        INTERFACE,
        bytesOf("06000000 24000000 00000000 00000000 00000000 05000000 05000000 00000000 24000000"),
      ),
    ],
  ])("refuses a file: %s", (error, bytes) => {
    const at = error.replace(" at 0 ", ` at ${SECTION.length + INTERFACE.length} `);
    expect(pcapng.parse(bytes)).toEqual({ ok: false, error: at });
  });
});
