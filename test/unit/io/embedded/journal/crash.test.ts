// The promise of the store, at every operation on its files: what was acknowledged is there after a crash, what was not is
// there whole or not at all, and reading the same files gives the same contents.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { below, type Rng, SeededRng } from "../../../../../src/base/rng.ts";
import { dumpLines } from "../../../../../src/io/embedded/dump.ts";
import { RpcError } from "../../../../../src/io/embedded/errors.ts";
import { recover } from "../../../../../src/io/embedded/journal/recovery.ts";
import { type Contents, Replay } from "../../../../../src/io/embedded/journal/replay.ts";
import { noContents, Store } from "../../../../../src/io/embedded/store.ts";
import { type DurableData, openData } from "../../../../../src/io/embedded/store-data.ts";
import { Crash, CrashingFiles, type CrashPlan, TEARS } from "../../../../support/crashing-files.ts";
import { deleteOf, putOf, txnOf } from "../requests.ts";

const NEVER: CrashPlan = { at: Number.POSITIVE_INFINITY, tear: 0 };
const OPERATIONS = 60;
/** Small, so that snapshots are made all the time. */
const RULE = { bytes: 1200, records: 12 };

/** What a run has told its clients, and what its contents were after each record. */
interface Run {
  readonly states: Map<number, string>;
  acknowledged: number;
}

function stateOf(contents: Contents): string {
  return [...dumpLines(contents, undefined)].join("\n");
}

async function settled(rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise((resolve) => setImmediate(resolve));
}

function unlessCrash(fault: unknown): void {
  if (!(fault instanceof Crash)) throw fault;
}

/** Opens the files and does random things until they are done or the disk stops. */
async function run(files: CrashingFiles, rng: Rng, into: Run): Promise<void> {
  let data: DurableData | undefined;
  try {
    data = await openData(files, {
      rng,
      rule: RULE,
      onFatal: unlessCrash,
      onSnapshotFault: unlessCrash,
    });
  } catch (thrown) {
    if (thrown instanceof Crash) return;
    throw thrown;
  }
  const { contents, journal } = data;
  const store = new Store(
    {
      rng,
      journal,
      retention: { mode: "off" },
      quotaBytes: 1 << 30,
      txnOpsMax: 128,
      fragmentBytes: 1 << 20,
      wake: () => undefined,
    },
    0,
    contents,
  );
  store.resume(0, data.identity.memberId);
  const note = (): void => {
    const sequence = journal.last;
    into.states.set(sequence, stateOf(contents));
    journal.whenDurable(() => {
      into.acknowledged = Math.max(into.acknowledged, sequence);
    });
  };
  note();
  for (let i = 0; i < OPERATIONS && !files.crashed; i++) {
    try {
      randomOperation(store, rng, i);
    } catch (thrown) {
      if (!(thrown instanceof RpcError)) throw thrown;
    }
    note();
    if (below(rng, 2) === 0) await settled(below(rng, 5));
  }
  // Everything is written in a few turns, unless the disk has stopped.
  await settled(40);
  if (!files.crashed) await data.close();
}

function randomOperation(store: Store, rng: Rng, i: number): void {
  const key = `k${below(rng, 6)}`;
  const lease = String(1 + below(rng, 3));
  switch (below(rng, 9)) {
    case 0:
      store.leaseGrant(lease, 60, 0);
      return;
    case 1:
      store.leaseRevoke(lease);
      return;
    case 2:
      store.deleteRange(deleteOf(key, below(rng, 2) === 0 ? undefined : "k9"));
      return;
    case 3:
      store.compact(store.revision - below(rng, 3));
      return;
    case 4:
      store.setAlarm("7", 2, below(rng, 8) === 0);
      return;
    case 5:
      store.txn(txnOf([], [putOf(key, `a${i}`), putOf(`${key}x`, `b${i}`), deleteOf("k0x", "k5")]));
      return;
    case 6:
      store.put(putOf(key, `l${i}`, { lease }));
      return;
    default:
      store.put(putOf(key, "v".repeat(below(rng, 120))));
  }
}

/** Reads what is left, holds it against what was promised, and lets another run go on from there. */
async function verify(
  left: ReadonlyMap<string, Buffer>,
  { states, acknowledged }: Run,
  rng: Rng,
): Promise<void> {
  const contents = noContents(rng);
  const found = recover(new CrashingFiles(NEVER, left), new Replay(contents));
  expect(found.damage).toBeUndefined();
  expect(found.sequence).toBeGreaterThanOrEqual(acknowledged);
  const want = found.sequence === 0 ? stateOf(noContents(rng)) : states.get(found.sequence);
  expect(stateOf(contents)).toBe(want);
  expect(contents.mvcc.verify()).toBeUndefined();
  // It goes on from there, and is read again after another kill.
  const next: Run = { states: new Map(), acknowledged: 0 };
  const files = new CrashingFiles(NEVER, left);
  await run(files, rng, next);
  const again = noContents(rng);
  const second = recover(new CrashingFiles(NEVER, files.afterKill()), new Replay(again));
  expect(second.damage).toBeUndefined();
  expect(stateOf(again)).toBe(next.states.get(second.sequence));
  expect(next.acknowledged).toBe(second.sequence);
}

async function crashAt(plan: CrashPlan, seed: number, powerCuts: number): Promise<CrashingFiles> {
  const files = new CrashingFiles(plan);
  const history: Run = { states: new Map(), acknowledged: 0 };
  await run(files, new SeededRng(seed), history);
  const where = `operation ${plan.at} (${files.last}), tear ${plan.tear}, seed ${seed}`;
  try {
    await verify(files.afterKill(), history, new SeededRng(seed + 1));
    for (let cut = 0; cut < powerCuts; cut++) {
      const rng = new SeededRng(seed * 1000 + cut);
      await verify(files.afterPowerCut(rng), history, rng);
    }
  } catch (thrown) {
    throw new Error(`after a crash in ${where}: ${String(thrown)}`, { cause: thrown });
  }
  return files;
}

describe("a crash", () => {
  test("in any operation on the files, at any length of a write, loses nothing that was acknowledged", async () => {
    const whole = await crashAt(NEVER, 1, 3);
    expect(whole.crashed).toBe(false);
    expect(whole.operations).toBeGreaterThan(30);
    for (let at = 0; at < whole.operations; at++) {
      for (let tear = 0; tear < TEARS.length; tear++) {
        const files = await crashAt({ at, tear }, 1, 2);
        expect(files.crashed).toBe(true);
        // Of other operations there are only two ways to stop in them.
        if (!files.last.startsWith("write") && tear === 1) break;
      }
    }
  }, 120_000);

  test("of any history, anywhere", async () => {
    const parameters = [fc.nat(1_000_000), fc.nat(100), fc.nat(TEARS.length - 1)] as const;
    await fc.assert(
      fc.asyncProperty(...parameters, async (seed, at, tear) => {
        await crashAt({ at, tear }, seed, 3);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
