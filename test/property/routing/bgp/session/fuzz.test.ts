import { describe, expect, test } from "vitest";
import { below, SeededRng } from "../../../../../src/base/rng.ts";
import { NEVER, SEC_US } from "../../../../../src/base/time.ts";
import { BgpPeer } from "../../../../../src/routing/bgp/session/peer.ts";
import { ConnIds, type PeerOutput } from "../../../../../src/routing/bgp/session/peer-messages.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import {
  HEADER_LEN,
  MESSAGE_MAX,
  MessageType,
  messageLength,
  messageType,
} from "../../../../../src/wire/bgp/header.ts";
import {
  benchConfig,
  END_OF_RIB,
  join,
  KEEPALIVE,
  notification,
  openBytes,
  otherConfig,
  refreshBytes,
  updateBytes,
} from "../../../../support/bgp-bench.ts";
import { LEGAL_NOTIFICATIONS } from "../../../../support/bgp-legal.ts";

/** In CI more of them than when a person waits. */
const STREAMS = Number(process.env.PODLOOM_FUZZ_N ?? 20_000);

const families = [{ family: Family.IPV4_UNICAST }, { family: Family.IPV6_UNICAST }];
const CONFIG = benchConfig({ families, traceMessages: true });

const OPEN = openBytes(otherConfig({ families }));
/** ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF, COMMUNITIES, MP_REACH with an IPv6 prefix. */
const RICH = [
  0x80, 14, 29, 0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 48, 0x20, 1, 0x0d,
  0xb8, 0, 1, 0, 0x40, 1, 1, 0, 0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 10, 0, 0,
  2, 0x80, 4, 4, 0, 0, 0, 5, 0x40, 5, 4, 0, 0, 0, 100, 0xc0, 8, 8, 0xfd, 0xe8, 0, 1, 0xfd, 0xe8, 0, 2,
];
const MESSAGES = [
  OPEN,
  KEEPALIVE,
  END_OF_RIB,
  updateBytes([[24, 10, 1, 2], [16, 10, 2], [0], [32, 10, 0, 0, 9]]),
  updateBytes([[24, 10, 1, 3]], RICH),
  notification(6, 2, 3, 98, 121, 101),
  refreshBytes(Family.IPV4_UNICAST, 0),
  refreshBytes(Family.IPV6_UNICAST, 1),
  refreshBytes(Family.IPV6_UNICAST, 2),
];

function mutate(rng: SeededRng, message: Uint8Array): Uint8Array {
  const bytes = message.slice();
  const at = (): number => below(rng, bytes.length);
  switch (below(rng, 8)) {
    case 0:
      return bytes;
    case 1:
      bytes[at()] = below(rng, 256);
      return bytes;
    case 2:
      for (let i = below(rng, 6); i >= 0; i--)
        bytes[HEADER_LEN + below(rng, Math.max(1, bytes.length - HEADER_LEN))] = rng.u32();
      return bytes;
    case 3:
      return bytes.subarray(0, at());
    case 4: {
      const from = HEADER_LEN + below(rng, Math.max(1, bytes.length - HEADER_LEN));
      return relength(join(bytes.subarray(0, from), bytes.subarray(from + 1 + below(rng, 8))));
    }
    case 5: {
      const from = at();
      const more = Uint8Array.from({ length: below(rng, 40) }, () => rng.u32());
      return relength(join(bytes.subarray(0, from), more, bytes.subarray(from)));
    }
    case 6:
      bytes[at()] = [0, 1, 127, 128, 254, 255][below(rng, 6)] as number;
      return relength(bytes);
    default:
      return Uint8Array.from({ length: below(rng, 64) }, () => rng.u32());
  }
}

/** Makes the header's length true again, so that the fault is met further in. */
function relength(bytes: Uint8Array): Uint8Array {
  if (bytes.length < HEADER_LEN) return bytes;
  bytes.fill(0xff, 0, 16);
  bytes[16] = bytes.length >> 8;
  bytes[17] = bytes.length;
  return bytes;
}

interface Watch {
  notifications: number;
  closed: boolean;
  outputs: number;
}

function look(out: PeerOutput, watch: Watch): void {
  watch.outputs++;
  if (out.t === "close") watch.closed = true;
  if (out.t !== "send") return;
  if (watch.closed) throw new Error("something was sent after the end");
  for (let at = 0; at < out.bytes.length; ) {
    const length = messageLength(out.bytes, at);
    if (length < HEADER_LEN || length > MESSAGE_MAX || at + length > out.bytes.length)
      throw new Error("not a message");
    if (watch.notifications > 0) throw new Error("something was said after a NOTIFICATION");
    if (messageType(out.bytes, at) === MessageType.NOTIFICATION) {
      watch.notifications++;
      const code = out.bytes[at + HEADER_LEN] as number;
      const subcode = out.bytes[at + HEADER_LEN + 1] as number;
      if (!LEGAL_NOTIFICATIONS[code]?.includes(subcode)) throw new Error(`NOTIFICATION ${code}/${subcode}`);
    }
    at += length;
  }
}

function drain(peer: BgpPeer, watch: Watch): void {
  for (let out = peer.poll(); out !== undefined; out = peer.poll()) look(out, watch);
}

/** A session at some stage, and then a stream of anything. Answers how it ended. */
function stream(seed: number): "open" | "notified" | "closed" {
  const rng = new SeededRng(seed);
  const peer = new BgpPeer({ config: CONFIG, ids: new ConnIds(), rng });
  const watch: Watch = { notifications: 0, closed: false, outputs: 0 };
  let now = 100 * SEC_US;
  peer.handle({ t: "start" }, now);
  drain(peer, watch);
  peer.handle({ t: "connected", conn: 1 }, now);
  drain(peer, watch);
  const stage = below(rng, 3);
  const start = stage === 0 ? [] : stage === 1 ? [OPEN] : [OPEN, KEEPALIVE];
  const parts = Array.from({ length: 1 + below(rng, 4) }, () =>
    mutate(rng, MESSAGES[below(rng, MESSAGES.length)] as Uint8Array),
  );
  const bytes = join(...start, ...parts);
  const chunk = [1 + below(rng, 20), 64, bytes.length][below(rng, 3)] as number;
  const said = parts.some((part) => messageType(part) === MessageType.NOTIFICATION);
  for (let at = 0; at < bytes.length; at += chunk) {
    peer.handle({ t: "received", conn: 1, bytes: bytes.subarray(at, at + chunk) }, now);
    drain(peer, watch);
  }
  if (watch.outputs > 40 + 8 * bytes.length)
    throw new Error(`${watch.outputs} outputs of ${bytes.length} octets`);
  if (watch.notifications > 1) throw new Error("two NOTIFICATIONs");
  if (watch.closed && watch.notifications === 0 && !said) throw new Error("closed without a word");
  const status = peer.status();
  if (!watch.closed) return "open";
  // Down with a wait, after which it tries again, or ready at once.
  if (status.state === "Established") throw new Error("Established without a connection");
  if (peer.nextDeadline() === NEVER) throw new Error("does not try again");
  now = peer.nextDeadline();
  for (let i = 0; i < 5 && peer.status().state !== "Connect"; i++) {
    now = Math.max(now, peer.nextDeadline());
    peer.handle({ t: "tick" }, now);
    for (let out = peer.poll(); out !== undefined; out = peer.poll());
  }
  if (peer.status().state !== "Connect") throw new Error(`does not dial again: ${peer.status().state}`);
  return watch.notifications > 0 ? "notified" : "closed";
}

describe("anything at all from the neighbour", () => {
  test("never throws, loops or grows; is answered with one legal NOTIFICATION, and with patience", {
    timeout: 120_000,
  }, () => {
    const ends = { open: 0, notified: 0, closed: 0 };
    for (let seed = 1; seed <= STREAMS; seed++) {
      try {
        ends[stream(seed)]++;
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
    expect(ends.notified).toBeGreaterThan(STREAMS / 3);
    expect(ends.open).toBeGreaterThan(STREAMS / 20);
    expect(ends.closed).toBeGreaterThan(STREAMS / 200);
  });

  test("a million octets of one session's chatter leave nothing behind", () => {
    const rng = new SeededRng(7);
    const peer = new BgpPeer({ config: benchConfig(), ids: new ConnIds(), rng });
    const watch: Watch = { notifications: 0, closed: false, outputs: 0 };
    const now = SEC_US;
    peer.handle({ t: "start" }, now);
    drain(peer, watch);
    peer.handle({ t: "connected", conn: 1 }, now);
    drain(peer, watch);
    const piece = join(...Array.from({ length: 40 }, () => updateBytes([[24, 10, 1, 2]])), KEEPALIVE);
    let received = 0;
    peer.handle({ t: "received", conn: 1, bytes: join(OPEN, KEEPALIVE) }, now);
    drain(peer, watch);
    while (received < 1_000_000) {
      const chunk = 1 + below(rng, piece.length);
      for (let at = 0; at < piece.length; at += chunk) {
        peer.handle({ t: "received", conn: 1, bytes: piece.subarray(at, at + chunk) }, now);
        drain(peer, watch);
      }
      received += piece.length;
    }
    expect(peer.status().state).toBe("Established");
    expect(peer.status().queuedBytes).toBe(0);
    expect(peer.counters.octetsIn).toBe(received + OPEN.length + KEEPALIVE.length);
  });
});
