// Reflectors, lease holders and writers over the real driver, while everything that can go wrong does: cut and frozen
// connections, a server that stands still, dies and comes back, compactions behind their backs, machines that sleep and clocks
// that jump. Nobody may be told anything but what the store did, and no subnet may be held by two.
//
// `npm run torture:store` is the long run. Its knobs: PODLOOM_TORTURE_SEED, PODLOOM_TORTURE_SEC, PODLOOM_TORTURE_WRITES, and
// PODLOOM_TEST_ETCD for another etcd than the one on PATH.
import { describe, expect, test } from "vitest";
import { hasEtcd } from "../support/etcd-process.ts";
import { torture } from "../support/torture-run.ts";
import { TRANSPORTS } from "../support/transports.ts";

const SEED = Number(process.env.PODLOOM_TORTURE_SEED ?? "20261128");
const SEC = Number(process.env.PODLOOM_TORTURE_SEC ?? "6");
const WRITES = Number(process.env.PODLOOM_TORTURE_WRITES ?? "1000");

const WORLDS = (["embedded", "etcd"] as const).flatMap((kind) =>
  TRANSPORTS.map((transport) => ({ kind, transport })),
);
const FAULTS = ["cut", "blackHole", "dark", "compact", "pause", "kill", "suspend", "freeze", "jump", "leave"];

/** A short run waits most of the time: all at once. A long one has the machine for itself. */
const concurrent = SEC <= 15;

describe("a tortured store", () => {
  for (const { kind, transport } of WORLDS) {
    const title = `${kind}, reached through ${transport.name}`;
    const knobs = `PODLOOM_TORTURE_SEED=${SEED} PODLOOM_TORTURE_SEC=${SEC} PODLOOM_TORTURE_WRITES=${WRITES}`;
    const again = `again: ${knobs} npm run torture:store -- -t '${title}'`;
    test.skipIf(kind === "etcd" && !hasEtcd())(
      `${title}: loses nothing, doubles nothing, and no subnet is held by two (seed ${SEED})`,
      { concurrent, timeout: SEC * 30_000 + 300_000 },
      async () => {
        const report = await torture({ kind, transport, seed: SEED, durationMs: SEC * 1000, writes: WRITES });
        if (!concurrent || report.wrong.length > 0) console.log(title, JSON.stringify(report));
        expect(report.wrong, again).toEqual([]);
        // Everything did happen.
        for (const fault of FAULTS)
          expect(report.faults[fault] ?? 0, `${fault}; ${again}`).toBeGreaterThan(0);
        expect(report.handovers, again).toBeGreaterThan(0);
        expect(Math.max(...report.relists), again).toBeGreaterThan(0);
      },
    );
  }
});
