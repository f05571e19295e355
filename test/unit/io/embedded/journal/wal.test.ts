import { describe, expect, test } from "vitest";
import type { DataFile, DataFiles } from "../../../../../src/io/embedded/journal/data-files.ts";
import { Wal } from "../../../../../src/io/embedded/journal/wal.ts";
import { CrashingFiles } from "../../../../support/crashing-files.ts";

/** A file whose syncs end when they are told to. */
class SlowFile implements DataFile {
  writes = 0;
  readonly syncs: ((fault?: Error) => void)[] = [];

  write(): void {
    this.writes++;
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.syncs.push((fault) => (fault === undefined ? resolve() : reject(fault)));
    });
  }

  close(): void {}
}

async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

function newWal(): { wal: Wal; file: SlowFile; faults: unknown[] } {
  const file = new SlowFile();
  const faults: unknown[] = [];
  const files: DataFiles = new CrashingFiles({ at: Number.POSITIVE_INFINITY, tear: 0 });
  const wal = new Wal(
    files,
    { sequence: 0, file, records: 0, bytes: 0 },
    {
      rule: { bytes: 1 << 30, records: 1 << 30 },
      image: () => [],
      onFatal: (fault) => faults.push(fault),
      onSnapshotFault: (fault) => faults.push(fault),
    },
  );
  return { wal, file, faults };
}

describe("the write-ahead log", () => {
  test("records that come while the disk is busy share the next sync", async () => {
    const { wal, file } = newWal();
    const done: number[] = [];
    const append = (revision: number): void => {
      wal.append({ t: "compact", revision });
      wal.whenDurable(() => done.push(revision));
    };
    append(1);
    append(2);
    await turn();
    for (let revision = 3; revision < 100; revision++) append(revision);
    await turn();
    expect([file.writes, file.syncs.length, done]).toEqual([1, 1, []]);
    file.syncs[0]?.();
    await turn();
    expect([file.writes, file.syncs.length, done]).toEqual([2, 2, [1, 2]]);
    file.syncs[1]?.();
    await turn();
    expect(done).toEqual(Array.from({ length: 99 }, (_, i) => i + 1));
  });

  test("what is safe is told at once, however busy the disk is", async () => {
    const { wal, file } = newWal();
    const grant = wal.append({ t: "grant", id: "1", ttlSec: 5 });
    await turn();
    file.syncs[0]?.();
    await turn();
    wal.append({ t: "compact", revision: 1 });
    const done: string[] = [];
    wal.whenDurable(() => done.push("put"));
    wal.whenDurable(() => done.push("renewal"), grant);
    expect(done).toEqual(["renewal"]);
  });

  test("a sync that fails is the end: nothing is acknowledged, then or later", async () => {
    const { wal, file, faults } = newWal();
    let told = 0;
    wal.append({ t: "compact", revision: 1 });
    wal.whenDurable(() => told++);
    await turn();
    file.syncs[0]?.(new Error("EIO"));
    await turn();
    wal.append({ t: "compact", revision: 2 });
    wal.whenDurable(() => told++);
    await turn();
    expect(faults).toHaveLength(1);
    expect([told, file.writes]).toEqual([0, 1]);
  });
});
