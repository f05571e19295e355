// How often a speaker with nothing to do wants to be woken: a mesh has a process for each node, and each has a neighbour in each other.
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../../../../src/base/time.ts";
import { type ConnId, ConnIds } from "../../../../../src/routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../../../../src/routing/bgp/speaker/speaker.ts";
import type { SpeakerInput } from "../../../../../src/routing/bgp/speaker/speaker-messages.ts";
import {
  END_OF_RIB,
  KEEPALIVE,
  messageTexts,
  openBytes,
  otherConfig,
} from "../../../../support/bgp-bench.ts";
import { neighborConfig, sessionConfig, speakerConfig } from "../../../../support/bgp-plain.ts";

const A = "10.0.0.1";
const AS = 64512;
const NEIGHBORS = 20;
/** 90 s of hold time: a KEEPALIVE every 22.5 to 30 s. */
const KEEPALIVE_MIN_SEC = 22.5;
const KEEPALIVE_MAX_SEC = 30;

/** One speaker that many have called, on a virtual clock. Its neighbours answer, and do no more than they are told to. */
class IdleSpeaker {
  now: Instant = 1000 * SEC_US;
  /** How often a timer woke it, and for nothing. */
  wakes = 0;
  idleWakes = 0;
  keepalives = 0;
  readonly conns: ConnId[] = [];
  readonly #ids = new ConnIds();
  readonly #speaker: BgpSpeaker;

  constructor() {
    const config = speakerConfig(A, AS, {});
    this.#speaker = new BgpSpeaker(config, { rng: new SeededRng(7), ids: this.#ids });
    for (let i = 0; i < NEIGHBORS; i++) {
      const session = { ...sessionConfig(A, AS, AS).fsm, passive: true };
      const added = this.#speaker.addNeighbor(
        neighborConfig(A, AS, addressOf(i), AS, { session: { fsm: session } }),
        this.now,
      );
      expect(added.ok).toBe(true);
    }
    this.give({ t: "start" });
    for (let i = 0; i < NEIGHBORS; i++) this.#call(i);
    this.#settle();
  }

  give(input: SpeakerInput): number {
    this.#speaker.handle(input, this.now);
    return this.#drain();
  }

  /** @param speakSec the neighbours send a KEEPALIVE so often, each at its own time; undefined: they are silent, and yet not given up */
  run(sec: number, speakSec?: number): void {
    const until = this.now + sec * SEC_US;
    const speakAt = this.conns.map((_, i) => this.now + ((i + 1) * (speakSec ?? 0) * SEC_US) / NEIGHBORS);
    for (let i = 0; ; i++) {
      if (i > 100_000) throw new Error("the speaker's timers do not advance");
      const spoken = speakSec === undefined ? until : Math.min(...speakAt);
      const due = this.#speaker.nextDeadline();
      this.now = Math.max(this.now, Math.min(spoken, due));
      if (this.now >= until) break;
      if (due <= this.now) this.#wake();
      else {
        const who = speakAt.indexOf(spoken);
        speakAt[who] = spoken + (speakSec ?? 0) * SEC_US;
        this.give({ t: "received", conn: this.conns[who] as ConnId, bytes: KEEPALIVE });
      }
      this.#settle();
    }
    this.now = until;
  }

  #wake(): void {
    this.wakes++;
    const sent = this.give({ t: "tick" });
    if (sent === 0) this.idleWakes++;
    // Not answered amid the wake: so it takes along what it can by itself.
    for (const conn of this.conns) this.give({ t: "received", conn, bytes: END_OF_RIB });
  }

  /** Work that was put off is no timer. */
  #settle(): void {
    for (let i = 0; this.#speaker.nextDeadline() <= this.now && i < 10; i++) this.give({ t: "tick" });
  }

  #call(i: number): void {
    const conn = this.#ids.next();
    this.conns.push(conn);
    this.give({ t: "incoming", conn, remote: ipv4(addressOf(i)) });
    this.give({
      t: "received",
      conn,
      bytes: openBytes(otherConfig({ routerId: ipv4(addressOf(i)) })),
    });
    // Not all at once, or there would be nothing to bring together.
    this.now += SEC_US;
    this.give({ t: "received", conn, bytes: KEEPALIVE });
  }

  /** How many messages it sent. */
  #drain(): number {
    let sent = 0;
    for (let out = this.#speaker.poll(); out !== undefined; out = this.#speaker.poll()) {
      if (out.t !== "send") continue;
      sent++;
      this.keepalives += messageTexts(out.bytes).filter((text) => text === "KEEPALIVE").length;
    }
    return sent;
  }
}

function addressOf(i: number): string {
  return `10.0.1.${i + 1}`;
}

describe("an idle speaker", () => {
  test("wakes once for the KEEPALIVEs of all its sessions, and never for nothing", () => {
    const idle = new IdleSpeaker();
    idle.run(120);
    const before = { wakes: idle.wakes, idleWakes: idle.idleWakes, keepalives: idle.keepalives };
    const sec = 3600;
    idle.run(sec);
    const keepalives = idle.keepalives - before.keepalives;
    expect(keepalives).toBeGreaterThanOrEqual(NEIGHBORS * Math.floor(sec / KEEPALIVE_MAX_SEC));
    expect(idle.wakes - before.wakes).toBeLessThanOrEqual(Math.ceil(sec / KEEPALIVE_MIN_SEC) + 1);
    expect(idle.idleWakes - before.idleWakes).toBe(0);
  });

  test("answers neighbours that speak first, and then its timers do not wake it for what is done", () => {
    const idle = new IdleSpeaker();
    idle.run(120, 25);
    const before = { idleWakes: idle.idleWakes, keepalives: idle.keepalives };
    idle.run(3600, 25);
    expect(idle.keepalives - before.keepalives).toBeGreaterThanOrEqual(NEIGHBORS * (3600 / 25 - 1));
    expect(idle.idleWakes - before.idleWakes).toBe(0);
  });
});
