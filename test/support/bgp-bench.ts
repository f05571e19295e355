import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../src/base/time.ts";
import { DEFAULT_FSM_OPTIONS, type FsmOptions } from "../../src/routing/bgp/session/fsm-types.ts";
import { BgpPeer } from "../../src/routing/bgp/session/peer.ts";
import { localOpen, type PeerConfig, peerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import {
  type ConnId,
  ConnIds,
  type PeerInput,
  type PeerOutput,
} from "../../src/routing/bgp/session/peer-messages.ts";
import { emitEndOfRib } from "../../src/wire/bgp/emit-update.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { emitKeepalive, MessageType, messageLength, messageType } from "../../src/wire/bgp/header.ts";
import { notificationBytes, parseNotification } from "../../src/wire/bgp/notification.ts";
import { OctetWriter } from "../../src/wire/bgp/octets.ts";
import { emitOpen, type OpenMessage } from "../../src/wire/bgp/open.ts";
import { emitRouteRefresh } from "../../src/wire/bgp/route-refresh.ts";

/** Waits short enough to read, and all different. */
export const BENCH_FSM: FsmOptions = {
  ...DEFAULT_FSM_OPTIONS,
  connectRetrySec: 20,
  restartDelaySec: 1,
  idleHoldMinSec: 5,
  idleHoldMaxSec: 30,
};

/** AS 64512 on 10.0.0.1, an internal neighbour. */
export function benchConfig(given: Partial<PeerConfig> = {}): PeerConfig {
  return peerConfig({
    localAs: 64512,
    routerId: ipv4("10.0.0.1"),
    peerAs: "internal",
    fsm: BENCH_FSM,
    ...given,
  });
}

/** The configuration of the other side: AS 64512 on 10.0.0.2. */
export function otherConfig(given: Partial<PeerConfig> = {}): PeerConfig {
  return benchConfig({ routerId: ipv4("10.0.0.2"), ...given });
}

function written(write: (out: OctetWriter) => void): Uint8Array {
  const out = new OctetWriter();
  write(out);
  return out.take();
}

export const KEEPALIVE = written(emitKeepalive);
export const END_OF_RIB = written((out) => emitEndOfRib(out, Family.IPV4_UNICAST));

/** The OPEN of a speaker with this configuration. */
export function openBytes(config: PeerConfig = otherConfig(), given: Partial<OpenMessage> = {}): Uint8Array {
  const open = localOpen(config, { restarting: false, continued: true, without: "nothing" });
  return written((out) => emitOpen(out, { ...open, ...given }));
}

export function notification(code: number, subcode: number, ...data: number[]): Uint8Array {
  return notificationBytes({ code, subcode, data: Uint8Array.from(data) });
}

export function refreshBytes(family: Family, subtype: number): Uint8Array {
  return written((out) => emitRouteRefresh(out, { family, subtype }));
}

/** An UPDATE of IPv4 unicast: ORIGIN IGP, an empty AS_PATH or the one given, NEXT_HOP 10.0.0.2, and prefixes as (octets). */
export function updateBytes(
  prefixes: readonly (readonly number[])[],
  attributes?: readonly number[],
): Uint8Array {
  const block = attributes ?? [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 10, 0, 0, 2, 0x40, 5, 4, 0, 0, 0, 100];
  const nlri = prefixes.flat();
  const length = 23 + block.length + nlri.length;
  const bytes = new Uint8Array(length).fill(0xff, 0, 16);
  bytes.set([length >> 8, length & 255, MessageType.UPDATE, 0, 0, block.length >> 8, block.length & 255], 16);
  bytes.set(block, 23);
  bytes.set(nlri, 23 + block.length);
  return bytes;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const NAMES = ["", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "REFRESH"];

/** "OPEN", "N6/2:4,98,121,101", "UPDATE" ... of whole messages. */
export function messageTexts(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += messageLength(bytes, at)) {
    const message = bytes.subarray(at, at + messageLength(bytes, at));
    const type = messageType(message);
    if (type === MessageType.NOTIFICATION) {
      const { code, subcode, data } = parseNotification(message);
      texts.push(`N${code}/${subcode}${data.length > 0 ? `:${[...data].join(",")}` : ""}`);
    } else {
      texts.push(NAMES[type] ?? `?${type}`);
    }
  }
  return texts;
}

/** An output as a line: "dial 1", "send 1 OPEN KEEPALIVE", "close 1 flushed", "up", "down lost keep 257" ... Traces are none. */
export function outputText(output: PeerOutput): string | undefined {
  switch (output.t) {
    case "dial":
      return `dial ${output.conn}`;
    case "send":
      return `send ${output.conn} ${messageTexts(output.bytes).join(" ")}`;
    case "close":
      return `close ${output.conn}${output.afterFlush ? " flushed" : ""}`;
    case "peerUp":
      return "up";
    case "peerDown": {
      const { reason, keepStale } = output;
      const notice = "notice" in reason ? ` ${reason.notice.code}/${reason.notice.subcode}` : "";
      return `down ${reason.t}${notice}${keepStale.length > 0 ? ` keep ${keepStale.join(",")}` : ""}`;
    }
    case "flushStale":
      return `flush ${output.family} ${output.why}`;
    case "update":
      return "update";
    case "refreshEnded":
      return `refreshEnded ${output.family}${output.timedOut ? " late" : ""}`;
    case "endOfRib":
    case "refreshRequested":
    case "refreshBegun":
      return `${output.t} ${output.family}`;
    case "writable":
    case "expired":
      return output.t;
    case "trace":
      return undefined;
  }
}

/** One neighbour's engine, a clock, and what the engine said. */
export class PeerBench {
  readonly ids = new ConnIds();
  readonly peer: BgpPeer;
  now: Instant = 100 * SEC_US;
  lines: string[] = [];
  outputs: PeerOutput[] = [];

  constructor(config: PeerConfig = benchConfig(), seed = 1) {
    this.peer = new BgpPeer({ config, ids: this.ids, rng: new SeededRng(seed) });
  }

  get state(): string {
    return this.peer.status().state;
  }

  /** One input, drained. Answers the lines that came of it. */
  give(input: PeerInput): string[] {
    this.peer.handle(input, this.now);
    return this.drain();
  }

  drain(): string[] {
    const from = this.lines.length;
    for (let out = this.peer.poll(); out !== undefined; out = this.peer.poll()) {
      this.outputs.push(out);
      const line = outputText(out);
      if (line !== undefined) this.lines.push(line);
    }
    return this.lines.slice(from);
  }

  receive(conn: ConnId, ...parts: readonly Uint8Array[]): string[] {
    return this.give({ t: "received", conn, bytes: join(...parts) });
  }

  /** Lets time pass, firing what is due on the way. */
  wait(sec: number): string[] {
    const from = this.lines.length;
    const until = this.now + sec * SEC_US;
    for (let i = 0; this.peer.nextDeadline() <= until; i++) {
      if (i > 10_000) throw new Error("the engine's timers do not advance");
      this.now = Math.max(this.now, this.peer.nextDeadline());
      this.give({ t: "tick" });
    }
    this.now = until;
    return this.lines.slice(from);
  }

  /** Starts, and dials until the connection is there. Answers its number. */
  dial(): ConnId {
    this.give({ t: "start" });
    const dial = this.outputs.findLast((out) => out.t === "dial");
    if (dial?.t !== "dial") throw new Error("did not dial");
    this.give({ t: "connected", conn: dial.conn });
    return dial.conn;
  }

  /** The neighbour calls. Answers the number of the connection. */
  call(): ConnId {
    const conn = this.ids.next();
    this.give({ t: "accepted", conn });
    return conn;
  }

  /** Up to Established, on a connection that we dialled. */
  establish(open: Uint8Array = openBytes()): ConnId {
    const conn = this.dial();
    this.receive(conn, open, KEEPALIVE);
    if (this.state !== "Established") throw new Error(`not Established: ${this.lines.join("; ")}`);
    return conn;
  }

  get idleFor(): number {
    const at = this.peer.nextDeadline();
    return at === NEVER ? NEVER : (at - this.now) / SEC_US;
  }
}
