// A pod asks for an address: the node is told its subnet, and keeps it over a crash.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LeaseRow, NodeRow, PodRow } from "../../src/control/inspect.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.dispose());

test("a node leases the subnet that it is told, its pod has the address that it asks for, before and after kill -9", async () => {
  const nodes = `nodes:
  - { name: a, pods: 1 }
  - { name: b, subnet: 10.244.77.0/24, pods: [free, { name: p, ip: 10.244.77.9 }] }
`;
  await box.ok("up", "-f", box.labFile(238, `name: told\n${nodes}`), "-d");
  const leases = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await box.rows<LeaseRow>("leases")).map((row) => [row.node, row.subnet]));
  const addressOfP = async (): Promise<string | undefined> =>
    (await box.rows<PodRow>("pods")).find((row) => row.name === "p")?.ip;
  const before = await leases();
  expect(before).toEqual({ a: "10.244.1.0/24", b: "10.244.77.0/24" });
  expect(await addressOfP()).toBe("10.244.77.9");
  const b = (await box.rows<NodeRow>("nodes")).find((row) => row.name === "b");
  process.kill(b?.pid as number, "SIGKILL");
  await eventually(
    async () => (await box.rows<NodeRow>("nodes")).some((row) => row.name === "b" && row.restarts === 1),
    30_000,
    () => "the restart of b",
  );
  await box.ok("wait", "--for=converged", "--timeout", "60s");
  expect(await leases()).toEqual(before);
  expect(await addressOfP()).toBe("10.244.77.9");
  expect(await box.ok("exec", "a-pod1", "--", "ping", "-c", "1", "10.244.77.9")).toMatch(/1 received/);
});

test("an address that no subnet promises is refused before anything starts", async () => {
  const nodes = "nodes: [{ name: a, pods: [{ name: p, ip: 10.244.0.5 }] }]\n";
  const up = await box.run("up", "-f", box.labFile(239, `name: wish\n${nodes}`));
  expect(up).toMatchObject({ code: 2, stdout: "" });
  expect(up.stderr).toMatch(
    /lab\.yaml:4:\d+: nodes\[0\]\.pods\[0\]\.ip: 10\.244\.0\.5 is in no subnet that may be leased.*\n {2}Choose/,
  );
});
