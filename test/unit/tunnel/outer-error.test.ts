import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { parseOuterError } from "../../../src/tunnel/outer-error.ts";
import { icmpMessage, ipPacket } from "../../support/test-wire.ts";

const NODE = ipv4("192.168.56.2");
const PEER = ipv4("192.168.56.3");

const udpTo = (port: number) => Uint8Array.of(0x9c, 0x40, port >>> 8, port & 0xff, 0, 8, 0, 0);

/** Between guards of 0xa5: a read beyond the end would see them. */
function parse(message: Uint8Array) {
  const bytes = new Uint8Array(message.length + 16).fill(0xa5);
  bytes.set(message, 8);
  return parseOuterError(new DataView(bytes.buffer), 8, 8 + message.length);
}

function quote(spec: Partial<Parameters<typeof ipPacket>[0]> = {}): Uint8Array {
  return ipPacket({ src: NODE, dst: PEER, protocol: 4, df: true, payload: new Uint8Array(8), ...spec });
}

test("an error about a packet in a packet, as a router of RFC 792 quotes it: 28 bytes", () => {
  expect(parse(icmpMessage(3, 4, 1400, quote()))).toEqual({
    type: 3,
    code: 4,
    mtuBytes: 1400,
    src: NODE,
    dst: PEER,
    protocol: 4,
    dstPort: 0,
  });
});

test("about UDP: the port; of a header with options: behind them", () => {
  const options = [1, 1, 1, 0];
  const message = icmpMessage(3, 3, 0, quote({ protocol: 17, payload: udpTo(5555), options }));
  expect(parse(message)).toMatchObject({ code: 3, mtuBytes: 0, protocol: 17, dstPort: 5555 });
});

test("a quoted checksum need not be right: routers count the TTL down", () => {
  const quoted = quote();
  quoted[8] = 1;
  expect(parse(icmpMessage(11, 0, 0x578, quoted))).toMatchObject({ type: 11, code: 0, mtuBytes: 0 });
});

describe("is not understood", () => {
  const whole = icmpMessage(3, 4, 1400, quote());
  const bad: [name: string, message: Uint8Array][] = [
    ["a quotation of 27 bytes", icmpMessage(3, 4, 1400, quote().subarray(0, 27))],
    ["nothing quoted", icmpMessage(3, 4, 1400, new Uint8Array(0))],
    ["half a header", whole.subarray(0, 7)],
    ["a wrong checksum", Uint8Array.from(whole, (byte, i) => (i === 7 ? byte ^ 1 : byte))],
    [
      "IPv6 quoted",
      icmpMessage(
        3,
        4,
        1400,
        Uint8Array.from(quote(), (byte, i) => (i === 0 ? 0x65 : byte)),
      ),
    ],
    [
      "a header length of 16",
      icmpMessage(
        3,
        4,
        1400,
        Uint8Array.from(quote(), (b, i) => (i === 0 ? 0x44 : b)),
      ),
    ],
    [
      "a header length beyond the end",
      icmpMessage(
        3,
        4,
        1400,
        Uint8Array.from(quote(), (b, i) => (i === 0 ? 0x4f : b)),
      ),
    ],
    ["a later fragment", icmpMessage(3, 4, 1400, quote({ offset: 1480, df: false }))],
    ["an echo request", icmpMessage(8, 0, 0, quote())],
    ["a redirect", icmpMessage(5, 1, 0xc0a8_3801, quote())],
    ["a source quench", icmpMessage(4, 0, 0, quote())],
  ];
  test.each(bad)("%s", (_name, message) => {
    expect(parse(message)).toBeUndefined();
  });
});

test("whatever the bytes are, it neither throws nor reads beyond them", () => {
  const quoted = fc.uint8Array({ minLength: 0, maxLength: 80 });
  fc.assert(
    fc.property(fc.constantFrom(3, 11), fc.integer({ min: 0, max: 255 }), quoted, (type, code, bytes) => {
      const error = parse(icmpMessage(type, code, 1400, bytes));
      if (error === undefined) return;
      expect(bytes.length).toBeGreaterThanOrEqual(28);
      expect(error.dst).toBe(new DataView(bytes.buffer, bytes.byteOffset).getUint32(16));
    }),
  );
});
