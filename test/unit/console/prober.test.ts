import { expect, test } from "vitest";
import { prefix } from "../../../src/base/ipv4-addr.ts";
import { type ProbeOptions, type ProbeResult, Prober } from "../../../src/console/prober.ts";
import { ReferenceLab } from "../../support/reference-lab.ts";

function probe(lab: ReferenceLab, options: ProbeOptions): readonly ProbeResult[] {
  const prober = new Prober(lab.context(lab.nodes[0].pod), options);
  prober.start(lab.now);
  for (let jumps = 0; prober.results === undefined; jumps++) {
    expect(jumps).toBeLessThan(100_000);
    lab.settle();
    prober.wake(lab.now);
    if (prober.results !== undefined) break;
    lab.now = Math.max(lab.now, Math.min(prober.nextDeadline(), lab.stack.nextDeadline()));
  }
  prober.close();
  lab.close();
  expect(lab.pool.outstanding).toBe(0);
  return prober.results;
}

test("every target gets its requests, and its own figures", () => {
  const lab = new ReferenceLab();
  const began = lab.now;
  const targets = ["10.244.2.2", "10.244.1.1", "10.9.9.9", "10.244.2.99", "nonsense"];
  const rows = probe(lab, { targets, count: 3, intervalMs: 100, timeoutMs: 400 });
  expect(rows).toEqual([
    { target: "10.244.2.2", sent: 3, received: 3, rttUs: [200, 200, 200] },
    { target: "10.244.1.1", sent: 3, received: 3, rttUs: [0, 0, 0] },
    {
      target: "10.9.9.9",
      sent: 3,
      received: 0,
      rttUs: [],
      error: "From 10.244.1.1: Destination Net Unreachable",
    },
    { target: "10.244.2.99", sent: 3, received: 0, rttUs: [] },
    { target: "nonsense", sent: 0, received: 0, rttUs: [], error: "nonsense: Name or service not known" },
  ]);
  expect(lab.now - began).toBeGreaterThanOrEqual(600_000);
});

test("what cannot be sent is said, and not waited for", () => {
  const lab = new ReferenceLab();
  const { pod } = lab.nodes[0];
  pod.addRoute({ dst: prefix("10.20.0.0/16"), type: "unreachable" }, lab.now);
  const [row] = probe(lab, { targets: ["10.20.0.1"], count: 2, intervalMs: 0, timeoutMs: 1000 });
  expect(row).toEqual({ target: "10.20.0.1", sent: 2, received: 0, rttUs: [], error: "No route to host" });
});

test("six hundred requests at once overrun no queue on the way", () => {
  const lab = new ReferenceLab();
  lab.run(lab.nodes[0].pod, ["ping", "-c", "1", "10.244.2.2"]);
  const targets = Array.from({ length: 300 }, () => "10.244.2.2");
  const rows = probe(lab, { targets, count: 2, intervalMs: 0, timeoutMs: 1000 });
  expect(rows.every(({ received }) => received === 2)).toBe(true);
});

test("replies that are late are lost, and a duplicate counts once", () => {
  const lab = new ReferenceLab();
  let sent = 0;
  lab.copies = () => [1, 2, 0, 1, 1][sent++] ?? 1;
  const [row] = probe(lab, { targets: ["10.244.2.2"], count: 3, intervalMs: 50, timeoutMs: 20 });
  expect(row).toEqual({ target: "10.244.2.2", sent: 3, received: 2, rttUs: [200, 200] });
});

test("interrupted, it tells what there is", () => {
  const lab = new ReferenceLab();
  const prober = new Prober(lab.context(lab.nodes[0].pod), {
    targets: ["10.244.1.1", "10.244.2.2"],
    count: 5,
    intervalMs: 1000,
    timeoutMs: 1000,
  });
  prober.start(lab.now);
  lab.settle();
  prober.interrupt();
  expect(prober.results?.map(({ sent, received }) => [sent, received])).toEqual([
    [1, 1],
    [1, 0],
  ]);
  prober.close();
  lab.close();
  expect(lab.pool.outstanding).toBe(0);
});
