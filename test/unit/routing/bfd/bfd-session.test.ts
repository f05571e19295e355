import { describe, expect, test } from "vitest";
import { MS_US, NEVER, SEC_US } from "../../../../src/base/time.ts";
import { timersFault } from "../../../../src/routing/bfd/bfd-messages.ts";
import { Diag } from "../../../../src/wire/bfd.ts";
import { BfdBench, LOCAL, REMOTE, TIMERS } from "../../../support/bfd.ts";

const U32_MAX = 0xffff_ffff;

describe("coming up", () => {
  test("a session that was not started says nothing, and waits for nothing", () => {
    const bench = new BfdBench().hear("Down", { poll: true }).pass(60 * SEC_US);
    expect(bench.sent).toEqual([]);
    expect(bench.session.nextDeadline()).toBe(NEVER);
    expect(bench.session.idle).toBe(true);
  });

  test("the first packet goes out at once, and carries what is so far known", () => {
    const bench = new BfdBench().start();
    expect(bench.sent).toEqual([
      {
        at: bench.now,
        state: "Down",
        diag: 0,
        poll: false,
        final: false,
        controlPlaneIndependent: false,
        demand: false,
        detectMult: 3,
        myDiscriminator: LOCAL,
        yourDiscriminator: 0,
        desiredMinTxUs: SEC_US,
        requiredMinRxUs: 300 * MS_US,
      },
    ]);
    bench.start();
    expect(bench.sent).toHaveLength(1);
  });

  test("not Up, packets are a second apart at least, whatever is configured; the interval is told", () => {
    for (const state of ["Down", "Init"] as const) {
      const bench = new BfdBench().in(state);
      for (let i = 0; i < 40; i++) {
        bench.pass(SEC_US);
        if (state === "Init") bench.hear("Down");
      }
      expect(bench.state).toBe(state);
      const gaps = bench.gaps().slice(state === "Init" ? 1 : 0);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(750 * MS_US);
      expect(Math.max(...gaps)).toBeLessThan(SEC_US);
      expect(new Set(gaps).size).toBeGreaterThan(20);
      for (const packet of bench.sent) expect(packet.desiredMinTxUs).toBe(SEC_US);
    }
  });

  test("an interval of more than a second stays as configured", () => {
    const bench = new BfdBench({ desiredMinTxUs: 5 * SEC_US }).start().pass(60 * SEC_US);
    expect(Math.min(...bench.gaps())).toBeGreaterThanOrEqual(3.75 * SEC_US);
    expect(bench.last.desiredMinTxUs).toBe(5 * SEC_US);
  });

  test("Up: the configured interval, told in a poll sequence that ends with the final bit", () => {
    const bench = new BfdBench().in("Up");
    expect(bench.last).toMatchObject({ state: "Up", desiredMinTxUs: 300 * MS_US, poll: true });
    expect(bench.session.status().polling).toBe(true);
    bench.pass(300 * MS_US).hear("Up");
    expect(bench.last.poll).toBe(true);
    bench.hear("Up", { final: true }).pass(300 * MS_US);
    expect(bench.last).toMatchObject({ poll: false, final: false });
    expect(bench.session.status().polling).toBe(false);
  });

  test("a final bit that nobody asked for means nothing", () => {
    const bench = new BfdBench().settled();
    bench.hear("Up", { final: true });
    expect(bench.sent).toEqual([]);
    expect(bench.session.status()).toMatchObject({ state: "Up", polling: false });
  });
});

describe("the interval between packets", () => {
  /** Gaps of a session that stays Up for a minute. */
  function gapsWith(timers: object, told: object): number[] {
    const bench = new BfdBench(timers).settled(told);
    for (let i = 0; i < 600; i++) bench.pass(100 * MS_US).hear("Up", told);
    expect(bench.state).toBe("Up");
    return bench.gaps();
  }

  test.each<[name: string, timers: object, told: object, us: number]>([
    ["ours, when it is the larger", { desiredMinTxUs: 400 * MS_US }, {}, 400 * MS_US],
    ["what the neighbour can take, when that is", {}, { requiredMinRxUs: 700 * MS_US }, 700 * MS_US],
    ["our required interval has no part in it", { requiredMinRxUs: 900 * MS_US }, {}, 300 * MS_US],
    ["nor has what the neighbour desires", {}, { desiredMinTxUs: 900 * MS_US }, 300 * MS_US],
  ])("is %s", (_name, timers, told, us) => {
    const gaps = gapsWith(timers, told);
    expect(gaps.length).toBeGreaterThan(60);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0.75 * us);
    expect(Math.max(...gaps)).toBeLessThan(us);
    // The whole quarter is used.
    expect(Math.min(...gaps)).toBeLessThan(0.78 * us);
    expect(Math.max(...gaps)).toBeGreaterThan(0.97 * us);
  });

  test("with a multiplier of 1, jitter leaves a tenth at least", () => {
    const gaps = gapsWith({ detectMult: 1 }, {});
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(225 * MS_US);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(270 * MS_US);
    expect(Math.max(...gaps)).toBeGreaterThan(260 * MS_US);
  });

  test("a neighbour that takes more is sent more at once: counted from the packet before", () => {
    const bench = new BfdBench().settled({ requiredMinRxUs: 10 * SEC_US, desiredMinTxUs: 10 * SEC_US });
    bench.pass(5 * SEC_US);
    expect(bench.sent).toEqual([]);
    bench.hear("Up", { requiredMinRxUs: 300 * MS_US });
    expect(bench.sent).toHaveLength(1);
    bench.pass(300 * MS_US);
    expect(bench.sent).toHaveLength(2);
  });

  test("one that takes less is sent less at once", () => {
    const bench = new BfdBench().settled();
    bench.pass(100 * MS_US).hear("Up", { requiredMinRxUs: 2 * SEC_US, desiredMinTxUs: 2 * SEC_US });
    bench.pass(1300 * MS_US);
    expect(bench.sent).toEqual([]);
    bench.pass(SEC_US);
    expect(bench.sent).toHaveLength(1);
  });

  test("one that takes none is sent none, but an answer to a poll and a new state", () => {
    const none = { requiredMinRxUs: 0 };
    const bench = new BfdBench().settled(none);
    for (let i = 0; i < 100; i++) bench.pass(100 * MS_US).hear("Up", none);
    expect(bench.sent).toEqual([]);
    expect(bench.session.status()).toMatchObject({ state: "Up", txIntervalUs: 0 });
    bench.hear("Up", { ...none, poll: true });
    expect(bench.sent).toMatchObject([{ final: true, poll: false }]);
    bench.configure({ requiredMinRxUs: 500 * MS_US }).pass(500 * MS_US);
    expect(bench.sent).toHaveLength(2);
    expect(bench.last).toMatchObject({ requiredMinRxUs: 500 * MS_US, poll: true });
    bench.hear("Down", none);
    expect(bench.last.state).toBe("Down");
    bench.pass(500 * MS_US);
    expect(bench.sent).toHaveLength(3);
    // It is silent for a detection time: a new neighbour may take packets.
    bench.pass(4 * SEC_US);
    expect(bench.last).toMatchObject({ state: "Down", yourDiscriminator: 0 });
    expect(bench.sent.length).toBeGreaterThan(3);
  });

  test("one in demand mode is sent none while both are Up, but for poll sequences", () => {
    const demand = { demand: true };
    const bench = new BfdBench().settled(demand);
    for (let i = 0; i < 20; i++) bench.pass(100 * MS_US).hear("Up", demand);
    expect(bench.sent).toEqual([]);
    bench.configure({ detectMult: 5 });
    expect(bench.sent).toMatchObject([{ detectMult: 5, poll: true }]);
    bench.pass(300 * MS_US).hear("Up", demand);
    expect(bench.sent.length).toBeGreaterThan(1);
    bench.hear("Up", { ...demand, final: true });
    bench.sent.length = 0;
    for (let i = 0; i < 20; i++) bench.pass(100 * MS_US).hear("Up", demand);
    expect(bench.sent).toEqual([]);
    bench.hear("Up").pass(300 * MS_US);
    expect(bench.sent.length).toBeGreaterThanOrEqual(2);
  });
});

describe("a poll", () => {
  test.each(["Down", "Init", "Up"] as const)("is answered in %s at once, outside the schedule", (state) => {
    const bench = new BfdBench().in(state).pass(100 * MS_US);
    const told = state === "Down" ? "Up" : state === "Init" ? "Down" : "Up";
    const due = bench.session.nextDeadline();
    const sent = bench.sent.length;
    bench.hear(told, { poll: true });
    expect(bench.sent.slice(sent)).toMatchObject([{ at: bench.now, final: true, poll: false, state }]);
    if (state === "Init") expect(bench.session.nextDeadline()).toBe(due);
  });

  test("is not answered in AdminDown: the packet was discarded", () => {
    const bench = new BfdBench().in("Up").stop();
    const sent = bench.sent.length;
    bench.hear("Down", { poll: true });
    expect(bench.sent).toHaveLength(sent);
  });

  test("is answered without the poll bit, though we poll too; and the answer tells a new state", () => {
    const bench = new BfdBench().in("Init");
    const sent = bench.sent.length;
    bench.hear("Up", { poll: true });
    expect(bench.sent.slice(sent)).toMatchObject([{ state: "Up", final: true, poll: false }]);
    bench.pass(300 * MS_US);
    expect(bench.last).toMatchObject({ poll: true, final: false });
  });
});

describe("the detection time", () => {
  test.each<[name: string, timers: object, told: object, us: number]>([
    ["the neighbour's multiplier counts", { detectMult: 50 }, { detectMult: 4 }, 1200 * MS_US],
    ["times what it desires", {}, { desiredMinTxUs: 500 * MS_US }, 1500 * MS_US],
    ["or what we require, when that is more", { requiredMinRxUs: 800 * MS_US }, {}, 2400 * MS_US],
    ["once, with a multiplier of 1", {}, { detectMult: 1 }, 300 * MS_US],
    ["up to the limits of the fields", {}, { detectMult: 255, desiredMinTxUs: U32_MAX }, 255 * U32_MAX],
    ["what it desires of 0 is what we require", {}, { desiredMinTxUs: 0, requiredMinRxUs: 0 }, 900 * MS_US],
  ])("%s", (_name, timers, told, us) => {
    const bench = new BfdBench(timers).settled(told);
    expect(bench.session.status().detectionTimeUs).toBe(us);
    const heard = bench.now;
    bench.now = heard + us - 1;
    bench.session.handle({ t: "tick" }, bench.now);
    expect(bench.drain().state).toBe("Up");
    bench.now = heard + us;
    bench.session.handle({ t: "tick" }, bench.now);
    expect(bench.drain().state).toBe("Down");
    expect(bench.changes).toEqual([
      {
        t: "state",
        from: "Up",
        to: "Down",
        diag: Diag.DETECTION_TIME_EXPIRED,
        remoteState: "Down",
        failed: true,
        remoteIndependent: false,
      },
    ]);
    expect(bench.last).toMatchObject({
      at: bench.now,
      state: "Down",
      diag: Diag.DETECTION_TIME_EXPIRED,
      desiredMinTxUs: SEC_US,
      yourDiscriminator: 0,
      poll: false,
    });
  });

  test("is what nextDeadline waits for, and every packet puts it off", () => {
    const bench = new BfdBench().settled({ requiredMinRxUs: 0 });
    for (let i = 0; i < 20; i++) {
      expect(bench.session.nextDeadline()).toBe(bench.now + 900 * MS_US);
      bench.pass(899 * MS_US).hear("Up", { requiredMinRxUs: 0 });
    }
    expect(bench.pass(899 * MS_US).state).toBe("Up");
    expect(bench.pass(MS_US).state).toBe("Down");
  });

  test("tells whether the neighbour's BFD would have outlived its control plane", () => {
    const bench = new BfdBench().settled({ controlPlaneIndependent: true }).pass(900 * MS_US);
    expect(bench.changes).toMatchObject([{ failed: true, remoteIndependent: true }]);
  });
});

describe("new timers while it is Up", () => {
  test("a longer transmit interval is told in a poll sequence, and used after it", () => {
    const bench = new BfdBench().settled().configure({ desiredMinTxUs: 2 * SEC_US });
    for (let i = 0; i < 10; i++) bench.pass(100 * MS_US).hear("Up");
    expect(bench.sent.length).toBeGreaterThanOrEqual(3);
    for (const { poll, desiredMinTxUs } of bench.sent) {
      expect({ poll, desiredMinTxUs }).toEqual({ poll: true, desiredMinTxUs: 2 * SEC_US });
    }
    expect(Math.max(...bench.gaps())).toBeLessThan(300 * MS_US);
    bench.hear("Up", { final: true });
    bench.sent.length = 0;
    for (let i = 0; i < 200; i++) bench.pass(100 * MS_US).hear("Up");
    expect(Math.min(...bench.gaps())).toBeGreaterThanOrEqual(1.5 * SEC_US);
    expect(bench.last.poll).toBe(false);
  });

  test("a shorter one is used at once", () => {
    const bench = new BfdBench().settled({ requiredMinRxUs: 1 }).configure({ desiredMinTxUs: 50 * MS_US });
    bench.pass(500 * MS_US);
    expect(bench.sent.length).toBeGreaterThanOrEqual(10);
    expect(bench.last).toMatchObject({ poll: true, desiredMinTxUs: 50 * MS_US });
  });

  test("a shorter receive interval is told, and reckoned with after the poll sequence", () => {
    const rare = { desiredMinTxUs: 50 * MS_US };
    const bench = new BfdBench({ requiredMinRxUs: 2 * SEC_US }).settled(rare);
    bench.configure({ requiredMinRxUs: 100 * MS_US });
    expect(bench.session.status().detectionTimeUs).toBe(6 * SEC_US);
    bench.pass(300 * MS_US);
    expect(bench.last).toMatchObject({ poll: true, requiredMinRxUs: 100 * MS_US });
    bench.hear("Up", rare);
    expect(bench.session.status().detectionTimeUs).toBe(6 * SEC_US);
    bench.hear("Up", { ...rare, final: true });
    expect(bench.session.status().detectionTimeUs).toBe(300 * MS_US);
    expect(bench.pass(300 * MS_US).state).toBe("Down");
  });

  test("a longer one is reckoned with at once", () => {
    const bench = new BfdBench().settled().configure({ requiredMinRxUs: 2 * SEC_US });
    expect(bench.session.status().detectionTimeUs).toBe(6 * SEC_US);
    expect(bench.session.status().polling).toBe(true);
  });

  test("what changes during a poll sequence waits for its end", () => {
    const bench = new BfdBench().settled().configure({ desiredMinTxUs: SEC_US });
    bench.pass(300 * MS_US).configure({ desiredMinTxUs: 2 * SEC_US });
    for (let i = 0; i < 4; i++) bench.hear("Up").pass(100 * MS_US);
    expect(bench.last.desiredMinTxUs).toBe(SEC_US);
    bench.hear("Up", { final: true });
    // Packets of a second's interval from now on; those that poll for two seconds begin when no answer to the first poll can come.
    bench.sent.length = 0;
    for (let i = 0; i < 30; i++) bench.pass(100 * MS_US).hear("Up");
    expect(bench.last).toMatchObject({ desiredMinTxUs: 2 * SEC_US, poll: true });
    expect(Math.max(...bench.gaps())).toBeLessThan(SEC_US);
    expect(Math.min(...bench.gaps())).toBeGreaterThanOrEqual(750 * MS_US);
  });

  test("a late answer to one poll sequence is not taken for one to the next", () => {
    const bench = new BfdBench().settled().configure({ desiredMinTxUs: 600 * MS_US });
    // A round trip of 700 ms: further polls are under way when the answer to the first comes.
    bench.pass(300 * MS_US).hear("Up");
    const answered = (bench.sent.find((packet) => packet.poll)?.at ?? 0) + 700 * MS_US;
    bench.pass(answered - bench.now).hear("Up", { final: true });
    const polls = bench.sent.filter((packet) => packet.poll);
    expect(polls.length).toBeGreaterThanOrEqual(2);
    const settled = (polls.at(-1)?.at ?? 0) + 700 * MS_US;
    bench.configure({ desiredMinTxUs: 5 * SEC_US });
    expect(bench.session.status().told.desiredMinTxUs).toBe(600 * MS_US);
    bench.pass(settled - bench.now).hear("Up", { final: true });
    expect(bench.session.status()).toMatchObject({ told: { desiredMinTxUs: 600 * MS_US }, polling: false });
    expect(bench.session.nextDeadline()).toBeLessThanOrEqual(settled + 1);
    bench.pass(1);
    expect(bench.session.status()).toMatchObject({ told: { desiredMinTxUs: 5 * SEC_US }, polling: true });
    // No poll was sent since, so nothing can be an answer.
    bench.hear("Up", { final: true });
    expect(bench.session.status()).toMatchObject({ polling: true, txIntervalUs: 600 * MS_US });
  });

  test("going down ends the wait for a longer interval, and silence ends the poll sequence", () => {
    const slower = { desiredMinTxUs: 5 * SEC_US };
    const down = new BfdBench({ desiredMinTxUs: 2 * SEC_US }).settled({ detectMult: 10 }).configure(slower);
    expect(down.session.status().txIntervalUs).toBe(2 * SEC_US);
    down.hear("Down");
    expect(down.session.status()).toMatchObject({ polling: true, txIntervalUs: 5 * SEC_US });
    const silent = new BfdBench()
      .settled()
      .configure(slower)
      .pass(900 * MS_US);
    expect(silent.last).toMatchObject({ state: "Down", poll: false });
    expect(silent.session.status()).toMatchObject({ polling: false, txIntervalUs: 5 * SEC_US });
  });

  test("another multiplier is told", () => {
    const bench = new BfdBench()
      .settled()
      .configure({ detectMult: 7 })
      .pass(300 * MS_US);
    expect(bench.last).toMatchObject({ detectMult: 7, poll: true });
  });

  test("the same timers are no news", () => {
    const bench = new BfdBench().settled().configure({});
    expect(bench.session.status().polling).toBe(false);
    expect(bench.session.nextDeadline()).toBeLessThanOrEqual(bench.now + 300 * MS_US);
  });

  test("do not go out in packets of their own: the next periodic one carries them", () => {
    const bench = new BfdBench()
      .settled()
      .configure({ desiredMinTxUs: 250 * MS_US, requiredMinRxUs: SEC_US });
    expect(bench.sent).toEqual([]);
  });
});

describe("the end", () => {
  test("unsound timers are the caller's mistake", () => {
    for (const bad of [
      { desiredMinTxUs: 0 },
      { requiredMinRxUs: 0 },
      { detectMult: 0 },
      { detectMult: 256 },
      { desiredMinTxUs: 2 ** 32 },
      { requiredMinRxUs: 1.5 },
    ]) {
      expect(timersFault({ ...TIMERS, ...bad })).toMatch(/must be 1 to/);
      expect(() => new BfdBench(bad)).toThrow(/must be 1 to/);
      expect(() => new BfdBench().configure(bad)).toThrow(/must be 1 to/);
    }
    expect(timersFault({ desiredMinTxUs: 1, requiredMinRxUs: U32_MAX, detectMult: 255 })).toBeUndefined();
  });

  test("AdminDown is told for as long as the neighbour takes to detect silence, and then no more", () => {
    const bench = new BfdBench().settled({ requiredMinRxUs: 2 * SEC_US, desiredMinTxUs: 2 * SEC_US }).stop();
    expect(bench.changes).toMatchObject([{ from: "Up", to: "AdminDown", failed: false }]);
    expect(bench.last).toMatchObject({
      at: bench.now,
      state: "AdminDown",
      diag: Diag.ADMINISTRATIVELY_DOWN,
      desiredMinTxUs: SEC_US,
    });
    const stopped = bench.now;
    for (let i = 0; i < 100; i++) bench.pass(100 * MS_US).hear("Down");
    expect(bench.state).toBe("AdminDown");
    expect(bench.sent.length).toBeGreaterThanOrEqual(3);
    expect(bench.last.at).toBeLessThanOrEqual(stopped + 6 * SEC_US);
    expect(bench.session.idle).toBe(true);
    bench.pass(10 * SEC_US);
    expect(bench.session.nextDeadline()).toBe(NEVER);
    bench.stop();
    expect(bench.changes).toHaveLength(1);
  });

  test("with nobody there, there is nobody to tell", () => {
    const bench = new BfdBench().start().stop();
    expect(bench.session.idle).toBe(true);
    expect(bench.sent).toHaveLength(1);
    expect(bench.session.nextDeadline()).toBe(NEVER);
  });

  test("and a beginning", () => {
    const bench = new BfdBench()
      .settled()
      .stop()
      .pass(500 * MS_US)
      .start();
    expect(bench.last).toMatchObject({ state: "Down", diag: Diag.NONE, yourDiscriminator: REMOTE });
    bench.hear("Down").hear("Up");
    expect(bench.state).toBe("Up");
    expect(bench.session.status().counters.up).toBe(2);
  });

  test("a neighbour that is taken down on purpose is no failure; when it is back, so is the session", () => {
    const bench = new BfdBench().settled().hear("AdminDown", { diag: Diag.ADMINISTRATIVELY_DOWN });
    expect(bench.changes).toMatchObject([
      { from: "Up", to: "Down", diag: Diag.NEIGHBOR_SIGNALED_DOWN, remoteState: "AdminDown", failed: false },
    ]);
    expect(bench.session.status().remoteDiag).toBe(Diag.ADMINISTRATIVELY_DOWN);
    bench
      .pass(20 * SEC_US)
      .hear("Down")
      .hear("Up");
    expect(bench.state).toBe("Up");
  });

  test("a neighbour that starts again with another discriminator is found again", () => {
    const again = { myDiscriminator: 0x3333_3333, yourDiscriminator: 0 };
    const bench = new BfdBench().settled().hear("Down", again);
    expect(bench.changes).toMatchObject([{ from: "Up", to: "Down", failed: true }]);
    expect(bench.last).toMatchObject({ state: "Down", yourDiscriminator: 0x3333_3333 });
    const known = { myDiscriminator: 0x3333_3333 };
    bench.hear("Init", known);
    expect(bench.state).toBe("Up");
    expect(bench.session.status().remoteDiscriminator).toBe(0x3333_3333);
  });
});
