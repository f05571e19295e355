import { describe, expect, test } from "vitest";
import { AssertionError } from "../../../../src/base/assert.ts";
import { emitKeepalive, messageType } from "../../../../src/wire/bgp/header.ts";
import { MessageReader } from "../../../../src/wire/bgp/message-reader.ts";
import { emitNotification } from "../../../../src/wire/bgp/notification.ts";
import { message, update, written } from "../../../support/bgp.ts";
import { bytesOf, hexOf } from "../../../support/dissect.ts";

const keepalive = written(emitKeepalive);
const MARKER = "ff".repeat(16);

function drain(reader: MessageReader): string[] {
  const messages: string[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) messages.push(hexOf(next));
  return messages;
}

/** An UPDATE of so many octets in all. */
const sized = (octets: number) =>
  update({ attributes: `d063${(octets - 27).toString(16).padStart(4, "0")}${"5a".repeat(octets - 27)}` });

describe("chunks", () => {
  const messages = [keepalive, update(), sized(300), keepalive, sized(4096), update({ withdrawn: "00" })];
  const stream = Uint8Array.from(messages.flatMap((one) => [...one]));
  const want = messages.map(hexOf);

  test.each([1, 2, 3, 7, 18, 19, 20, 37, 38, 255, 4096, 100_000])("of %i octets", (size) => {
    const reader = new MessageReader();
    const got: string[] = [];
    for (let off = 0; off < stream.length; off += size) {
      // A fresh array a chunk, overwritten afterwards: what the reader keeps must be a copy.
      const chunk = stream.slice(off, off + size);
      reader.push(chunk);
      got.push(...drain(reader));
      chunk.fill(0xa5);
    }
    expect(got).toEqual(want);
    expect(reader.error).toBeUndefined();
    expect(reader.stashed).toBe(0);
  });

  test("of a socket's kind: slices of a message are copies all the same", () => {
    const chunk = Buffer.from(keepalive);
    const reader = new MessageReader();
    reader.push(chunk);
    const kept = reader.next()?.slice();
    chunk.fill(0xa5);
    expect(hexOf(kept as Uint8Array)).toBe(hexOf(keepalive));
    expect(kept?.constructor).toBe(Uint8Array);
  });

  test("an empty chunk changes nothing", () => {
    const reader = new MessageReader();
    for (const part of [keepalive.subarray(0, 5), new Uint8Array(0), keepalive.subarray(5)]) {
      reader.push(part);
      drain(reader);
    }
    reader.push(keepalive);
    expect(drain(reader)).toEqual([hexOf(keepalive)]);
  });

  test("whole messages are views, not copies", () => {
    const reader = new MessageReader();
    reader.push(stream);
    expect(reader.next()?.buffer).toBe(stream.buffer);
  });

  test("the next chunk before the last is drained is our own mistake", () => {
    const reader = new MessageReader();
    reader.push(stream);
    expect(() => reader.push(stream)).toThrow(AssertionError);
  });
});

describe("headers", () => {
  const header = (length: number, type: number) =>
    bytesOf(`${MARKER}${length.toString(16).padStart(4, "0")}${type.toString(16).padStart(2, "0")}`);
  const bad = [...header(19, 4)];
  bad[15] = 0xfe;

  test.each([
    ["a marker that is not all ones", Uint8Array.from(bad), 4096, "1/1"],
    ["length 0", header(0, 4), 4096, "1/2 0000"],
    ["length 18", header(18, 2), 4096, "1/2 0012"],
    ["length 4097", header(4097, 2), 4096, "1/2 1001"],
    ["length 4097 with extended messages", header(4097, 2), 65535, ""],
    ["length 65535 with extended messages", header(65535, 3), 65535, ""],
    ["type 0", header(19, 0), 4096, "1/3 00"],
    ["type 6", header(19, 6), 4096, "1/3 06"],
    ["type 255", header(19, 255), 4096, "1/3 ff"],
    ["a bad length and a bad type: the length counts", header(18, 9), 4096, "1/2 0012"],
    ["OPEN of 28", header(28, 1), 4096, "1/2 001c"],
    ["OPEN of 29", header(29, 1), 4096, ""],
    ["OPEN of 4097, even with extended messages", header(4097, 1), 65535, "1/2 1001"],
    ["UPDATE of 22", header(22, 2), 4096, "1/2 0016"],
    ["UPDATE of 23", header(23, 2), 4096, ""],
    ["NOTIFICATION of 20", header(20, 3), 4096, "1/2 0014"],
    ["NOTIFICATION of 21", header(21, 3), 4096, ""],
    ["KEEPALIVE of 19", header(19, 4), 4096, ""],
    ["KEEPALIVE of 20", header(20, 4), 4096, "1/2 0014"],
    ["ROUTE-REFRESH of 21", header(21, 5), 4096, "1/2 0015"],
    ["ROUTE-REFRESH of 22, which its subtype judges", header(22, 5), 4096, ""],
    ["ROUTE-REFRESH of 23", header(23, 5), 4096, ""],
  ])("%s", (_, bytes, max, want) => {
    // At once, and octet by octet: judged after exactly 19 octets, before anything of the body came.
    for (const size of [19, 1]) {
      const reader = new MessageReader(max);
      for (let off = 0; off < 19; off += size) {
        expect(reader.error).toBeUndefined();
        reader.push(bytes.slice(off, off + size));
        drain(reader);
      }
      const { error } = reader;
      expect(error === undefined ? "" : `${error.code}/${error.subcode} ${hexOf(error.data)}`.trim()).toBe(
        want,
      );
    }
  });

  test("after an error nothing is read any more", () => {
    const reader = new MessageReader();
    reader.push(Uint8Array.from([...keepalive, ...header(19, 9), ...keepalive]));
    expect(drain(reader)).toEqual([hexOf(keepalive)]);
    reader.push(keepalive);
    expect(drain(reader)).toEqual([]);
    expect(reader.error?.subcode).toBe(3);
  });

  test("the maximum may rise between two messages of one chunk", () => {
    const reader = new MessageReader();
    const open = message(1, "04 fc00 005a 0a000001 00");
    reader.push(Uint8Array.from([...open, ...sized(5000)]));
    expect(messageType(reader.next() as Uint8Array)).toBe(1);
    reader.setMaxBytes(65535);
    expect(reader.next()?.length).toBe(5000);
  });
});

test("no more is held than came, and no more than a message", () => {
  const reader = new MessageReader(65535);
  reader.push(bytesOf(`${MARKER}ffff02`));
  drain(reader);
  expect(reader.stashed).toBe(19);
  for (let i = 0; i < 65516; i += 4) {
    reader.push(new Uint8Array(4));
    drain(reader);
    expect(reader.stashed).toBeLessThanOrEqual(65535);
  }
  expect(reader.stashed).toBe(0);
});

test("a NOTIFICATION never exceeds 4096 octets", () => {
  const bytes = written((out) => emitNotification(out, { code: 3, subcode: 9, data: new Uint8Array(65000) }));
  expect(bytes.length).toBe(4096);
  const reader = new MessageReader();
  reader.push(bytes);
  expect(drain(reader)).toHaveLength(1);
});
