// Two sessions and a bad network between them, on a virtual clock.
import fc from "fast-check";
import { expect, test } from "vitest";
import { below, SeededRng } from "../../../../src/base/rng.ts";
import { MS_US, SEC_US } from "../../../../src/base/time.ts";
import type { BfdTimers } from "../../../../src/routing/bfd/bfd-messages.ts";
import { Diag } from "../../../../src/wire/bfd.ts";
import { BfdWorld, type Side } from "../../../support/bfd-world.ts";

const interval = fc.oneof(
  fc.constantFrom(50 * MS_US, 300 * MS_US, SEC_US, 3 * SEC_US),
  fc.integer({ min: 10 * MS_US, max: 4 * SEC_US }),
);

function timersWith(mult: fc.Arbitrary<number>): fc.Arbitrary<BfdTimers> {
  return fc.record({ desiredMinTxUs: interval, requiredMinRxUs: interval, detectMult: mult });
}

const delays = fc.tuple(fc.integer({ min: 0, max: 2 * SEC_US }), fc.integer({ min: 0, max: 2 * SEC_US }));
const seeds = fc.nat(0x7fff_ffff);
const SIDES = [0, 1] as const;

/** What no packet may be, whatever the network does. */
function expectLawful(side: Side): void {
  for (const packet of side.sent) {
    expect(packet.poll && packet.final).toBe(false);
    if (packet.state !== "Up") expect(packet.desiredMinTxUs).toBeGreaterThanOrEqual(SEC_US);
  }
}

/** Loses half of the packets, but never more than `most` in a row one way. */
function lossy(rng: SeededRng, most: number): BfdWorld["fate"] {
  const inARow = [0, 0];
  return (to) => {
    if ((inARow[to] as number) < most && below(rng, 2) === 0) {
      inARow[to] = (inARow[to] as number) + 1;
      return "lost";
    }
    inARow[to] = 0;
    return below(rng, 8) === 0 ? "twice" : "arrives";
  };
}

/** Many simulated hours: five seconds of work, on a machine that may have others to do. */
const BUSY_MS = 120_000;

test("fewer losses in a row than the multiplier, and new timers at any time: a session that is Up stays Up", {
  timeout: BUSY_MS,
}, () => {
  const scenario = fc.integer({ min: 1, max: 4 }).chain((least) => {
    const timers = timersWith(fc.integer({ min: least, max: 6 }));
    const change = fc.record({ side: fc.constantFrom(...SIDES), timers, waitUs: fc.nat(6 * SEC_US) });
    return fc.record({
      least: fc.constant(least),
      timers: fc.tuple(timers, timers),
      delays,
      seed: seeds,
      changes: fc.array(change, { maxLength: 12 }),
    });
  });
  fc.assert(
    fc.property(scenario, ({ least, timers, delays, seed, changes }) => {
      const world = new BfdWorld(timers, delays, seed);
      world.start(0);
      world.start(1);
      world.passUntilUp(60 * SEC_US);
      for (const side of world.sides) side.changes.length = 0;
      world.fate = lossy(new SeededRng(seed), least - 1);
      for (const { side, timers, waitUs } of changes) {
        world.configure(side, timers);
        world.pass(waitUs);
      }
      world.pass(30 * SEC_US);
      for (const side of world.sides) {
        expect(side.changes).toEqual([]);
        expectLawful(side);
      }
      // When the network is good again, what was configured last is told, known and in force.
      world.fate = () => "arrives";
      world.pass(120 * SEC_US);
      const [a, b] = [world.status(0), world.status(1)];
      for (const [status, other, i] of [[a, b, 0] as const, [b, a, 1] as const]) {
        const { timers } = world.sides[i];
        const peer = world.sides[i === 0 ? 1 : 0].timers;
        expect(status).toMatchObject({ state: "Up", polling: false, told: timers });
        expect(other?.remote).toMatchObject(timers);
        expect(status?.txIntervalUs).toBe(Math.max(timers.desiredMinTxUs, peer.requiredMinRxUs));
        expect(status?.detectionTimeUs).toBe(
          peer.detectMult * Math.max(timers.requiredMinRxUs, peer.desiredMinTxUs),
        );
      }
    }),
    { numRuns: 150 },
  );
});

test("whatever is lost, cut, stopped and killed: when that ends, both are Up; cut off, each is Down when its detection time is over", {
  timeout: BUSY_MS,
}, () => {
  const timers = timersWith(fc.integer({ min: 1, max: 5 }));
  const event = fc.record({
    what: fc.constantFrom("loss", "cut", "cutOneWay", "heal", "crash", "stop", "start", "configure" as const),
    side: fc.constantFrom(...SIDES),
    timers,
    waitUs: fc.nat(8 * SEC_US),
  });
  fc.assert(
    fc.property(
      fc.tuple(timers, timers),
      delays,
      seeds,
      fc.array(event, { maxLength: 25 }),
      (timers, delays, seed, events) => {
        const world = new BfdWorld(timers, delays, seed);
        const rng = new SeededRng(seed);
        world.start(0);
        world.start(1);
        for (const { what, side, timers, waitUs } of events) {
          if (what === "loss") world.fate = () => (below(rng, 3) === 0 ? "lost" : "arrives");
          else if (what === "cut") world.fate = () => "lost";
          else if (what === "cutOneWay") world.fate = (to) => (to === side ? "lost" : "arrives");
          else if (what === "heal") world.fate = () => "arrives";
          else if (what === "configure") world.configure(side, timers);
          else world[what](side);
          world.pass(waitUs);
        }
        world.fate = () => "arrives";
        for (const side of SIDES) if (world.status(side) === undefined) world.start(side);
        // A detection time of the old timers, the slow start, a few round trips.
        world.pass(60 * SEC_US);
        expect(world.states).toEqual(["Up", "Up"]);
        world.pass(30 * SEC_US);
        for (const side of world.sides) {
          expectLawful(side);
          side.changes.length = 0;
        }
        world.fate = () => "lost";
        world.pass(2 * SEC_US);
        const heard = SIDES.map((side) => world.status(side)?.heardAt ?? 0);
        const detection = SIDES.map((side) => world.status(side)?.detectionTimeUs ?? 0);
        world.pass(60 * SEC_US);
        for (const i of SIDES) {
          const [change, ...more] = world.sides[i].changes;
          expect(more).toEqual([]);
          expect(change).toMatchObject({ from: "Up", to: "Down", diag: Diag.DETECTION_TIME_EXPIRED });
          if (heard[i] !== Infinity && detection[i] !== 0) {
            expect(change?.at).toBe((heard[i] as number) + (detection[i] as number));
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});
