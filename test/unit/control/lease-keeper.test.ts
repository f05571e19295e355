import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../../src/base/time.ts";
import { LeaseKeeper, type LeaseKeeperOutput } from "../../../src/control/datastore/lease-keeper.ts";
import type { StoreErrorCode, StoreEvent, StoreOp } from "../../../src/control/datastore/messages.ts";
import { OpIds } from "../../../src/control/datastore/pending-ops.ts";

const TTL = 20;
/** Time to live less the margin of a tenth. */
const VALID_US = 18 * SEC_US;

class Bench {
  readonly keeper: LeaseKeeper;
  now: Instant = 1_000_000_000;
  readonly ops: { readonly op: StoreOp; readonly at: Instant }[] = [];
  said: LeaseKeeperOutput[] = [];

  constructor(ttlSec = TTL, seed = 5) {
    this.keeper = new LeaseKeeper({ ttlSec, ids: new OpIds(), rng: new SeededRng(seed) });
    this.keeper.start(this.now);
    this.drain();
  }

  drain(): void {
    for (let out = this.keeper.poll(); out !== undefined; out = this.keeper.poll()) {
      if (out.t === "op") this.ops.push({ op: out.op, at: this.now });
      else if (out.t !== "log") this.said.push(out);
    }
  }

  wait(us: number): void {
    const until = this.now + us;
    while (this.keeper.nextDeadline() <= until) {
      this.now = Math.max(this.now, this.keeper.nextDeadline());
      this.keeper.tick(this.now);
      this.drain();
    }
    this.now = until;
  }

  feed(event: StoreEvent): void {
    this.keeper.handle(event, this.now);
    this.drain();
  }

  get last(): StoreOp & { readonly id: number } {
    return this.ops.at(-1)?.op as StoreOp & { readonly id: number };
  }

  get sentAt(): Instant {
    return (this.ops.at(-1) as { readonly at: Instant }).at;
  }

  get count(): number {
    return this.ops.length;
  }

  granted(lease = "7587862094", ttlSec = TTL): void {
    this.feed({ t: "leaseGranted", id: this.last.id, lease, ttlSec });
  }

  keptAlive(ttlSec = TTL, id = this.last.id): void {
    this.feed({ t: "leaseKeptAlive", id, lease: this.keeper.lease as string, ttlSec });
  }

  failed(code: StoreErrorCode = "unavailable"): void {
    this.feed({ t: "opFailed", id: this.last.id, code, message: code });
  }

  /** Waits until the next operation is sent. */
  next(): StoreOp {
    const had = this.count;
    while (this.count === had) this.wait(10 * MS_US);
    return this.last;
  }

  take(): string[] {
    const said = this.said.map((out) => out.t);
    this.said = [];
    return said;
  }
}

describe("validity counts from the sending", () => {
  test("of the grant", () => {
    const bench = new Bench();
    const sent = bench.now;
    bench.wait(2 * SEC_US);
    bench.granted();
    expect(bench.keeper.validUntil).toBe(sent + VALID_US);
  });

  test("of the keep-alive that was answered, however late the answer", () => {
    const bench = new Bench();
    bench.granted();
    bench.next();
    const sent = bench.sentAt;
    bench.wait(3 * SEC_US);
    bench.keptAlive();
    expect(bench.keeper.validUntil).toBe(sent + VALID_US);
  });

  test("answers that overtake each other never shorten it", () => {
    const bench = new Bench();
    bench.granted();
    const first = bench.next() as { readonly id: number };
    bench.failed();
    bench.next();
    const sent = bench.sentAt;
    bench.keptAlive();
    bench.feed({ t: "leaseKeptAlive", id: first.id, lease: "7587862094", ttlSec: TTL });
    expect(bench.keeper.validUntil).toBe(sent + VALID_US);
  });

  test("with the margin of a tenth, a second at least, of what the server granted", () => {
    const short = new Bench(5);
    const sent = short.now;
    short.granted("1", 5);
    expect(short.keeper.validUntil).toBe(sent + 4 * SEC_US);
    const raised = new Bench(1);
    raised.granted("1", 2);
    expect(raised.keeper.validUntil).toBe(sent + SEC_US);
  });
});

test("keep-alives go out every third of the time, with a tenth of jitter", () => {
  const bench = new Bench();
  bench.granted();
  const gaps: number[] = [];
  let last = bench.now;
  for (let i = 0; i < 200; i++) {
    bench.next();
    gaps.push((bench.now - last) / SEC_US);
    last = bench.now;
    bench.keptAlive();
  }
  expect(Math.min(...gaps)).toBeGreaterThan(5.9);
  expect(Math.max(...gaps)).toBeLessThan(7.4);
  expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(1);
  expect(bench.take()).toEqual(["granted"]);
});

describe("the fence", () => {
  test("falls at the end of validity, by the holder's own clock", () => {
    const bench = new Bench();
    const sent = bench.now;
    bench.granted();
    bench.wait(VALID_US - 1 - (bench.now - sent));
    expect(bench.take()).toEqual(["granted"]);
    expect(bench.keeper.isValid(bench.now)).toBe(true);
    bench.wait(1);
    expect(bench.take()).toEqual(["fenced"]);
    expect(bench.keeper.isValid(bench.now)).toBe(false);
  });

  test("is true before any timer has fired, as after a suspend", () => {
    const bench = new Bench();
    bench.granted();
    bench.take();
    expect(bench.keeper.isValid(bench.now + 60 * SEC_US)).toBe(false);
  });

  test("comes before anything else after a suspend, even before the answer that was waiting", () => {
    const bench = new Bench();
    bench.granted();
    bench.next();
    bench.take();
    bench.now += 60 * SEC_US;
    bench.keptAlive();
    expect(bench.take()).toEqual(["fenced"]);
    expect(bench.keeper.isValid(bench.now)).toBe(false);
  });

  test("is lifted when the same lease answers", () => {
    const bench = new Bench();
    bench.granted();
    bench.wait(VALID_US);
    bench.take();
    bench.next();
    bench.keptAlive();
    expect(bench.take()).toEqual(["unfenced"]);
    expect(bench.keeper.lease).toBe("7587862094");
  });
});

describe("the end of a lease", () => {
  test.each(["TTL 0", "NOT_FOUND"])("is %s and nothing else", (how) => {
    const bench = new Bench();
    bench.granted();
    bench.next();
    bench.take();
    if (how === "TTL 0") bench.keptAlive(0);
    else bench.failed("leaseNotFound");
    expect(bench.take()).toEqual(["fenced", "lost"]);
    expect(bench.keeper.lease).toBeUndefined();
    bench.wait(60 * SEC_US);
    expect(bench.take()).toEqual([]);
    bench.keeper.start(bench.now);
    bench.drain();
    expect(bench.last.t).toBe("leaseGrant");
    bench.granted("9");
    expect(bench.take()).toEqual(["granted"]);
    expect(bench.keeper.isValid(bench.now)).toBe(true);
  });

  test("no other failure is: the same lease is asked for again and again", () => {
    const bench = new Bench();
    bench.granted();
    for (let i = 0; i < 50; i++) {
      expect(bench.next()).toMatchObject({ t: "leaseKeepAlive", lease: "7587862094" });
      bench.failed(i % 2 === 0 ? "unavailable" : "unknown");
    }
    expect(bench.said.filter((out) => out.t === "lost")).toEqual([]);
  });

  test("a grant that is never answered is asked for anew", () => {
    const bench = new Bench();
    bench.wait(8 * SEC_US);
    expect(bench.ops.map(({ op }) => op.t)).toEqual(["leaseGrant", "leaseGrant"]);
  });

  test("may be learnt elsewhere; an old lease's end is not ours", () => {
    const bench = new Bench();
    bench.granted();
    bench.take();
    bench.keeper.gone("123", bench.now);
    bench.drain();
    expect(bench.take()).toEqual([]);
    bench.keeper.gone("7587862094", bench.now);
    bench.drain();
    expect(bench.take()).toEqual(["fenced", "lost"]);
  });
});

describe("a machine that has slept, its clock with it", () => {
  test("knows at once that its lease may have ended, and asks", () => {
    const bench = new Bench();
    bench.granted();
    bench.wait(SEC_US);
    bench.feed({ t: "slept", forUs: 60 * SEC_US });
    expect(bench.keeper.isValid(bench.now)).toBe(false);
    expect(bench.take()).toEqual(["granted", "fenced"]);
    expect(bench.last).toMatchObject({ t: "leaseKeepAlive", lease: "7587862094" });
    bench.keptAlive();
    expect(bench.take()).toEqual(["unfenced"]);
    expect(bench.keeper.validUntil).toBe(bench.now + VALID_US);
  });

  test("counts the time of its sleep for what it asked before and is answered after", () => {
    const bench = new Bench();
    bench.granted();
    const { id } = bench.next() as { readonly id: number };
    const sent = bench.sentAt;
    bench.feed({ t: "slept", forUs: 5 * SEC_US });
    bench.keptAlive(TTL, id);
    expect(bench.keeper.validUntil).toBe(sent - 5 * SEC_US + VALID_US);

    const asking = new Bench();
    const asked = asking.now;
    asking.feed({ t: "slept", forUs: 7 * SEC_US });
    asking.granted();
    expect(asking.keeper.validUntil).toBe(asked - 7 * SEC_US + VALID_US);
  });
});

describe("stop", () => {
  test("revokes, and is done when the server says so, refuses, or says nothing", () => {
    for (const answer of ["revoked", "refused", "nothing"]) {
      const bench = new Bench();
      bench.granted();
      bench.take();
      bench.keeper.stop(true, bench.now);
      bench.drain();
      expect(bench.last).toMatchObject({ t: "leaseRevoke", lease: "7587862094" });
      expect(bench.keeper.isValid(bench.now)).toBe(false);
      if (answer === "revoked") bench.feed({ t: "leaseRevoked", id: bench.last.id, lease: "7587862094" });
      else if (answer === "refused") bench.failed("unavailable");
      else bench.wait(5 * SEC_US);
      expect(bench.take()).toEqual(["stopped"]);
      expect(bench.keeper.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("without revoking leaves the lease to its time", () => {
    const bench = new Bench();
    bench.granted();
    const had = bench.count;
    bench.keeper.stop(false, bench.now);
    bench.drain();
    expect(bench.count).toBe(had);
    expect(bench.take()).toEqual(["granted", "stopped"]);
  });
});
