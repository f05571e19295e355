import { afterEach, beforeEach, expect, test } from "vitest";
import type { NodeRow } from "../../src/control/inspect.ts";
import { Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

test("fifty nodes on one machine converge, reach each other, and go", async () => {
  const up = await box.run(
    "up",
    "-f",
    box.labFile(251, "name: fifty\n"),
    "--nodes",
    "50",
    "--pods",
    "2",
    "-d",
  );
  expect(up.stderr).toMatch(/50 nodes agree on 50 leases/);
  // 9,900 ordered pairs are more than are pinged: a sample, and it says so.
  expect(up.stdout).toMatch(
    /2000\/2000 ordered pod pairs reachable, 0 of \d+ pings lost.*a sample of 2000 of 9900 pairs, seed 1/,
  );
  expect(up.code).toBe(0);
  const nodes = await box.rows<NodeRow>("nodes");
  expect(nodes.filter((node) => node.status === "Ready" && node.peers === 49)).toHaveLength(50);
  const down = await box.run("down");
  expect(down.code).toBe(0);
  expect(down.stderr).not.toMatch(/had to be killed/);
  expect(box.processes()).toEqual([]);
}, 300_000);
