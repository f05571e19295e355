import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { MS_US, NEVER, SEC_US } from "../../../../src/base/time.ts";
import type { BfdTableOutput } from "../../../../src/routing/bfd/bfd-messages.ts";
import { BfdTable } from "../../../../src/routing/bfd/bfd-table.ts";
import { emit, Flag, PACKET_LEN } from "../../../../src/wire/bfd.ts";
import { packetOf, REMOTE, TIMERS } from "../../../support/bfd.ts";
import { BfdWorld } from "../../../support/bfd-world.ts";

const LOCAL_ADDR = ipv4("10.0.0.1");
const NEIGHBOR_ADDR = ipv4("10.0.0.2");
const OTHER_ADDR = ipv4("10.0.0.3");
const STRANGER_ADDR = ipv4("10.0.0.4");
const START = 10 * SEC_US;

function drain(table: BfdTable): BfdTableOutput[] {
  const outputs: BfdTableOutput[] = [];
  for (let out = table.poll(); out !== undefined; out = table.poll()) outputs.push(out);
  return outputs;
}

/** A table with two neighbours, drained. */
function twoNeighbors(): BfdTable {
  const table = new BfdTable(new SeededRng(1));
  for (const remote of [NEIGHBOR_ADDR, OTHER_ADDR]) {
    expect(table.add({ remote, local: LOCAL_ADDR, timers: TIMERS }, START).ok).toBe(true);
  }
  drain(table);
  return table;
}

function discriminator(table: BfdTable, remote = NEIGHBOR_ADDR): number {
  return table.status(remote)?.localDiscriminator ?? 0;
}

function bytesWith(
  yourDiscriminator: number,
  change: (view: DataView) => void = () => {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer, 0, 28);
  emit(view, 0, {
    state: "Down",
    diag: 0,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMult: 3,
    myDiscriminator: REMOTE,
    yourDiscriminator,
    desiredMinTxUs: SEC_US,
    requiredMinRxUs: 300 * MS_US,
  });
  change(view);
  return bytes.subarray(0, PACKET_LEN);
}

function give(table: BfdTable, from: number, bytes: Uint8Array, ttl?: number): void {
  table.handle({ t: "received", from, bytes, ttl }, START + 1);
}

function states(table: BfdTable): (string | undefined)[] {
  return [NEIGHBOR_ADDR, OTHER_ADDR].map((remote) => table.status(remote)?.state);
}

describe("whose a packet is", () => {
  test("one that names our discriminator belongs to that session, wherever it comes from", () => {
    const table = twoNeighbors();
    give(table, STRANGER_ADDR, bytesWith(discriminator(table, OTHER_ADDR)));
    expect(states(table)).toEqual(["Down", "Init"]);
    // The answer goes to the neighbour that was configured.
    expect(drain(table)).toMatchObject([
      { t: "state", remote: OTHER_ADDR, to: "Init" },
      { t: "send", local: LOCAL_ADDR, to: OTHER_ADDR },
    ]);
    give(table, NEIGHBOR_ADDR, bytesWith(discriminator(table, OTHER_ADDR)));
    expect(states(table)).toEqual(["Down", "Init"]);
  });

  test("one that names none, to the session with its sender", () => {
    const table = twoNeighbors();
    give(table, NEIGHBOR_ADDR, bytesWith(0), 255);
    expect(states(table)).toEqual(["Init", "Down"]);
    expect(table.stats).toEqual({ received: 1, sent: 3, discarded: {} });
  });

  test("out of the middle of a larger buffer", () => {
    const table = twoNeighbors();
    const around = new Uint8Array(100).fill(0xff);
    around.set(bytesWith(0), 33);
    give(table, NEIGHBOR_ADDR, around.subarray(33, 33 + PACKET_LEN));
    expect(states(table)).toEqual(["Init", "Down"]);
  });
});

describe("is thrown away, and counted:", () => {
  const authenticated = (view: DataView): void => {
    view.setUint8(1, view.getUint8(1) | Flag.AUTHENTICATION);
    view.setUint8(3, 26);
  };
  const rows: [why: string, give: (table: BfdTable) => void][] = [
    ["truncated", (t) => give(t, NEIGHBOR_ADDR, bytesWith(discriminator(t)).subarray(0, 23))],
    [
      "version",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(discriminator(t), (v) => v.setUint8(0, 0)),
        ),
    ],
    [
      "length",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(discriminator(t), (v) => v.setUint8(3, 0)),
        ),
    ],
    [
      "detectMult",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(discriminator(t), (v) => v.setUint8(2, 0)),
        ),
    ],
    [
      "multipoint",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(discriminator(t), (v) => v.setUint8(1, 0x41)),
        ),
    ],
    [
      "myDiscriminator",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(discriminator(t), (v) => v.setUint32(4, 0)),
        ),
    ],
    [
      "yourDiscriminator",
      (t) =>
        give(
          t,
          NEIGHBOR_ADDR,
          bytesWith(0, (v) => v.setUint8(1, 0xc0)),
        ),
    ],
    ["unknownDiscriminator", (t) => give(t, NEIGHBOR_ADDR, bytesWith(discriminator(t) ^ 1))],
    ["unknownSource", (t) => give(t, STRANGER_ADDR, bytesWith(0))],
    [
      "authentication",
      (t) => {
        const bytes = new Uint8Array(bytesWith(discriminator(t), authenticated).buffer, 0, 26);
        give(t, NEIGHBOR_ADDR, bytes);
      },
    ],
    ["ttl", (t) => give(t, NEIGHBOR_ADDR, bytesWith(discriminator(t)), 254)],
  ];
  test.each(rows)("%s", (why, act) => {
    const table = twoNeighbors();
    act(table);
    expect(table.stats).toEqual({ received: 0, sent: 2, discarded: { [why]: 1 } });
    expect(states(table)).toEqual(["Down", "Down"]);
    expect(drain(table)).toEqual([]);
  });
});

describe("sessions", () => {
  test("each has a discriminator and a source port of its own", () => {
    const table = new BfdTable(new SeededRng(3));
    for (let i = 0; i < 200; i++) {
      table.add({ remote: NEIGHBOR_ADDR + i, local: LOCAL_ADDR, timers: TIMERS }, START);
    }
    const sent = drain(table).filter((out) => out.t === "send");
    expect(sent).toHaveLength(200);
    expect(new Set(sent.map((out) => out.sourcePort)).size).toBe(200);
    for (const { sourcePort } of sent) {
      expect(sourcePort).toBeGreaterThan(49152);
      expect(sourcePort).toBeLessThan(65536);
    }
    const rows = table.dump();
    expect(new Set(rows.map((row) => row.status.localDiscriminator)).size).toBe(200);
    expect(rows.map((row) => row.remote)).toEqual(rows.map((row) => row.remote).sort((a, b) => a - b));
  });

  test("discriminators are neither 0 nor taken, whatever chance says", () => {
    const draws = [0, 7, 7, 0, 7, 8];
    const chance = new SeededRng(1);
    const table = new BfdTable({ u32: () => draws.shift() ?? chance.u32() });
    table.add({ remote: NEIGHBOR_ADDR, local: LOCAL_ADDR, timers: TIMERS }, START);
    // What comes between is jitter's.
    draws.unshift(0, 7);
    table.add({ remote: OTHER_ADDR, local: LOCAL_ADDR, timers: TIMERS }, START);
    expect(discriminator(table)).toBe(7);
    expect([0, 7]).not.toContain(discriminator(table, OTHER_ADDR));
  });

  test("a session keeps its port, and there is one for each neighbour", () => {
    const table = twoNeighbors();
    expect(table.add({ remote: NEIGHBOR_ADDR, local: LOCAL_ADDR, timers: TIMERS }, START)).toEqual({
      ok: false,
      error: "exists",
    });
    for (let now = START; now < START + 20 * SEC_US; now = table.nextDeadline()) {
      table.handle({ t: "tick" }, now);
    }
    const sent = drain(table).filter((out) => out.t === "send");
    expect(sent.length).toBeGreaterThan(40);
    for (const { to, sourcePort } of sent) expect(sourcePort).toBe(to === NEIGHBOR_ADDR ? 49153 : 49154);
  });

  test("what is not there cannot be changed, deleted or asked", () => {
    const table = twoNeighbors();
    expect(table.configure(STRANGER_ADDR, TIMERS, START)).toBe(false);
    expect(table.del(STRANGER_ADDR, START)).toBe(false);
    expect(table.status(STRANGER_ADDR)).toBeUndefined();
  });

  test("a deleted one with a neighbour that was never heard is gone at once", () => {
    const table = twoNeighbors();
    expect(table.del(NEIGHBOR_ADDR, START)).toBe(true);
    expect(drain(table)).toMatchObject([{ t: "state", remote: NEIGHBOR_ADDR, to: "AdminDown" }]);
    expect(table.dump()).toHaveLength(1);
    table.del(OTHER_ADDR, START);
    expect(table.idle).toBe(true);
    expect(table.nextDeadline()).toBe(NEVER);
    // Its port is free again.
    table.add({ remote: STRANGER_ADDR, local: LOCAL_ADDR, timers: TIMERS }, START);
    expect(table.dump()[0]?.sourcePort).toBe(49153);
  });

  test("one that was heard says AdminDown until the neighbour must know, and is gone then", () => {
    const table = twoNeighbors();
    give(table, NEIGHBOR_ADDR, bytesWith(0));
    const before = discriminator(table);
    drain(table);
    table.del(NEIGHBOR_ADDR, START + 1);
    expect(table.del(NEIGHBOR_ADDR, START + 1)).toBe(false);
    expect(table.status(NEIGHBOR_ADDR)).toBeUndefined();
    table.del(OTHER_ADDR, START + 1);
    let now = START + 1;
    for (; table.nextDeadline() !== NEVER; now = table.nextDeadline()) table.handle({ t: "tick" }, now);
    expect(table.idle).toBe(true);
    const sent = drain(table).filter((out) => out.t === "send");
    expect(sent.length).toBeGreaterThanOrEqual(3);
    for (const { bytes, to } of sent) {
      expect(to).toBe(NEIGHBOR_ADDR);
      expect(packetOf(bytes)).toMatchObject({ state: "AdminDown", diag: 7, myDiscriminator: before });
    }
    give(table, NEIGHBOR_ADDR, bytesWith(before));
    expect(table.stats.discarded).toEqual({ unknownDiscriminator: 1 });
  });

  test("one that comes back cuts that short", () => {
    const table = twoNeighbors();
    give(table, NEIGHBOR_ADDR, bytesWith(0));
    const before = discriminator(table);
    table.del(NEIGHBOR_ADDR, START + 2);
    drain(table);
    expect(table.add({ remote: NEIGHBOR_ADDR, local: LOCAL_ADDR, timers: TIMERS }, START + 3).ok).toBe(true);
    expect(discriminator(table)).not.toBe(before);
    for (let now = START + 3; now < START + 5 * SEC_US; now = table.nextDeadline()) {
      table.handle({ t: "tick" }, now);
    }
    for (const out of drain(table)) {
      if (out.t === "send") expect(packetOf(out.bytes).state).toBe("Down");
    }
  });

  test("nextDeadline is no later than what is due, and a tick that comes too early does nothing", () => {
    const table = twoNeighbors();
    const due = table.nextDeadline();
    expect(due).toBeLessThan(START + SEC_US);
    table.handle({ t: "tick" }, due - 1);
    expect(drain(table)).toEqual([]);
    expect(table.nextDeadline()).toBe(due);
    table.handle({ t: "tick" }, due);
    expect(drain(table)).toMatchObject([{ t: "send" }]);
    expect(table.nextDeadline()).toBeGreaterThan(due);
  });

  test("nextDeadline comes nearer when a session gets faster", () => {
    const table = twoNeighbors();
    give(table, NEIGHBOR_ADDR, bytesWith(0));
    give(
      table,
      NEIGHBOR_ADDR,
      bytesWith(discriminator(table), (view) => view.setUint8(1, 0xc0)),
    );
    expect(states(table)).toEqual(["Up", "Down"]);
    expect(table.nextDeadline()).toBeLessThan(START + 1 + 300 * MS_US);
  });
});

describe("two tables", () => {
  const world = (): BfdWorld => {
    const world = new BfdWorld([TIMERS, TIMERS], [MS_US, MS_US], 1);
    world.start(0);
    world.start(1);
    world.pass(SEC_US);
    expect(world.states).toEqual(["Up", "Up"]);
    for (const side of world.sides) side.changes.length = 0;
    return world;
  };

  test("come Up within three packets, and settle on 300 ms", () => {
    const fresh = new BfdWorld([TIMERS, TIMERS], [MS_US, MS_US], 1);
    fresh.start(0);
    fresh.start(1);
    expect(fresh.passUntilUp(SEC_US)).toBeLessThanOrEqual(10 * MS_US);
    fresh.pass(MS_US * 300);
    expect(fresh.status(0)).toMatchObject({ txIntervalUs: 300 * MS_US, detectionTimeUs: 900 * MS_US });
  });

  test("a neighbour that is killed and starts again is Down and Up again without waiting", () => {
    const w = world();
    w.crash(1);
    w.pass(50 * MS_US);
    expect(w.sides[0].changes.map(({ from, to, diag, failed }) => [from, to, diag, failed])).toEqual([
      ["Up", "Down", 3, true],
      ["Down", "Up", 0, false],
    ]);
    expect(w.states).toEqual(["Up", "Up"]);
    expect(w.status(0)?.remoteDiscriminator).toBe(w.status(1)?.localDiscriminator);
  });

  test("one that is deleted takes the other Down, not as a failure", () => {
    const w = world();
    w.stop(1);
    w.pass(MS_US);
    expect(w.sides[0].changes).toMatchObject([{ to: "Down", remoteState: "AdminDown", failed: false }]);
    w.pass(20 * SEC_US);
    expect(w.sides[1].table.idle).toBe(true);
    expect(w.states).toEqual(["Down", undefined]);
  });

  test("a path that is broken one way is Down on both sides", () => {
    const w = world();
    w.fate = (to) => (to === 0 ? "lost" : "arrives");
    w.pass(2 * SEC_US);
    expect(w.sides[0].changes[0]).toMatchObject({ to: "Down", diag: 1, failed: true });
    expect(w.sides[1].changes[0]).toMatchObject({ to: "Down", diag: 3, failed: true });
    expect(w.states).toEqual(["Down", "Init"]);
  });
});
