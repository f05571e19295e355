// A live speaker with two sessions: one whose neighbour says anything, and one whose neighbour only listens. Whatever the first
// says, it is answered with one legal NOTIFICATION or none, and what reaches the second is beyond reproach.
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { SEC_US } from "../../src/base/time.ts";
import { ConnIds } from "../../src/routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../src/routing/bgp/speaker/speaker.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { HEADER_LEN, MessageType, messageLength, messageType } from "../../src/wire/bgp/header.ts";
import { parseUpdate } from "../../src/wire/bgp/update.ts";
import { EBGP } from "../support/bgp.ts";
import { KEEPALIVE, openBytes, otherConfig } from "../support/bgp-bench.ts";
import { LEGAL_NOTIFICATIONS } from "../support/bgp-legal.ts";
import { neighborConfig, speakerConfig } from "../support/bgp-plain.ts";
import type { Reader } from "./harness.ts";

const SELF = "10.0.0.1";
const TALKER = "10.0.0.2";
const LISTENER = "10.0.0.3";
const BOTH = [{ family: Family.IPV4_UNICAST }, { family: Family.IPV6_UNICAST }];
/** A message of 4096 octets holds this many prefixes at most, and the session forgets them when it ends. */
const DESTINATIONS_MAX = 200_000;

export function speakerReader(): Reader {
  const live = new LiveSpeaker();
  return (bytes, end) => live.round(bytes.slice(0, end));
}

class LiveSpeaker {
  readonly #ids = new ConnIds();
  readonly #speaker: BgpSpeaker;
  #now = 100 * SEC_US;
  #talker = 0;
  readonly #listener: number;
  #said = "";
  #notified = false;
  #up = false;

  constructor() {
    const config = speakerConfig(SELF, 64512);
    this.#speaker = new BgpSpeaker(config, { rng: new SeededRng(1), ids: this.#ids });
    const session = {
      families: BOTH,
      fsm: { ...neighborConfig(SELF, 1, TALKER, 1).session.fsm, passive: true },
    };
    this.#speaker.addNeighbor(neighborConfig(SELF, 64512, TALKER, 64512, { session }), this.#now);
    this.#speaker.addNeighbor(neighborConfig(SELF, 64512, LISTENER, 65001, { session }), this.#now);
    this.#speaker.handle({ t: "start" }, this.#now);
    this.#listener = this.#open(LISTENER, 65001);
    this.#drain();
  }

  /** One message, or what is left of one. Answers what was said to it. */
  round(bytes: Uint8Array): string {
    if (!this.#up) {
      // Whatever it waits for after the last fault is over by then.
      this.#now += 3600 * SEC_US;
      this.#keepListenerAlive();
      this.#tick();
      this.#talker = this.#open(TALKER, 64512);
      this.#up = true;
    }
    this.#said = "";
    this.#notified = false;
    const half = bytes.length >>> 1;
    for (const chunk of [bytes.subarray(0, half), bytes.subarray(half)]) {
      if (!this.#up) break;
      this.#give({ t: "received", conn: this.#talker, bytes: chunk });
    }
    this.#tick();
    if (this.#speaker.rib.count(Family.IPV4_UNICAST) > DESTINATIONS_MAX) throw new Error("the table grows");
    // A message that was cut off waits for its end: the next round must not be taken for it.
    if (this.#up) this.#give({ t: "closed", conn: this.#talker });
    this.#up = false;
    this.#tick();
    if (this.#speaker.rib.count(Family.IPV4_UNICAST) > 0)
      throw new Error("the routes of a lost session stay");
    return this.#said;
  }

  #open(addr: string, as: number): number {
    const conn = this.#ids.next();
    const open = openBytes(
      otherConfig({
        localAs: as,
        routerId: ipv4(addr),
        families: BOTH,
        gracefulRestart: undefined,
        holdTimeSec: 0,
      }),
    );
    this.#give({ t: "incoming", conn, remote: ipv4(addr) });
    this.#give({ t: "received", conn, bytes: open });
    this.#give({ t: "received", conn, bytes: KEEPALIVE });
    return conn;
  }

  /** With hold time 0 there is nothing to keep alive, but the clock makes leaps. */
  #keepListenerAlive(): void {
    this.#give({ t: "received", conn: this.#listener, bytes: KEEPALIVE });
  }

  #give(input: Parameters<BgpSpeaker["handle"]>[0]): void {
    this.#speaker.handle(input, this.#now);
    this.#drain();
  }

  #tick(): void {
    for (let i = 0; i < 1000; i++) {
      if (this.#speaker.nextDeadline() > this.#now) return;
      this.#give({ t: "tick" });
    }
    throw new Error("it does not come to rest");
  }

  #drain(): void {
    for (let out = this.#speaker.poll(); out !== undefined; out = this.#speaker.poll()) {
      if (out.t === "close" && out.conn === this.#talker) this.#up = false;
      if (out.t === "close" && out.conn === this.#listener)
        throw new Error("the listener's session is closed");
      if (out.t !== "send") continue;
      if (out.conn === this.#listener) checkToListener(out.bytes);
      else if (out.conn === this.#talker) this.#toTalker(out.bytes);
    }
  }

  #toTalker(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += messageLength(bytes, at)) {
      if (this.#notified) throw new Error("something was said after a NOTIFICATION");
      const type = messageType(bytes, at);
      this.#said += `${type} `;
      if (type !== MessageType.NOTIFICATION) continue;
      this.#notified = true;
      const code = bytes[at + HEADER_LEN] as number;
      const subcode = bytes[at + HEADER_LEN + 1] as number;
      if (!LEGAL_NOTIFICATIONS[code]?.includes(subcode)) throw new Error(`NOTIFICATION ${code}/${subcode}`);
      this.#said += `${code}/${subcode} `;
    }
  }
}

/** What an honest neighbour of another AS would find no fault with. */
const OUR_NEIGHBOR = { ...EBGP, peerAs: 64512, localAs: 65001 };

function checkToListener(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += messageLength(bytes, at)) {
    const message = bytes.subarray(at, at + messageLength(bytes, at));
    const type = messageType(message);
    if (type === MessageType.NOTIFICATION) throw new Error("the listener was notified");
    if (type !== MessageType.UPDATE) continue;
    const { rung, errors } = parseUpdate(message, OUR_NEIGHBOR);
    if (rung !== "none") throw new Error(`passed on to the listener: ${errors[0]?.message}`);
  }
}
